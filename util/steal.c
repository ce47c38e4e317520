/* SPDX-License-Identifier: MIT */
#include "util/steal.h"

#include <dirent.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

static void add(struct kt_steal *steal, pid_t tid, uint64_t waited_ns)
{
	struct kt_steal_thread *grown = reallocarray(steal->at, steal->n + 1, sizeof(*grown));

	if (!grown)
		return;
	steal->at = grown;
	grown[steal->n++] = (struct kt_steal_thread){ tid, waited_ns };
}

static void read_process(struct kt_steal *steal, pid_t pid)
{
	KT_FREE char *path = kt_format("/proc/%d/task", (int)pid);
	DIR *dir = path ? opendir(path) : NULL;

	if (!dir)
		return;
	for (struct dirent *ent; (ent = readdir(dir));) {
		KT_FREE char *file = kt_format("%s/schedstat", ent->d_name), *text = NULL;
		uint64_t waited;

		if (ent->d_name[0] != '.' && file &&
		    kt_file_read_at(dirfd(dir), file, 256, &text, NULL) == 0 &&
		    sscanf(text, "%*u %" SCNu64, &waited) == 1)
			add(steal, (pid_t)atoi(ent->d_name), waited);
	}
	(void)closedir(dir);
}

static void read_group(struct kt_steal *steal, pid_t pgid)
{
	DIR *dir = opendir("/proc");

	if (!dir)
		return;
	for (struct dirent *ent; (ent = readdir(dir));) {
		pid_t pid = (pid_t)atoi(ent->d_name);

		if (pid > 0 && getpgid(pid) == pgid)
			read_process(steal, pid);
	}
	(void)closedir(dir);
}

void kt_steal_read(struct kt_steal *steal, pid_t pid)
{
	*steal = KT_STEAL_NULL;
	if (pid < 0)
		read_group(steal, -pid);
	else
		read_process(steal, pid);
}

void kt_steal_deinit(struct kt_steal *steal)
{
	free(steal->at);
	*steal = KT_STEAL_NULL;
}

static uint64_t waited_by(const struct kt_steal *steal, pid_t tid)
{
	for (size_t i = 0; i < steal->n; i++) {
		if (steal->at[i].tid == tid)
			return steal->at[i].waited_ns;
	}
	return 0;
}

uint64_t kt_steal_between(const struct kt_steal *before, const struct kt_steal *after)
{
	uint64_t most = 0;

	for (size_t i = 0; i < after->n; i++) {
		uint64_t now = after->at[i].waited_ns;

		/* A smaller count than before is a new thread with an old number. */
		now -= KT_MIN(now, waited_by(before, after->at[i].tid));
		most = KT_MAX(most, now);
	}
	return most;
}

uint64_t kt_steal_total_ns(pid_t pid)
{
	KT_CLEANUP(kt_steal_deinit) struct kt_steal now = KT_STEAL_NULL;

	kt_steal_read(&now, pid);
	return kt_steal_between(&KT_STEAL_NULL, &now);
}

uint64_t kt_steal_again(struct kt_steal *steal, pid_t pid)
{
	struct kt_steal now;
	uint64_t stolen_ns;

	kt_steal_read(&now, pid);
	stolen_ns = kt_steal_between(steal, &now);
	kt_steal_deinit(steal);
	*steal = now;
	return stolen_ns;
}

int kt_steal_poll(int fd, uint64_t deadline_ns, pid_t pid)
{
	KT_CLEANUP(kt_steal_deinit) struct kt_steal steal = KT_STEAL_NULL;
	struct pollfd waiting = { .fd = fd, .events = POLLIN };
	bool moves = pid > 0 && deadline_ns;
	int r;

	while ((r = kt_poll(&waiting, 1, deadline_ns)) == 0 && moves) {
		deadline_ns += kt_steal_again(&steal, pid);
		moves = kt_left_ns(deadline_ns);
	}
	return r;
}
