/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A witness is a worker of another cgroup that observes the workers under test while they run, by
 * what the kernel says of them in /proc. Its observations are its iterations and latencies. It
 * should be nice -20: a look takes milliseconds under TCG, and the workers under test leave it
 * little CPU time otherwise.
 */

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/suites/look.h"

#define WITNESS_PAUSE_US 2000

/* Calls @seen for each process of that name, again and again until the worker must stop. */
static inline void witness(struct kt_custom *worker, const char *comm,
			   void (*seen)(struct kt_custom *worker, pid_t pid))
{
	while (!kt_custom_stopping(worker)) {
		DIR *proc = opendir("/proc");

		for (struct dirent *entry; proc && (entry = readdir(proc));) {
			pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
			char name[LOOK_LEN];

			if (pid > 0 && !strcmp(look(name, "/proc/%d/comm", (int)pid), comm))
				seen(worker, pid);
		}
		if (proc)
			(void)closedir(proc);
		/* Not kt_custom_sleep_us(), which would measure a latency of its own. */
		kt_custom_block(worker);
		(void)usleep(WITNESS_PAUSE_US);
		kt_custom_unblock(worker);
	}
}
