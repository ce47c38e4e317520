/* SPDX-License-Identifier: MIT */
#pragma once
/* Lists of processes or threads that a scenario remembers under a name. */

#include <stddef.h>
#include <sys/types.h>

struct kt_pid_list {
	struct kt_pid_list *next; /* remembered before this */
	const char *tag;          /* borrowed from the operation */
	pid_t *pids;
	size_t n;
};

/* Takes @pids over, also when it fails. */
int kt_pid_list_add(struct kt_pid_list **first, const char *tag, pid_t *pids, size_t n);

/* The latest of that name, or NULL. */
const struct kt_pid_list *kt_pid_list_find(const struct kt_pid_list *first, const char *tag);

void kt_pid_lists_free(struct kt_pid_list *first);
