/* SPDX-License-Identifier: MIT */
/*
 * Locks and priorities: workers that keep one another from running.
 *
 * - MutexContention: workers take one futex lock in turn. Latency is the time to get the lock.
 * - PriorityInversion: a SCHED_FIFO worker (high) waits for a lock that a worker of lower priority
 *   (low) holds, while a third (medium) keeps low off the CPU. Latency is the time to get the lock.
 * - RtStarvation: SCHED_FIFO workers that never sleep, beside normal workers. No latencies.
 * - PreemptStorm: a SCHED_FIFO worker wakes up often and preempts. Latency is how late it woke up.
 *
 * The types rely on these facts: FUTEX_WAIT sleeps only while the word has the expected value.
 * FUTEX_LOCK_PI2 lends the waiter's priority to the holder (kernel:
 * Documentation/locking/pi-futex.rst), which avoids the inversion, and takes a CLOCK_MONOTONIC
 * timeout. A SCHED_FIFO task runs until it sleeps, yields, or is preempted by a higher priority. A
 * worker never ends with the lock held: its partners would wait until the group is stopped.
 */
#include "guest/worker/type.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/worker/telemetry.h"
#include "util/clock.h"

#define DEFAULT_SPINS       1024u                    /* PAUSE instructions */
#define DEFAULT_RT_PRIORITY 50u                      /* of SCHED_FIFO workers */
#define LOOK_NS             (100 * KT_NSEC_PER_MSEC) /* see await_pi() */

/* What a unit shares. The lock word has a cache line of its own. */
struct shared {
	_Atomic uint32_t word; /* futex: enum plain; with KT_LOCK_PI the holder's thread ID */
	_Atomic uint32_t never __attribute__((aligned(64))); /* stays 0: a futex for timed waits */
	_Atomic uint32_t gathered; /* futex: workers that have set their policy; see gather() */
} __attribute__((aligned(64)));

static size_t shared_len(const struct kt_work *work)
{
	(void)work;
	return sizeof(struct shared);
}

/* Errors are ignored: root_fault() has excluded those that a declaration can cause. */
static void become_fifo(unsigned int priority)
{
	(void)kt_worker_set_sched(
		&(const struct kt_sched){ .policy = KT_SCHED_FIFO, .priority = priority });
}

static const char *root_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	if (work->uid)
		return "only root can be SCHED_FIFO; it has .uid";
	return work->rt_priority > 99 ? ".rt_priority must be within 1..99" : NULL;
}

/*
 * Waits until all workers of the unit have set their policy. A real-time worker that began at once
 * would take its CPU from workers that have not set their policy yet.
 */
static void gather(struct kt_worker *worker)
{
	struct shared *shared = worker->unit->shared;
	uint32_t now = atomic_fetch_add(&shared->gathered, 1) + 1;

	if (now == worker->unit_size)
		kt_worker_futex_wake(&shared->gathered, INT32_MAX);
	while (now < worker->unit_size && !kt_worker_stopping(worker)) {
		(void)kt_worker_futex_wait(worker, &shared->gathered, now, 0);
		now = atomic_load(&shared->gathered);
	}
}

/* ---- the locks ------------------------------------------------------------------------------- */

/* CONTENDED: locked, and there may be waiters to wake. */
enum plain { FREE, LOCKED, CONTENDED };

/* The lock of Drepper, "Futexes Are Tricky" (2011), mutex2. False when the worker is to stop. */
static bool lock_plain(struct kt_worker *worker, _Atomic uint32_t *word)
{
	uint32_t was = FREE;

	if (atomic_compare_exchange_strong(word, &was, LOCKED))
		return true;
	while (atomic_exchange(word, CONTENDED) != FREE) {
		(void)kt_worker_futex_wait(worker, word, CONTENDED, 0);
		if (kt_worker_stopping(worker))
			return false;
	}
	return true;
}

static void unlock_plain(_Atomic uint32_t *word)
{
	if (atomic_exchange(word, FREE) == CONTENDED)
		kt_worker_futex_wake(word, 1);
}

/*
 * The kernel restarts FUTEX_LOCK_PI2 after every signal (futex_lock_pi() returns -ERESTARTNOINTR),
 * so PID 1 cannot interrupt it to stop the group. Instead the wait times out every LOOK_NS to look
 * at the stop flag.
 */
static bool await_pi(struct kt_worker *worker, _Atomic uint32_t *word)
{
	long r = -1;

	kt_worker_block(worker);
	while (r < 0 && !kt_worker_stopping(worker)) {
		struct timespec until = kt_timespec(kt_now_ns() + LOOK_NS);

		r = syscall(SYS_futex, word, FUTEX_LOCK_PI2, 0, &until, NULL, 0);
		if (r < 0 && errno != ETIMEDOUT && errno != EAGAIN && errno != EINTR)
			_exit(1); /* the lock is broken; PID 1 reports the end of the worker */
	}
	kt_worker_unblock(worker);
	return r == 0;
}

/* Without contention the lock is taken in user space: the word becomes the thread ID. */
static bool lock_pi(struct kt_worker *worker, _Atomic uint32_t *word)
{
	uint32_t was = 0;

	return atomic_compare_exchange_strong(word, &was, (uint32_t)worker->telemetry->tid) ||
	       await_pi(worker, word);
}

/* The exchange fails when the kernel has set FUTEX_WAITERS in the word. */
static void unlock_pi(const struct kt_worker *worker, _Atomic uint32_t *word)
{
	uint32_t was = (uint32_t)worker->telemetry->tid;

	if (!atomic_compare_exchange_strong(word, &was, 0))
		(void)syscall(SYS_futex, word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
}

/*
 * Takes the lock and records how long that took. False when the worker is to stop; it does not hold
 * the lock then. Every body that gets true calls unlock() before it returns.
 */
static bool lock(struct kt_worker *worker)
{
	struct shared *shared = worker->unit->shared;
	uint64_t begin_ns = kt_now_ns();

	if (kt_worker_stopping(worker) ||
	    !(worker->work->lock == KT_LOCK_PI ? lock_pi : lock_plain)(worker, &shared->word))
		return false;
	kt_worker_latency(worker, kt_now_ns() - begin_ns);
	return true;
}

static void unlock(struct kt_worker *worker)
{
	struct shared *shared = worker->unit->shared;

	if (worker->work->lock == KT_LOCK_PI)
		unlock_pi(worker, &shared->word);
	else
		unlock_plain(&shared->word);
}

/* ---- MutexContention ------------------------------------------------------------------------- */

static unsigned int mutex_size(const struct kt_work *work)
{
	return work->contenders ?: 4;
}

static void mutex_contention(struct kt_worker *worker)
{
	while (lock(worker)) {
		kt_worker_spin(worker, worker->work->hold ?: 256);
		unlock(worker);
		kt_worker_done(worker);
		kt_worker_spin(worker, worker->work->spins ?: DEFAULT_SPINS);
	}
}

/* ---- PriorityInversion ----------------------------------------------------------------------- */

#define PRIORITY_STEP 10u /* between high and medium, and between medium and low */

static unsigned int inversion_size(const struct kt_work *work)
{
	return (work->high ?: 1) + (work->medium ?: 1) + (work->low ?: 1);
}

/*
 * Sleeps on a futex that is never woken. kt_worker_sleep_us() would record a latency, and the
 * latencies of this type are to be those of the lock alone.
 */
static void pause_us(struct kt_worker *worker, unsigned int us)
{
	struct shared *shared = worker->unit->shared;

	(void)kt_worker_futex_wait(worker, &shared->never, 0, us);
}

/* Holds the lock for no time at all, so each latency is what low and medium cause. */
static void high(struct kt_worker *worker)
{
	while (!kt_worker_stopping(worker)) {
		pause_us(worker, worker->work->interval_us ?: 1000);
		if (!lock(worker))
			return;
		unlock(worker);
		kt_worker_done(worker);
	}
}

/* It must sleep: with the plain lock, low would otherwise never run again on a CPU they share. */
static void medium(struct kt_worker *worker)
{
	unsigned int burst_us = worker->work->burst_us ?: 20000;
	unsigned int spins = worker->work->spins ?: DEFAULT_SPINS;

	while (!kt_worker_stopping(worker)) {
		uint64_t end_ns = kt_now_ns() + burst_us * KT_NSEC_PER_USEC;

		while (kt_left_ns(end_ns) && !kt_worker_stopping(worker)) {
			kt_worker_spin(worker, spins);
			kt_worker_done(worker);
		}
		pause_us(worker, worker->work->sleep_us ?: 5000);
	}
}

/* Holds the lock most of the time and never sleeps. */
static void low(struct kt_worker *worker)
{
	while (lock(worker)) {
		kt_worker_spin(worker, worker->work->hold ?: 4096);
		unlock(worker);
		kt_worker_done(worker);
	}
}

/* The parts of a unit, in this order: high, medium, low. Priorities fall by PRIORITY_STEP. */
static void priority_inversion(struct kt_worker *worker)
{
	unsigned int n_high = worker->work->high ?: 1, n_medium = worker->work->medium ?: 1;
	unsigned int rank = (worker->part >= n_high) + (worker->part >= n_high + n_medium);
	static void (*const bodies[])(struct kt_worker * worker) = { high, medium, low };

	become_fifo((worker->work->rt_priority ?: DEFAULT_RT_PRIORITY) - rank * PRIORITY_STEP);
	gather(worker);
	bodies[rank](worker);
}

static const char *inversion_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	if (work->rt_priority && work->rt_priority <= 2 * PRIORITY_STEP)
		return ".rt_priority must be above 20: the low workers have 20 less";
	return root_fault(work, topology);
}

/* ---- RtStarvation, PreemptStorm -------------------------------------------------------------- */

static void spin(struct kt_worker *worker)
{
	while (!kt_worker_stopping(worker)) {
		kt_worker_spin(worker, worker->work->spins ?: DEFAULT_SPINS);
		kt_worker_done(worker);
	}
}

static unsigned int starvation_size(const struct kt_work *work)
{
	return (work->rt ?: 1) + (work->cfs ?: 1);
}

/*
 * The first workers of a unit are SCHED_FIFO and take whole CPUs. On those CPUs the others get only
 * what the kernel's RT throttling or fair server gives them.
 */
static void rt_starvation(struct kt_worker *worker)
{
	if (worker->part < (worker->work->rt ?: 1))
		become_fifo(worker->work->rt_priority ?: DEFAULT_RT_PRIORITY);
	gather(worker);
	spin(worker);
}

static unsigned int storm_size(const struct kt_work *work)
{
	return (work->cfs ?: 2) + 1;
}

/* The first worker of a unit is SCHED_FIFO: at each wake-up it preempts a normal worker. */
static void preempt_storm(struct kt_worker *worker)
{
	if (worker->part == 0)
		become_fifo(worker->work->rt_priority ?: DEFAULT_RT_PRIORITY);
	gather(worker);
	if (worker->part > 0)
		spin(worker);
	while (!kt_worker_stopping(worker)) {
		kt_worker_sleep_us(worker, worker->work->sleep_us ?: 1000);
		kt_worker_spin(worker, worker->work->spins ?: DEFAULT_SPINS);
		kt_worker_done(worker);
	}
}

const struct kt_work_ops kt_lock_works[KT_N_WORK_TYPES] = {
	[KT_MUTEX_CONTENTION] = { .name = "MutexContention",
				  .body = mutex_contention,
				  .unit_size = mutex_size,
				  .shared_len = shared_len },
	[KT_PRIORITY_INVERSION] = { .name = "PriorityInversion",
				    .body = priority_inversion,
				    .unit_size = inversion_size,
				    .shared_len = shared_len,
				    .fault = inversion_fault },
	[KT_RT_STARVATION] = { .name = "RtStarvation",
			       .body = rt_starvation,
			       .unit_size = starvation_size,
			       .shared_len = shared_len,
			       .fault = root_fault },
	[KT_PREEMPT_STORM] = { .name = "PreemptStorm",
			       .body = preempt_storm,
			       .unit_size = storm_size,
			       .shared_len = shared_len,
			       .fault = root_fault },
};
