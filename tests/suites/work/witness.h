/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A worker of another cgroup that looks at the ones under test while they run, through what the kernel
 * says of them in /proc. What it has seen are its iterations and latencies. It is to be nice -20: a look
 * takes milliseconds under TCG, and those it looks at leave it little CPU time otherwise.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ktest.h>

#define WITNESS_PAUSE_US 2000

/* The first line of a file in /proc/PID, or the one that begins with @key; "" when there is none. */
static inline void witness_read(pid_t pid, const char *file, const char *key, char *line,
				size_t len)
{
	char path[64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	f = fopen(path, "re");
	line[0] = '\0';
	while (f && fgets(line, (int)len, f) && key && strncmp(line, key, strlen(key)))
		line[0] = '\0';
	if (f)
		(void)fclose(f);
	line[strcspn(line, "\n")] = '\0';
}

/* Calls @look for each process of that name, and all over again until it is to stop. */
static inline void witness(struct kt_custom *worker, const char *comm,
			   void (*look)(struct kt_custom *worker, pid_t pid))
{
	while (!kt_custom_stopping(worker)) {
		DIR *proc = opendir("/proc");

		for (struct dirent *entry; proc && (entry = readdir(proc));) {
			pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
			char name[32];

			if (pid <= 0)
				continue;
			witness_read(pid, "comm", NULL, name, sizeof(name));
			if (!strcmp(name, comm))
				look(worker, pid);
		}
		if (proc)
			(void)closedir(proc);
		/* Not kt_custom_sleep_us(), which would measure a latency of its own. */
		kt_custom_block(worker);
		(void)usleep(WITNESS_PAUSE_US);
		kt_custom_unblock(worker);
	}
}

/* The report of the @index-th worker of a cgroup; NULL when there is none. */
static inline const struct kt_worker_report *report_of(const struct kt_ctx *ctx, const char *cgroup,
						       unsigned int index)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);

	for (size_t i = 0; i < n; i++) {
		if (!strcmp(reports[i].cgroup, cgroup) && reports[i].index == index)
			return &reports[i];
	}
	return NULL;
}
