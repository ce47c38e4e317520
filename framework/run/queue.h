/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The queue: the attempts that are still to be made, in order. Rounds of the plan are appended;
 * an attempt that is repeated, or was discarded in the pool, goes back to the front.
 */

#include "framework/outcome/outcome.h"
#include "framework/run/group.h"
#include "framework/select/plan.h"

/* One test on one kernel in one round, until its last attempt has ended. */
struct kt_item {
	struct kt_item *next; /* in the queue */
	const struct kt_test *test;
	const struct kt_kernel *kernel;
	char *name; /* the test's, and the kernel's where there are several */
	struct kt_group *group;
	char *obstacle;              /* why it is skipped; NULL when it can run */
	char *fault;                 /* why it cannot run, an error (kt_setup_fault()); or NULL */
	unsigned int iteration;      /* from 1 */
	unsigned int attempt;        /* from 1 */
	struct kt_outcome *previous; /* of the attempts before, latest first; owned */
};

/* Frees the item, which is not in a queue. NULL is allowed. */
void kt_item_free(struct kt_item *item);

struct kt_queue {
	struct kt_item *first, **end; /* end: the link where the next item goes */
	unsigned int rounds;          /* how many have been appended */
};

void kt_queue_init(struct kt_queue *queue);

/* Frees the items that are left, and returns their number. */
unsigned int kt_queue_deinit(struct kt_queue *queue);

/* The attempts that a round begins with: tests of the plan times kernels, as filters want. */
unsigned int kt_queue_round_len(const struct kt_plan *plan, const struct kt_setup *setup);

/*
 * Appends a round: every test of the plan on every kernel that the filters want. Groups that are
 * not in *@groups yet are added there. Returns 0, or -ENOMEM with a part of the round in the queue.
 */
int kt_queue_add_round(struct kt_queue *queue, const struct kt_plan *plan, struct kt_group **groups,
		       const struct kt_setup *setup);

/* Puts the item first and takes it over. */
void kt_queue_push_front(struct kt_queue *queue, struct kt_item *item);

/* Removes the item that *@at, a link of the queue, points to. The caller owns it then. */
struct kt_item *kt_queue_take(struct kt_queue *queue, struct kt_item **at);

/* The number of items in the queue that can run and need a machine of @group. */
unsigned int kt_queue_count(const struct kt_queue *queue, const struct kt_group *group);
