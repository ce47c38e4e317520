/* SPDX-License-Identifier: MIT */
#include "guest/scenario/pidlist.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int kt_pid_list_add(struct kt_pid_list **first, const char *tag, pid_t *pids, size_t n)
{
	struct kt_pid_list *list = calloc(1, sizeof(*list));

	if (!list) {
		free(pids);
		return -ENOMEM;
	}
	*list = (struct kt_pid_list){ .next = *first, .tag = tag, .pids = pids, .n = n };
	*first = list;
	return 0;
}

const struct kt_pid_list *kt_pid_list_find(const struct kt_pid_list *first, const char *tag)
{
	/* The newest is the first: a tag that is used again hides the older list. */
	while (first && strcmp(first->tag, tag))
		first = first->next;
	return first;
}

void kt_pid_lists_free(struct kt_pid_list *first)
{
	while (first) {
		struct kt_pid_list *next = first->next;

		free(first->pids);
		free(first);
		first = next;
	}
}
