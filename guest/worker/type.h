/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Work types, as they are written: a row of a family's table, and what its body may use.
 *
 * A body runs in the worker, from go to stop. It calls kt_worker_done() after each iteration, looks at
 * kt_worker_stopping() often, and marks what it waits for by itself, so that this does not count as
 * waiting for a CPU. Bodies of thread groups run in one process: nothing static.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ktest/topology.h>
#include <ktest/work.h>

#define KT_UNIT_FDS 64

/* What PID 1 and all workers of a group share. */
struct kt_group_shared {
	_Atomic uint32_t stage; /* futex: enum kt_stage */
	_Atomic uint32_t ready; /* futex: workers that have set themselves up, or failed to */
	_Atomic uint32_t stop;  /* 1 asks them to end */
} __attribute__((aligned(64)));

/* What workers that belong together share: made before they are forked. */
struct kt_unit {
	void *shared;         /* zeroed; kt_work_ops.shared_len() bytes */
	int fds[KT_UNIT_FDS]; /* made by kt_work_ops.prepare(); -1 */
};

struct kt_telemetry; /* guest/worker/telemetry.h */

/* A worker, as its body sees it. */
struct kt_worker {
	const struct kt_work *work;
	struct kt_group_shared *group;
	struct kt_unit *unit;
	struct kt_telemetry *telemetry;
	const char *cgroup;                 /* NULL: where PID 1 is */
	const struct kt_topology *topology; /* of the machine */
	unsigned int index;                 /* within its group */
	unsigned int part;                  /* within its unit */
	unsigned int unit_size;
	uint64_t random; /* state */
};

/* One work type. */
struct kt_work_ops {
	const char *name; /* as in messages, and of its processes: "SpinWait" */
	void (*body)(struct kt_worker *worker);
	/* How many workers belong together; NULL: 1. */
	unsigned int (*unit_size)(const struct kt_work *work);
	/* Bytes that a unit shares; NULL: none. */
	size_t (*shared_len)(const struct kt_work *work);
	/* Before the fork, in PID 1: pipes and the like, and values in shared memory. */
	int (*prepare)(const struct kt_work *work, struct kt_unit *unit);
	/* Why it cannot be run like that, or NULL; for validation, on the host. */
	const char *(*fault)(const struct kt_work *work, const struct kt_topology *topology);
	/* What the machine lacks to run it, or NULL; in the guest, before the fork. */
	const char *(*lacks)(const struct kt_work *work);
	bool processes_only;
};

/* The tables of the families, by enum kt_work_type; a family has rows for its own types only. */
extern const struct kt_work_ops kt_spin_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_sleep_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_wakeup_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_queue_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_memory_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_lock_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_churn_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_file_works[KT_N_WORK_TYPES];

/* NULL for a type that does not exist. */
const struct kt_work_ops *kt_work_ops(enum kt_work_type type);

/* Why @work cannot be run on such a machine, or NULL when it can. */
const char *kt_work_fault(const struct kt_work *work, const struct kt_topology *topology);

/* How many workers belong together, at least 1. */
unsigned int kt_work_unit_size(const struct kt_work *work);

/* How many workers there are to be, where the cgroup may use @n_cpus. */
unsigned int kt_work_count(const struct kt_work *work, unsigned int n_cpus);

/* ---- for bodies ------------------------------------------------------------------------------ */

static inline bool kt_worker_stopping(const struct kt_worker *worker)
{
	return atomic_load_explicit(&worker->group->stop, memory_order_relaxed);
}

/* One iteration is done. */
void kt_worker_done(struct kt_worker *worker);

/* Looks at the clock and the CPU; at least once in a millisecond of running. kt_worker_spin() does. */
void kt_worker_tick(struct kt_worker *worker);

/* What cannot be gone on without: says so on stderr, with errno's text, and ends the process. */
__attribute__((noreturn)) void kt_worker_fail(const struct kt_worker *worker, const char *what);

/* @n pauses of the CPU, or fewer when it is to stop. */
void kt_worker_spin(struct kt_worker *worker, unsigned int n);

/* Spins for so long, or until it is to stop. */
void kt_worker_spin_us(struct kt_worker *worker, unsigned int us);

/* Around what the worker waits for by itself: not to be counted as waiting for a CPU. */
void kt_worker_block(struct kt_worker *worker);
void kt_worker_unblock(struct kt_worker *worker);

/* Sleeps, and measures how late it woke up. Returns early when it is to stop. */
void kt_worker_sleep_us(struct kt_worker *worker, unsigned int us);

/* Sleeps until then (CLOCK_MONOTONIC) and measures nothing; false when it is to stop. */
bool kt_worker_sleep_until(struct kt_worker *worker, uint64_t at_ns);

/* A wake-up that took so long. */
void kt_worker_latency(struct kt_worker *worker, uint64_t ns);

/* What the worker knows of its memory: so many pages looked up, so many of them on its own node. */
void kt_worker_pages(struct kt_worker *worker, uint64_t pages, uint64_t local);

/* Reproducible from the test's seed. */
uint64_t kt_worker_random(struct kt_worker *worker);

/*
 * Waits while *@futex is @value, at most @us (0: for long), and not when it is to stop: whoever stops the
 * group cannot wake all futexes, but interrupts the wait. Marked as blocking. False: time is up, or it
 * is to stop.
 */
bool kt_worker_futex_wait(struct kt_worker *worker, _Atomic uint32_t *futex, uint32_t value,
			  unsigned int us);

/* Wakes at most @n waiters. */
void kt_worker_futex_wake(_Atomic uint32_t *futex, int n);

/* Waits until @fd is readable; false when it is to stop. Marked as blocking. */
bool kt_worker_wait_readable(struct kt_worker *worker, int fd);

/* The calling thread's scheduling, as a struct kt_sched says; 0 or a negative errno. */
int kt_worker_set_sched(const struct kt_sched *sched);
