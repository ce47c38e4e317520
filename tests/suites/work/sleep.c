/* SPDX-License-Identifier: MIT */
/*
 * Work that sleeps. A burst and a sleep last at least as long as declared, however slow the host
 * is: each iteration has at least that much CPU time, and that much time without it.
 */
#include "tests/suites/work/witness.h"

#define ONE_CPU .topology = { .llcs = 1, .cores = 1 }
#define ALONE(ms, ...)                                                                             \
	.duration_ms = (ms),                                                                       \
	.steps = KT_STEPS(                                                                         \
		{ KT_SETUP({ .name = "w", .work = KT_WORK(__VA_ARGS__) }), .hold = KT_HOLD_FULL })
#define ON_CPU(cpu) .affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT(cpu))
#define USEC        1000ull

/* The last iteration may have been cut short. */
static int expect_cycles(struct kt_ctx *ctx, unsigned int at_least, uint64_t busy_us,
			 uint64_t idle_us)
{
	struct kt_worker_report sum;
	uint64_t whole;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_ASSERT_EQ(ctx, sum.index, 1);
	KT_ASSERT_GT(ctx, sum.iterations, at_least);
	whole = sum.iterations - 1;
	KT_EXPECT_GE(ctx, sum.wall_ns, whole * (busy_us + idle_us) * USEC);
	/*
	 * Other tasks run meanwhile, and the CPU is not idle on the way into a sleep and out of it.
	 */
	KT_EXPECT_GT(ctx, sum.cpu_ns, whole * busy_us * USEC / 2);
	KT_EXPECT_GT(ctx, sum.wall_ns - sum.cpu_ns - sum.run_delay_ns, whole * idle_us * USEC / 2);
	KT_EXPECT_GE(ctx, sum.switches, whole);
	KT_EXPECT_GE(ctx, sum.n_latencies, whole);
	KT_EXPECT(ctx, !sum.killed);
	return 0;
}

static int bursty_check(struct kt_ctx *ctx)
{
	return expect_cycles(ctx, 2, 50000, 100000);
}

KTEST(work_bursty, .summary = "Bursty runs for 50 ms and sleeps for 100", ONE_CPU,
      ALONE(700, KT_BURSTY, .workers = 1), .check = bursty_check);

static int bursty_given_check(struct kt_ctx *ctx)
{
	return expect_cycles(ctx, 4, 10000, 20000);
}

KTEST(work_bursty_given, .summary = "Bursty's burst and sleep can be given", ONE_CPU,
      ALONE(400, KT_BURSTY, .workers = 1, .burst_us = 10000, .sleep_us = 20000),
      .check = bursty_given_check);

static int idle_churn_check(struct kt_ctx *ctx)
{
	return expect_cycles(ctx, 10, 1000, 5000);
}

KTEST(work_idle_churn, .summary = "IdleChurn runs for 1 ms and sleeps for 5", ONE_CPU,
      ALONE(400, KT_IDLE_CHURN, .workers = 1), .check = idle_churn_check);

/* ---- timer slack ----------------------------------------------------------------------------- */

/* A slack of one nanosecond counts as an iteration. Any other slack is recorded as a latency. */
static void look_at_slack(struct kt_custom *worker, pid_t pid)
{
	char text[LOOK_LEN];

	(void)look(text, "/proc/%d/timerslack_ns", (int)pid);
	if (!strcmp(text, "1"))
		kt_custom_done(worker);
	else
		kt_custom_latency(worker, strtoull(text, NULL, 10));
}

static void witness_precise(struct kt_custom *worker)
{
	witness(worker, "precise", look_at_slack);
}

static void witness_usual(struct kt_custom *worker)
{
	witness(worker, "usual", look_at_slack);
}

static int slack_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "sees precise", &sum));
	KT_EXPECT_GT(ctx, sum.iterations, 0);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "sees usual", &sum));
	KT_EXPECT_EQ(ctx, sum.iterations, 0);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "b", &sum));
	KT_EXPECT_GE(ctx, sum.latency_max_ns, 50000);
	return 0;
}

KTEST(work_precise, .summary = "precise sleepers have the smallest timer slack", .duration_ms = 300,
      .steps = KT_STEPS({ KT_SETUP({ .name = "a",
				     .work = KT_WORK(KT_IDLE_CHURN, .comm = "precise",
						     .precise = true) },
				   { .name = "b", .work = KT_WORK(KT_IDLE_CHURN, .comm = "usual") },
				   { .name = "sees precise",
				     .work = KT_WORK(KT_CUSTOM, .workers = 1, .nice = -20,
						     .custom = witness_precise) },
				   { .name = "sees usual",
				     .work = KT_WORK(KT_CUSTOM, .workers = 1, .nice = -20,
						     .custom = witness_usual) }),
			  .hold = KT_HOLD_FULL }),
      .check = slack_check);

/* ---- timers ---------------------------------------------------------------------------------- */

/* A task that runs for 30 ms at a real-time priority delays a timer's task by as much. */
static int timer_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *alone = look_report(ctx, "alone", 0);
	const struct kt_worker_report *beaten = look_report(ctx, "beaten", 0);

	KT_ASSERT(ctx, alone && beaten);
	KT_EXPECT_GT(ctx, alone->iterations, 10);
	KT_EXPECT_LE(ctx, alone->iterations * 2000000, alone->wall_ns);
	KT_EXPECT_EQ(ctx, alone->n_latencies, alone->iterations);
	/* Sometimes a deadline has passed before the worker could sleep. */
	KT_EXPECT_GE(ctx, alone->switches, alone->iterations / 2);
	KT_EXPECT_GT(ctx, alone->latency_p50_ns, 0);
	KT_EXPECT_LT(ctx, alone->latency_p50_ns, 2000000);
	KT_EXPECT_LT(ctx, alone->cpu_ns, alone->wall_ns / 2);
	KT_EXPECT_GT(ctx, beaten->latency_max_ns, 20000000);
	KT_EXPECT_LT(ctx, beaten->iterations, alone->iterations);
	return 0;
}

KTEST(work_timer_latency, .summary = "TimerLatency measures how late a timer's task runs",
      .duration_ms = 400,
      .steps = KT_STEPS(
	      { KT_SETUP({ .name = "alone",
			   .work = KT_WORK(KT_TIMER_LATENCY, .workers = 1, .interval_us = 2000,
					   ON_CPU("0")) },
			 { .name = "beaten",
			   .work = KT_WORK(KT_TIMER_LATENCY, .workers = 1, .interval_us = 2000,
					   ON_CPU("1")) },
			 { .name = "beats",
			   .work = KT_WORK(KT_BURSTY, .workers = 1, .burst_us = 30000,
					   .sleep_us = 30000,
					   .sched = { .policy = KT_SCHED_FIFO, .priority = 10 },
					   ON_CPU("1")) }),
		.hold = KT_HOLD_FULL }),
      .check = timer_check);

/* ---- sequences ------------------------------------------------------------------------------- */

static int sequence_check(struct kt_ctx *ctx)
{
	return expect_cycles(ctx, 2, 20000, 30000);
}

KTEST(work_sequence, .summary = "Sequence spins, sleeps and calculates in turn", ONE_CPU,
      ALONE(500, KT_SEQUENCE, .workers = 1,
	    .phases = KT_PHASES({ KT_SEQ_SPIN, 10000 }, { KT_SEQ_SLEEP, 30000 },
				{ KT_SEQ_ALU, 10000 })),
      .check = sequence_check);

/*
 * Two workers on one CPU: each yield lets the other one run. A spin would keep the CPU for a slice.
 */
static int sequence_yield_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_GT(ctx, sum.iterations, 2);
	KT_EXPECT_GT(ctx, sum.switches, 200);
	KT_EXPECT_EQ(ctx, sum.n_latencies, 0);
	KT_EXPECT_GT(ctx, sum.cpu_ns, 100000000);
	return 0;
}

KTEST(work_sequence_yield, .summary = "Sequence yields for as long as it is told", ONE_CPU,
      ALONE(300, KT_SEQUENCE, .workers = 2,
	    .phases = KT_PHASES({ KT_SEQ_YIELD, 10000 }, { KT_SEQ_SPIN, 1000 })),
      .check = sequence_yield_check);

/* The number of bytes that the worker has written, as the kernel counts. */
static void look_at_written(struct kt_custom *worker, pid_t pid)
{
	char text[LOOK_LEN];
	const char *written = look_key(look(text, "/proc/%d/io", (int)pid), "wchar");

	if (*written)
		kt_custom_latency(worker, strtoull(written, NULL, 10));
}

static void witness_io(struct kt_custom *worker)
{
	witness(worker, "Sequence", look_at_written);
}

static int sequence_io_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum, seen;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "witness", &seen));
	KT_EXPECT_GT(ctx, sum.iterations, 2);
	/* Each write of 64 KiB is followed by a sleep of 100 us, and many fit into 20 ms. */
	KT_EXPECT_GT(ctx, sum.n_latencies, 3 * sum.iterations);
	/* A sleep whose end passed before it began does not switch. */
	KT_EXPECT_GE(ctx, sum.switches, sum.n_latencies / 2);
	/* The witness has ended before the worker. */
	KT_EXPECT_GT(ctx, seen.latency_max_ns, 5 * 65536);
	KT_EXPECT_EQ(ctx, seen.latency_max_ns % 65536, 0);
	KT_EXPECT_LE(ctx, seen.latency_max_ns, (sum.n_latencies + 2) * 65536);
	return 0;
}

KTEST(work_sequence_io, .summary = "Sequence writes 64 KiB between short sleeps",
      .duration_ms = 300,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .work = KT_WORK(KT_SEQUENCE, .workers = 1,
						     .phases = KT_PHASES({ KT_SEQ_IO, 20000 })) },
				   { .name = "witness",
				     .work = KT_WORK(KT_CUSTOM, .workers = 1, .nice = -20,
						     .custom = witness_io) }),
			  .hold = KT_HOLD_FULL }),
      .check = sequence_io_check);
