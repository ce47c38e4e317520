/* SPDX-License-Identifier: MIT */
#include "guest/worker/type.h"

#include <errno.h>
#include <linux/futex.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <ktest/custom.h>

#include "guest/cgroup/cpuset.h"
#include "guest/worker/pause.h"
#include "guest/worker/telemetry.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/random.h"

/*
 * All work types in one place: how to find a type's row, whether a declaration of work is right,
 * and what bodies call while they run.
 *
 * The lookups and faults also run on the host, where no worker exists. The functions for bodies run
 * in workers only. Each of their waits ends soon after the group is asked to stop: PID 1 interrupts
 * the system call with a signal. A signal that comes between the look at the stop flag and the
 * system call is lost, so no system call here waits longer than LOOK_NS before the next look at the
 * flag.
 */

#define DEFAULT_WORKERS 2u
#define WORKERS_MAX     4096u
#define SPINS_PER_TICK  64u                      /* pauses */
#define LOOK_NS         (100 * KT_NSEC_PER_MSEC) /* from one look at the stop flag to the next */

/* ---- the table ------------------------------------------------------------------------------- */

/* struct kt_custom is the public, opaque name of struct kt_worker. */
static void custom_body(struct kt_worker *worker)
{
	worker->work->custom((struct kt_custom *)worker);
}

static const char *custom_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	return work->custom ? NULL : "KT_CUSTOM needs .custom, a function";
}

static const struct kt_work_ops custom_works[KT_N_WORK_TYPES] = {
	[KT_CUSTOM] = { .name = "Custom", .body = custom_body, .fault = custom_fault },
};

static const struct kt_work_ops *const families[] = {
	kt_spin_works, kt_sleep_works, kt_wakeup_works, kt_queue_works, kt_memory_works,
	kt_lock_works, kt_churn_works, kt_file_works,   kt_net_works,   custom_works,
};

const struct kt_work_ops *kt_work_ops(enum kt_work_type type)
{
	if (type <= KT_WORK_NONE || type >= KT_N_WORK_TYPES)
		return NULL;
	for (size_t i = 0; i < KT_ARRAY_LEN(families); i++) {
		if (families[i][type].body)
			return &families[i][type];
	}
	return NULL;
}

unsigned int kt_work_unit_size(const struct kt_work *work)
{
	const struct kt_work_ops *ops = kt_work_ops(work->type);

	return ops->unit_size ? ops->unit_size(work) : 1;
}

unsigned int kt_work_count(const struct kt_work *work, unsigned int n_cpus)
{
	unsigned int unit = kt_work_unit_size(work);

	if (work->workers_pct > 0)
		return (unsigned int)ceil(n_cpus * work->workers_pct / 100);
	if (work->workers)
		return work->workers;
	return unit > 1 ? unit : DEFAULT_WORKERS;
}

/* What the kernel would refuse with a bare EINVAL is refused here, on the host, in words. */
static const char *sched_fault(const struct kt_sched *sched)
{
	unsigned int period_us = sched->period_us ?: sched->deadline_us;

	switch (sched->policy) {
	case KT_SCHED_FIFO:
	case KT_SCHED_RR:
		return sched->priority >= 1 && sched->priority <= 99
			       ? NULL
			       : "the priority of a real-time policy must be within 1..99";
	case KT_SCHED_DEADLINE:
		/* The kernel refuses a runtime below 1024 ns (DL_SCALE in kernel/sched). */
		return sched->runtime_us >= 2 && sched->runtime_us <= sched->deadline_us &&
				       sched->deadline_us <= period_us
			       ? NULL
			       : "SCHED_DEADLINE needs 2 us <= runtime <= deadline <= period";
	case KT_SCHED_UNSET:
	case KT_SCHED_OTHER:
	case KT_SCHED_BATCH:
	case KT_SCHED_IDLE:
	case KT_SCHED_EXT:
		return sched->priority ? "only a real-time policy has a priority" : NULL;
	}
	return "the scheduling policy does not exist";
}

/*
 * A percentage is checked against all CPUs of the machine, because the cgroup's cpuset is not known
 * here. The exact number is checked when the group starts.
 */
static const char *count_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	unsigned int n;

	if (work->workers && work->workers_pct != 0)
		return "it has both .workers and .workers_pct";
	if (work->workers_pct != 0 && !(work->workers_pct > 0 && work->workers_pct <= 10000))
		return ".workers_pct must be above 0, and at most 10000";
	n = kt_work_count(work, kt_topology_cpus(topology));
	if (!n || n > WORKERS_MAX)
		return "it has more than 4096 workers";
	if (!work->workers_pct && n % kt_work_unit_size(work))
		return "the number of workers is not a multiple of how many belong together";
	return NULL;
}

static const char *affinity_fault(const struct kt_affinity *affinity,
				  const struct kt_topology *topology)
{
	if (affinity->kind == KT_AFFINITY_RANDOM_SUBSET && !affinity->count)
		return "a random subset of 0 CPUs";
	if (affinity->kind == KT_AFFINITY_SMT_SIBLINGS && topology->threads < 2)
		return "SMT siblings need a topology with .threads = 2";
	return NULL;
}

/* The type's own fault is first: its message says more. */
const char *kt_work_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	const struct kt_work_ops *ops = kt_work_ops(work->type);
	const char *why;

	if (!ops)
		return "it has no work type";
	if (work->nice < -20 || work->nice > 19)
		return ".nice must be within -20..19";
	if (work->comm && strlen(work->comm) > 15)
		return ".comm is longer than 15 characters";
	if (work->threads && ops->processes_only)
		return "this type forks or moves processes; its workers cannot be threads";
	why = ops->fault ? ops->fault(work, topology) : NULL;
	return why ?: count_fault(work, topology) ?: sched_fault(&work->sched) ?:
	       sched_fault(&work->sched2) ?:
	       affinity_fault(&work->affinity, topology);
}

/* ---- what bodies call ------------------------------------------------------------------------ */

void kt_worker_tick(struct kt_worker *worker)
{
	kt_telemetry_tick(worker->telemetry);
}

void kt_worker_done(struct kt_worker *worker)
{
	(void)atomic_fetch_add_explicit(&worker->telemetry->iterations, 1, memory_order_relaxed);
	kt_telemetry_tick(worker->telemetry);
}

/*
 * PID 1 notices the exit and fails the test. While a group is being
 * stopped its members end one after the other, and what they share breaks: that is not a fault.
 */
void kt_worker_fail(const struct kt_worker *worker, const char *what)
{
	const struct kt_work_ops *ops = kt_work_ops(worker->work->type);

	if (kt_worker_stopping(worker))
		_exit(0);
	(void)fprintf(stderr, "%s, worker %u: %s: %s\n", ops->name, worker->index, what,
		      strerror(errno));
	(void)fflush(stderr);
	_exit(1);
}

/* Spins in short slices: gaps and stop requests are only noticed at ticks. */
void kt_worker_spin(struct kt_worker *worker, unsigned int n)
{
	while (n && !kt_worker_stopping(worker)) {
		unsigned int now = KT_MIN(n, SPINS_PER_TICK);

		kt_cpu_pause(now);
		n -= now;
		kt_telemetry_tick(worker->telemetry);
	}
}

void kt_worker_spin_us(struct kt_worker *worker, unsigned int us)
{
	uint64_t end_ns = kt_now_ns() + us * KT_NSEC_PER_USEC;

	while (kt_left_ns(end_ns) && !kt_worker_stopping(worker))
		kt_worker_spin(worker, SPINS_PER_TICK);
}

/* Ends a stretch in which the worker wanted to run; kt_worker_unblock() begins the next. */
void kt_worker_block(struct kt_worker *worker)
{
	kt_telemetry_tick(worker->telemetry);
}

void kt_worker_unblock(struct kt_worker *worker)
{
	kt_telemetry_resume(worker->telemetry);
}

/* True only if the time came: a worker that is to stop has no latency to report. */
bool kt_worker_sleep_until(struct kt_worker *worker, uint64_t at_ns)
{
	uint64_t now_ns = 0;

	kt_worker_block(worker);
	while (!kt_worker_stopping(worker) && (now_ns = kt_now_ns()) < at_ns) {
		struct timespec until = kt_timespec(KT_MIN(at_ns, now_ns + LOOK_NS));

		(void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
	}
	kt_worker_unblock(worker);
	return now_ns >= at_ns;
}

void kt_worker_sleep_us(struct kt_worker *worker, unsigned int us)
{
	uint64_t end_ns = kt_now_ns() + us * KT_NSEC_PER_USEC;

	if (kt_worker_sleep_until(worker, end_ns))
		kt_worker_latency(worker, kt_now_ns() - end_ns);
}

void kt_worker_latency(struct kt_worker *worker, uint64_t ns)
{
	kt_telemetry_latency(worker->telemetry, ns);
}

void kt_worker_pages(struct kt_worker *worker, uint64_t pages, uint64_t local)
{
	worker->telemetry->pages += pages;
	worker->telemetry->local_pages += local;
}

uint64_t kt_worker_random(struct kt_worker *worker)
{
	return kt_random_next(&worker->random);
}

/* FUTEX_WAIT_BITSET takes an absolute timeout, so that a retry does not extend the wait. */
bool kt_worker_futex_wait(struct kt_worker *worker, _Atomic uint32_t *futex, uint32_t value,
			  unsigned int us)
{
	uint64_t end_ns = us ? kt_now_ns() + us * KT_NSEC_PER_USEC : KT_NSEC_NEVER;

	kt_worker_block(worker);
	while (atomic_load(futex) == value && kt_left_ns(end_ns) && !kt_worker_stopping(worker)) {
		struct timespec until = kt_timespec(KT_MIN(end_ns, kt_now_ns() + LOOK_NS));

		(void)syscall(SYS_futex, futex, FUTEX_WAIT_BITSET, value, &until, NULL,
			      FUTEX_BITSET_MATCH_ANY);
	}
	kt_worker_unblock(worker);
	return atomic_load(futex) != value;
}

void kt_worker_futex_wake(_Atomic uint32_t *futex, int n)
{
	(void)syscall(SYS_futex, futex, FUTEX_WAKE, n, NULL, NULL, 0);
}

/* POLLHUP and POLLERR end the wait too, but are not POLLIN: the caller sees false. */
bool kt_worker_wait_readable(struct kt_worker *worker, int fd)
{
	struct pollfd waiting = { .fd = fd, .events = POLLIN };

	kt_worker_block(worker);
	while (!kt_worker_stopping(worker) &&
	       poll(&waiting, 1, (int)(LOOK_NS / KT_NSEC_PER_MSEC)) <= 0)
		;
	kt_worker_unblock(worker);
	return waiting.revents & POLLIN;
}

/* ---- what custom work calls (macros/ktest/custom.h) ------------------------------------------ */

bool kt_custom_stopping(const struct kt_custom *worker)
{
	return kt_worker_stopping((const struct kt_worker *)worker);
}

void kt_custom_done(struct kt_custom *worker)
{
	kt_worker_done((struct kt_worker *)worker);
}

void kt_custom_spin(struct kt_custom *worker, unsigned int n)
{
	kt_worker_spin((struct kt_worker *)worker, n);
}

void kt_custom_sleep_us(struct kt_custom *worker, unsigned int us)
{
	kt_worker_sleep_us((struct kt_worker *)worker, us);
}

void kt_custom_block(struct kt_custom *worker)
{
	kt_worker_block((struct kt_worker *)worker);
}

void kt_custom_unblock(struct kt_custom *worker)
{
	kt_worker_unblock((struct kt_worker *)worker);
}

void kt_custom_latency(struct kt_custom *worker, uint64_t ns)
{
	kt_worker_latency((struct kt_worker *)worker, ns);
}

uint64_t kt_custom_arg(const struct kt_custom *worker)
{
	return ((const struct kt_worker *)worker)->work->arg;
}

unsigned int kt_custom_index(const struct kt_custom *worker)
{
	return ((const struct kt_worker *)worker)->index;
}

uint64_t kt_custom_random(struct kt_custom *worker)
{
	return kt_worker_random((struct kt_worker *)worker);
}
