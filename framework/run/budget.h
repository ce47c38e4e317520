/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The budget: how many vCPUs and MiB all runners on this host may use together at any time.
 *
 * A file in the cache stands for the host. It has one byte for each vCPU and one for each 64 MiB
 * of memory. A runner locks the bytes of what it uses, and the kernel unlocks them when the
 * runner dies. A runner whose budget is N locks bytes among the first N only, so that runners
 * with different budgets share the smaller one.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "util/err.h"

struct kt_budget;

/* What a job holds of the budget: never more than the whole budget. */
struct kt_share {
	unsigned int vcpus;
	unsigned int mib; /* a multiple of 64 */
};

/*
 * Opens the budget of this host with @vcpus (at least 1 is used) and @mib of memory; 0 means
 * three quarters of the host's memory. Returns 0, or a negative errno when the file cannot be
 * opened or memory is short. Where the cache's file system has no locks, it returns 0 with a
 * warning in @reterr, and the budget is that of this run alone.
 */
int kt_budget_open(unsigned int vcpus, unsigned int mib, struct kt_budget **ret_budget,
		   struct kt_err *reterr);

/*
 * The path of a file in the directory @dir of the cache that is about this host alone, to be freed;
 * NULL when out of memory. @fs_type, as of statfs(2): on a network file system other hosts have the
 * same cache, and the name also has this host's boot ID.
 */
char *kt_budget_path(const char *dir, const char *name, long fs_type);

/* Gives everything back. NULL is allowed; returns NULL. */
struct kt_budget *kt_budget_close(struct kt_budget *budget);

/*
 * Takes @vcpus and @mib or nothing, and adds what it took to @share. A request above the whole
 * budget takes the whole budget: a large machine runs alone.
 *
 * False when there is not enough, or another runner has the next turn. If other runners are in the
 * way and none has the next turn, this runner gets it: no other runner takes anything until the
 * request is repeated and succeeds. Without turns, a large machine would wait for ever while small
 * ones come and go.
 */
bool kt_budget_take(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
		    struct kt_share *share);

/* As kt_budget_take(), for an optional request: it does not take the next turn when it fails. */
bool kt_budget_try(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
		   struct kt_share *share);

/*
 * As kt_budget_take(), for the rest of a share that is held in part. It ignores turns, because
 * the runner whose turn it is may be waiting for this share to be given back.
 */
bool kt_budget_complete(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
			struct kt_share *share);

/* Gives @vcpus and @mib back, at most what @share holds, and subtracts them from @share. */
void kt_budget_give(struct kt_budget *budget, unsigned int vcpus, unsigned int mib,
		    struct kt_share *share);

/*
 * Gives all vCPUs back for the time in which the machines of this runner are paused; the shares of
 * its jobs stay as they are. Memory is not lent, because a paused machine keeps it.
 */
void kt_budget_lend(struct kt_budget *budget);

/* Takes back what was lent, as kt_budget_complete(). False when other runners use it. */
bool kt_budget_reclaim(struct kt_budget *budget);

/*
 * Whether the last request failed because another runner was just taking something. No event tells
 * when that has ended, which takes microseconds: the caller repeats the request a little later.
 */
bool kt_budget_is_busy(const struct kt_budget *budget);

/*
 * The process that held what the last request lacked, as far as is known: a runner, which may be
 * stopped, or dead with machines that are not yet. 0: unknown.
 */
pid_t kt_budget_holder(const struct kt_budget *budget);

/* What a machine with @vcpus takes: at most the vCPUs of the whole budget. */
unsigned int kt_budget_cap_vcpus(const struct kt_budget *budget, unsigned int vcpus);

/* Whether another runner has ever made a request of this runner fail. */
bool kt_budget_is_contended(const struct kt_budget *budget);

/*
 * Gives a descriptor that becomes readable when any runner, this one included, gives something
 * back or dies. The budget owns it. The first call starts the watch, which does not see what was
 * given back before: the caller repeats its request after it.
 *
 * Only a run that has met another should watch: the kernel needs 5 ms to end a watch (inotify,
 * synchronize_srcu). Returns 0, or a negative errno.
 */
int kt_budget_watch(struct kt_budget *budget, int *ret_fd, struct kt_err *reterr);

/* Reads what made the descriptor readable. kt_budget_watch() must have succeeded. */
void kt_budget_drain(struct kt_budget *budget);
