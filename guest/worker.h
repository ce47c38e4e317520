/* SPDX-License-Identifier: MIT */
#pragma once
/* Workers: processes that do one kind of work until they are stopped. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/scenario.h>

#include "util/err.h"

/*
 * What the workers of a group and PID 1 share. One flag starts all and one stops all: PID 1 may
 * have to compete for its CPU with workers that run already.
 */
struct kt_group_shared {
	_Atomic uint32_t go;   /* futex: 1 starts the workers */
	_Atomic uint32_t stop; /* 1 asks them to end */
} __attribute__((aligned(64)));

/* What one worker and PID 1 share; a cache line each. */
struct kt_worker_shared {
	_Atomic uint64_t iterations; /* units of work done */
} __attribute__((aligned(64)));

/* What a work type's body sees. */
struct kt_worker {
	const struct kt_work *work;
	struct kt_group_shared *group;
	struct kt_worker_shared *shared;
	unsigned int index; /* within its group */
};

/* A work type: a row of the table. */
struct kt_work_ops {
	const char *name;                       /* as in messages: "SpinWait" */
	void (*body)(struct kt_worker *worker); /* returns when the worker is to stop */
};

/* NULL for a type that does not exist. */
const struct kt_work_ops *kt_work_ops(enum kt_work_type type);

/* Why @work cannot be run, or NULL when it can. */
const char *kt_work_fault(const struct kt_work *work);

unsigned int kt_work_count(const struct kt_work *work);

struct kt_worker_group;

/*
 * Starts the workers of @work in the cgroup @cgroup (NULL: where PID 1 is): forks all, moves all,
 * then lets all go.
 */
int kt_worker_group_start(const struct kt_work *work, const char *cgroup,
			  struct kt_worker_group **ret_group, struct kt_err *reterr);

/* Asks every worker to end, kills those that have not by @deadline_ns, reaps all, frees the group.
 */
struct kt_worker_group *kt_worker_group_stop(struct kt_worker_group *group, uint64_t deadline_ns);

unsigned int kt_worker_group_count(const struct kt_worker_group *group);

/* Becomes readable when a worker ends; to wait for with others. */
int kt_worker_group_fd(const struct kt_worker_group *group);

bool kt_worker_group_has(const struct kt_worker_group *group, pid_t pid);

/* A worker that has ended by itself, which none should: its index, or -1. *@ret_status as wait(2).
 */
int kt_worker_group_lost(struct kt_worker_group *group, int *ret_status);

static inline bool kt_worker_stopping(const struct kt_worker *worker)
{
	return atomic_load_explicit(&worker->group->stop, memory_order_relaxed);
}

static inline void kt_worker_done(struct kt_worker *worker)
{
	atomic_fetch_add_explicit(&worker->shared->iterations, 1, memory_order_relaxed);
}
