/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How a work type is written: a row in the table of its family (guest/worker/work/), and the
 * functions that its body may call.
 *
 * A body is the function that a worker executes between STAGE_GO and the stop. It calls
 * kt_worker_done() after each iteration, looks at kt_worker_stopping() often, and puts
 * kt_worker_block() and kt_worker_unblock() around each wait of its own, so that the wait does not
 * count as waiting for a CPU. The workers of a thread group share one process, so a body keeps no
 * state in static variables.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ktest/topology.h>
#include <ktest/work.h>

#define KT_UNIT_FDS 64 /* file descriptors of a unit */

/* Shared by PID 1 and the workers of a group. PID 1 writes @stage and @stop, the workers @ready. */
struct kt_group_shared {
	_Atomic uint32_t stage; /* futex: enum stage (guest/worker/worker.c) */
	_Atomic uint32_t ready; /* futex: workers whose set-up is over, also if it failed */
	_Atomic uint32_t stop;  /* 1 asks the workers to end */
} __attribute__((aligned(64)));

/*
 * A unit is the workers that belong together: the two ends of a pipe, a waker and those it wakes.
 * PID 1 makes what they share before it forks them. Each worker plays one part (kt_worker.part) in
 * its unit.
 */
struct kt_unit {
	void *shared; /* kt_work_ops.shared_len() bytes; zero, unless prepare() fills them */
	int fds[KT_UNIT_FDS]; /* -1, or opened by kt_work_ops.prepare() */
};

struct kt_telemetry; /* guest/worker/telemetry.h */

/* A worker, as its body sees it. It exists in the worker only, and its pointers are borrowed. */
struct kt_worker {
	const struct kt_work *work; /* 0 in a parameter of the type is the type's default */
	struct kt_group_shared *group;
	struct kt_unit *unit;
	struct kt_telemetry *telemetry;     /* its own */
	const char *cgroup;                 /* below KT_CGROUP_ROOT; NULL: PID 1's own cgroup */
	const struct kt_topology *topology; /* of the machine */
	unsigned int index;                 /* within its group, from 0 */
	unsigned int part;                  /* within its unit, from 0 */
	unsigned int unit_size;             /* workers of its unit */
	uint64_t random;                    /* state of kt_worker_random() */
};

/* One work type. Members that are NULL are optional. */
struct kt_work_ops {
	/* In messages, and the name of its processes: "SpinWait". The kernel keeps 15 bytes. */
	const char *name;
	/* Works until kt_worker_stopping(), then returns. */
	void (*body)(struct kt_worker *worker);
	/* How many workers make up a unit. NULL: 1. */
	unsigned int (*unit_size)(const struct kt_work *work);
	/* Bytes that the workers of a unit share. NULL: none. */
	size_t (*shared_len)(const struct kt_work *work);
	/* In PID 1 before the fork: fills .fds and .shared. Returns 0 or a negative errno. */
	int (*prepare)(const struct kt_work *work, struct kt_unit *unit);
	/* Why the declaration is wrong, or NULL. Runs on the host, at validation. */
	const char *(*fault)(const struct kt_work *work, const struct kt_topology *topology);
	/* What the machine lacks for this work, or NULL. Runs in PID 1 before the fork. */
	const char *(*lacks)(const struct kt_work *work);
	/* Its workers cannot be threads: they fork, or move their own process. */
	bool processes_only;
};

/* The tables of the families, by enum kt_work_type. A family fills the rows of its own types. */
extern const struct kt_work_ops kt_spin_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_sleep_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_wakeup_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_queue_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_memory_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_lock_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_churn_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_file_works[KT_N_WORK_TYPES];
extern const struct kt_work_ops kt_net_works[KT_N_WORK_TYPES];

/* NULL for a type that does not exist. */
const struct kt_work_ops *kt_work_ops(enum kt_work_type type);

/*
 * Why @work cannot be run on a machine of that topology, or NULL when it can. The text is constant.
 * Runs on the host, at validation, and in the guest for --work-type.
 */
const char *kt_work_fault(const struct kt_work *work, const struct kt_topology *topology);

/* How many workers make up a unit, at least 1. The type must exist. */
unsigned int kt_work_unit_size(const struct kt_work *work);

/*
 * How many workers the group has, in a cgroup that may use @n_cpus CPUs: .workers_pct of the CPUs,
 * rounded up, or .workers; by default one unit, or 2 workers of a type without units.
 */
unsigned int kt_work_count(const struct kt_work *work, unsigned int n_cpus);

/* ---- for bodies ------------------------------------------------------------------------------ */

/* Whether the body is to return. Cheap: one relaxed load. */
static inline bool kt_worker_stopping(const struct kt_worker *worker)
{
	return atomic_load_explicit(&worker->group->stop, memory_order_relaxed);
}

/* Counts one iteration, and ticks. */
void kt_worker_done(struct kt_worker *worker);

/*
 * Tells telemetry that the worker is running now. A body that runs for long between two iterations
 * ticks at least once per millisecond. kt_worker_spin() ticks by itself.
 */
void kt_worker_tick(struct kt_worker *worker);

/*
 * Ends the process because of an error that the body cannot continue after. Writes @what and
 * errno's text to stderr. PID 1 then finds a worker that ended by itself, which fails the test.
 */
__attribute__((noreturn)) void kt_worker_fail(const struct kt_worker *worker, const char *what);

/* Executes @n pauses (pause.h), fewer when the worker is to stop. */
void kt_worker_spin(struct kt_worker *worker, unsigned int n);

/* Spins for @us microseconds of wall-clock time, less when the worker is to stop. */
void kt_worker_spin_us(struct kt_worker *worker, unsigned int us);

/* Before and after a wait that is part of the work, whose time is neither a gap nor a stall. */
void kt_worker_block(struct kt_worker *worker);
void kt_worker_unblock(struct kt_worker *worker);

/*
 * Sleeps for @us microseconds and records how late it woke up as a latency. Returns early and
 * records nothing when the worker is to stop.
 */
void kt_worker_sleep_us(struct kt_worker *worker, unsigned int us);

/* Sleeps until @at_ns (CLOCK_MONOTONIC), records nothing; false when the worker is to stop. */
bool kt_worker_sleep_until(struct kt_worker *worker, uint64_t at_ns);

/* Records a wake-up that took @ns nanoseconds. */
void kt_worker_latency(struct kt_worker *worker, uint64_t ns);

/* Records that @pages pages were looked up, of which @local are on the worker's current node. */
void kt_worker_pages(struct kt_worker *worker, uint64_t pages, uint64_t local);

/* The next random number; the sequence depends on the test's seed and the worker's index alone. */
uint64_t kt_worker_random(struct kt_worker *worker);

/*
 * Waits while *@futex is @value, for at most @us microseconds (0: without a limit) and only until
 * the worker is to stop. The wait is marked as blocking. Returns whether *@futex has another value
 * now; false means that the time is up or that the worker is to stop.
 */
bool kt_worker_futex_wait(struct kt_worker *worker, _Atomic uint32_t *futex, uint32_t value,
			  unsigned int us);

/* Wakes at most @n waiters, also those in other processes. */
void kt_worker_futex_wake(_Atomic uint32_t *futex, int n);

/* Waits until @fd is readable; the wait is marked as blocking. False when the worker is to stop. */
bool kt_worker_wait_readable(struct kt_worker *worker, int fd);

/*
 * Sets policy and parameters of the calling thread (guest/worker/setup.c). KT_SCHED_UNSET changes
 * nothing. Returns 0 or the negative errno of sched_setattr(2).
 */
int kt_worker_set_sched(const struct kt_sched *sched);
