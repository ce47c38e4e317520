/* SPDX-License-Identifier: MIT */
#pragma once
/* What is still to be run, in order: round by round of the plan, and attempts that are made again. */

#include "framework/outcome/outcome.h"
#include "framework/run/group.h"
#include "framework/select/plan.h"

struct kt_item {
	struct kt_item *next;
	const struct kt_test *test;
	const struct kt_kernel *kernel;
	char *name; /* the test's, and the kernel's where there are several */
	struct kt_group *group;
	char *obstacle;              /* why it is skipped; NULL when it can run */
	char *fault;                 /* why its machine cannot be, an error; NULL when it can */
	unsigned int iteration;      /* from 1 */
	unsigned int attempt;        /* from 1 */
	struct kt_outcome *previous; /* of the attempts before, latest first; owned */
};

/* NULL is allowed. */
void kt_item_free(struct kt_item *item);

struct kt_queue {
	struct kt_item *first, **end;
	unsigned int rounds; /* that were put into it */
};

void kt_queue_init(struct kt_queue *queue);

/* Frees what is left; returns how many that were. */
unsigned int kt_queue_deinit(struct kt_queue *queue);

/* Appends all of the plan once more, for every kernel. Their groups are found in @groups, or added there. */
int kt_queue_add_round(struct kt_queue *queue, const struct kt_plan *plan, struct kt_group **groups,
		       const struct kt_setup *setup);

/* Takes the item over. */
void kt_queue_push_front(struct kt_queue *queue, struct kt_item *item);

/* Takes the item out that @at, a link of the queue, leads to; the caller owns it then. */
struct kt_item *kt_queue_take(struct kt_queue *queue, struct kt_item **at);

/* How many of the items want a machine of @group. */
unsigned int kt_queue_count(const struct kt_queue *queue, const struct kt_group *group);
