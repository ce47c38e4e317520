/* SPDX-License-Identifier: MIT */
#include "vmm/steal.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "util/io.h"

static void add(struct kt_steal *steal, pid_t tid, uint64_t waited_ns)
{
	struct kt_steal_thread *grown = reallocarray(steal->at, steal->n + 1, sizeof(*grown));

	if (!grown)
		return;
	steal->at = grown;
	grown[steal->n++] = (struct kt_steal_thread){ tid, waited_ns };
}

void kt_steal_read(struct kt_steal *steal, pid_t pid)
{
	KT_FREE char *path = kt_format("/proc/%d/task", (int)pid);
	DIR *dir = path ? opendir(path) : NULL;

	*steal = KT_STEAL_NULL;
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
