/* SPDX-License-Identifier: MIT */
#pragma once
/* Captured lists of processes or threads (KT_CAPTURE_CGROUP_PROCS), each under a tag. */

#include <stddef.h>
#include <sys/types.h>

struct kt_pid_list {
	struct kt_pid_list *next; /* captured before this one */
	const char *tag;          /* borrowed from the operation, that is from the test */
	pid_t *pids;              /* owned */
	size_t n;
};

/* Adds a list. Owns @pids from then on, also when it returns -ENOMEM. */
int kt_pid_list_add(struct kt_pid_list **first, const char *tag, pid_t *pids, size_t n);

/* Returns the latest list with that tag, or NULL. */
const struct kt_pid_list *kt_pid_list_find(const struct kt_pid_list *first, const char *tag);

/* Frees all lists. NULL is allowed. */
void kt_pid_lists_free(struct kt_pid_list *first);
