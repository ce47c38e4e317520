/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How many virtual CPUs and MiB may be in use at once, on this host, by all runners together.
 *
 * A file in the cache stands for the host: a byte for each virtual CPU, and one for each 64 MiB. Who
 * uses one has it locked, and the kernel unlocks it when the runner dies. A runner that may use N takes
 * from the first N bytes, so that runners with different budgets share the smaller one.
 */

#include <stdbool.h>

#include "util/err.h"

struct kt_budget;

/* What was taken: never more than the budget is, and memory in multiples of 64 MiB. */
struct kt_share {
	unsigned int vcpus;
	unsigned int mib;
};

/* @mib 0: three quarters of the host's memory. */
int kt_budget_open(unsigned int vcpus, unsigned int mib, struct kt_budget **ret_budget,
		   struct kt_err *reterr);
struct kt_budget *kt_budget_close(struct kt_budget *budget);

/*
 * Takes all of it or nothing, in turn: while a runner waits for what it could not have, no other one takes
 * anything, or a large machine would wait for ever beside small ones. What cannot be had is to be asked
 * for again. kt_budget_try() is for what nobody waits for: it neither waits in turn nor takes its turn.
 *
 * False when there is not enough. What is more than the whole budget counts
 * as the whole budget: a large machine runs alone. @share is added to.
 */
bool kt_budget_take(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
		    struct kt_share *share);
bool kt_budget_try(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
		   struct kt_share *share);

/*
 * Likewise, for more of what a share has some of already, and before all who wait: they may be waiting for
 * just that.
 */
bool kt_budget_complete(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
			struct kt_share *share);

/* Gives back so much of @share, at most what is in it. */
void kt_budget_give(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
		    struct kt_share *share);

/* As many of @vcpus as the budget has in all: what a machine with so many takes. */
unsigned int kt_budget_cap_vcpus(const struct kt_budget *budget, unsigned int vcpus);

/* Whether another runner has been in the way of a kt_budget_take() so far. */
bool kt_budget_is_contended(const struct kt_budget *budget);

/*
 * A descriptor, the budget's, that becomes readable when a runner, this one too, gives something back, or dies;
 * kt_budget_drain() it then. What was given back before the first call is not told: try again after it.
 * For runs that meet another only: ending a watch takes the kernel 5 ms (inotify, synchronize_srcu).
 */
int kt_budget_watch(struct kt_budget *budget, int *ret_fd, struct kt_err *reterr);
void kt_budget_drain(struct kt_budget *budget);
