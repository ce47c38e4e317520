/* SPDX-License-Identifier: MIT */
/* Locks and priorities: which worker gets the CPU, and how long it takes to get a lock. */
#include "tests/suites/look.h"

/* The workers have CPU 0 to themselves. CPU 1 is for PID 1, which they would starve. */
#define ON_CPU_0  .affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT("0"))
#define TWO_CPUS  .topology = { .llcs = 1, .cores = 2, .threads = 1 }
#define FULL_TIME .duration_ms = 1000

/* ---- MutexContention ------------------------------------------------------------------------- */

/*
 * Each worker has a CPU to itself, and sleeps only for the lock, which the other worker holds most
 * of the time. So the lock causes all of its switches.
 */
static int mutex_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 2);
	KT_EXPECT_GT(ctx, sum.iterations, 20);
	KT_EXPECT_GE(ctx, sum.n_latencies, sum.iterations);
	KT_EXPECT_GT(ctx, sum.switches, sum.iterations / 4);
	KT_EXPECT(ctx, !sum.killed);
	return 0;
}

/* FUTEX_LOCK_PI gives the lock to the worker that has waited longest: all get it equally often. */
static int mutex_pi_check(struct kt_ctx *ctx)
{
	unsigned long long least = UINT64_MAX, most = 0;

	for (unsigned int i = 0; i < 4; i++) {
		const struct kt_worker_report *report = look_report(ctx, "w", i);

		KT_ASSERT(ctx, report);
		KT_EXPECT(ctx, !report->killed);
		KT_EXPECT_GE(ctx, report->n_latencies, report->iterations);
		least = report->iterations < least ? report->iterations : least;
		most = report->iterations > most ? report->iterations : most;
	}
	KT_EXPECT_GT(ctx, least, 5);
	KT_EXPECT_GT(ctx, 2 * least, most);
	return 0;
}

#define MUTEX(...)                                                                                 \
	.steps = KT_STEPS(                                                                         \
		{ KT_SETUP({ .name = "w",                                                          \
			     .work = KT_WORK(KT_MUTEX_CONTENTION, .hold = 4096, __VA_ARGS__) }),   \
		  .hold = KT_HOLD_FULL })

KTEST(work_mutex_contention, .summary = "who contends for a lock waits while another has it",
      TWO_CPUS, FULL_TIME, MUTEX(.contenders = 2, .affinity = KT_SINGLE_CPU), .check = mutex_check);

KTEST(work_mutex_contention_pi, .summary = "a lock of the kernel's goes to all in turn", TWO_CPUS,
      FULL_TIME, MUTEX(.lock = KT_LOCK_PI, .spins = 256), .check = mutex_pi_check);

KTEST(work_mutex_contention_threads, .summary = "so it does among threads", TWO_CPUS, FULL_TIME,
      MUTEX(.lock = KT_LOCK_PI, .spins = 256, .threads = true), .check = mutex_pi_check);

/* ---- PriorityInversion ----------------------------------------------------------------------- */

/*
 * The medium worker runs for 100 ms at a time. With the plain lock, it keeps the low worker, which
 * holds the lock, from running, and the high worker waits for both.
 */
static int inversion_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *plain = look_report(ctx, "plain", 0);
	const struct kt_worker_report *pi = look_report(ctx, "pi", 0);

	KT_ASSERT(ctx, plain);
	KT_ASSERT(ctx, pi);
	KT_EXPECT_GT(ctx, plain->latency_p99_ns, 50000000);
	KT_EXPECT_GT(ctx, pi->n_latencies, 20);
	KT_EXPECT_LT(ctx, pi->latency_p99_ns, plain->latency_p99_ns / 2);
	return 0;
}

#define INVERSION(cgroup, cpu, ...)                                                                \
	{                                                                                          \
		.name = (cgroup),                                                                  \
		.work = KT_WORK(KT_PRIORITY_INVERSION, .burst_us = 100000,                         \
				.affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT(cpu)), __VA_ARGS__)      \
	}

KTEST(work_priority_inversion,
      .summary = "who waits for a lock waits for all between it and the holder, unless it is lent",
      .topology = { .llcs = 1, .cores = 3 }, FULL_TIME,
      .steps = KT_STEPS({ KT_SETUP(INVERSION("plain", "0", .lock = KT_LOCK_PLAIN),
				   INVERSION("pi", "1", .lock = KT_LOCK_PI)),
			  .hold = KT_HOLD_FULL }),
      .check = inversion_check);

/* ---- RtStarvation, PreemptStorm -------------------------------------------------------------- */

static int starvation_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *rt = look_report(ctx, "w", 0);
	const struct kt_worker_report *cfs = look_report(ctx, "w", 1);

	KT_ASSERT(ctx, rt);
	KT_ASSERT(ctx, cfs);
	KT_EXPECT_GT(ctx, rt->iterations, 10);
	KT_EXPECT_GT(ctx, rt->cpu_ns, rt->wall_ns / 2);
	/* The kernel leaves about 5 % of the CPU to normal tasks. */
	KT_EXPECT_LT(ctx, cfs->cpu_ns, rt->cpu_ns / 4);
	KT_EXPECT_GT(ctx, cfs->run_delay_ns, cfs->wall_ns / 2);
	return 0;
}

KTEST(work_rt_starvation, .summary = "real-time workers leave little to the normal ones", TWO_CPUS,
      FULL_TIME,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_RT_STARVATION, ON_CPU_0) }),
			  .hold = KT_HOLD_FULL }),
      .check = starvation_check);

static int storm_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *rt = look_report(ctx, "w", 0);
	unsigned long long switches = 0, delay_ns = 0;

	KT_ASSERT(ctx, rt);
	for (unsigned int i = 1; i < 3; i++) {
		const struct kt_worker_report *cfs = look_report(ctx, "w", i);

		KT_ASSERT(ctx, cfs);
		KT_EXPECT_GT(ctx, cfs->iterations, 0);
		switches += cfs->switches;
		delay_ns += cfs->run_delay_ns;
	}
	KT_EXPECT_GT(ctx, rt->iterations, 50);
	/* Each burst took the CPU from one of them, which got it back afterwards. */
	KT_EXPECT_GE(ctx, switches, rt->iterations * 9 / 10);
	/* The first worker does not wait for the CPU as the others do. */
	KT_EXPECT_LT(ctx, rt->run_delay_ns, delay_ns / 10);
	return 0;
}

KTEST(work_preempt_storm, .summary = "a worker that wakes up takes the CPU from the others",
      TWO_CPUS, FULL_TIME,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_PREEMPT_STORM, ON_CPU_0) }),
			  .hold = KT_HOLD_FULL }),
      .check = storm_check);
