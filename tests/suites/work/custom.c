/* SPDX-License-Identifier: MIT */
/* Custom work: what a function of the test reports reaches the reports. */
#include <ktest.h>

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ONE_CPU .topology = { .llcs = 1, .cores = 1 }
#define CUSTOM(function, ...)                                                                      \
	.duration_ms = 400,                                                                        \
	.steps = KT_STEPS(                                                                         \
		{ KT_SETUP({ .name = "w",                                                          \
			     .work = KT_WORK(KT_CUSTOM, .custom = (function), __VA_ARGS__) }),     \
		  .hold = KT_HOLD_FULL })

static void idle(struct kt_custom *worker)
{
	while (!kt_custom_stopping(worker))
		kt_custom_sleep_us(worker, 10000);
}

/* ---- who it is, and what it has done --------------------------------------------------------- */

#define ARG 1000

/* The numbers of iterations and wake-ups follow from the index and the argument. */
static void count(struct kt_custom *worker)
{
	unsigned int n = kt_custom_index(worker) + 1;

	for (uint64_t i = 0; i < n * kt_custom_arg(worker); i++)
		kt_custom_done(worker);
	for (unsigned int i = 0; i < n; i++)
		kt_custom_latency(worker, n * UINT64_C(1000000));
	while (!kt_custom_stopping(worker))
		kt_custom_spin(worker, 1000);
}

static int count_check(struct kt_ctx *ctx)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);

	KT_ASSERT_EQ(ctx, n, 3);
	for (unsigned int i = 0; i < n; i++) {
		KT_EXPECT_EQ(ctx, reports[i].index, i);
		KT_EXPECT_EQ(ctx, reports[i].iterations, (i + 1) * ARG);
		KT_EXPECT_EQ(ctx, reports[i].n_latencies, i + 1);
		KT_EXPECT_EQ(ctx, reports[i].latency_max_ns, (i + 1) * 1000000);
		KT_EXPECT_EQ(ctx, reports[i].latency_p50_ns, (i + 1) * 1000000);
		KT_EXPECT_EQ(ctx, reports[i].latency_cv, 0);
		/*
		 * The worker spins until it is stopped: it waits for the CPU whenever it does not
		 * run.
		 */
		KT_EXPECT_GT(ctx, reports[i].run_delay_ns, reports[i].wall_ns / 4);
		KT_EXPECT_GT(ctx, reports[i].cpu_ns, reports[i].wall_ns / 8);
		KT_EXPECT(ctx, !reports[i].killed);
		KT_EXPECT_STREQ(ctx, reports[i].work, "Custom");
	}
	return 0;
}

KTEST(work_custom, .summary = "a custom function knows its index and argument, and is heard",
      ONE_CPU, CUSTOM(count, .workers = 3, .arg = ARG), .check = count_check);

KTEST(work_custom_threads, .summary = "custom functions can run in threads of one process", ONE_CPU,
      CUSTOM(count, .workers = 3, .arg = ARG, .threads = true), .check = count_check);

/* ---- waiting --------------------------------------------------------------------------------- */

#define NAP_MS 200

/* The first worker announces that it waits, the second one does not. */
static void nap(struct kt_custom *worker)
{
	struct timespec time = { .tv_nsec = NAP_MS * 1000000 };

	kt_custom_done(worker);
	if (kt_custom_index(worker) == 0)
		kt_custom_block(worker);
	(void)nanosleep(&time, NULL);
	if (kt_custom_index(worker) == 0)
		kt_custom_unblock(worker);
	kt_custom_done(worker);
	idle(worker);
}

static int nap_check(struct kt_ctx *ctx)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);

	KT_ASSERT_EQ(ctx, n, 2);
	KT_EXPECT_EQ(ctx, reports[0].iterations, 2);
	KT_EXPECT_LT(ctx, reports[0].max_stall_ns, NAP_MS * 1000000);
	KT_EXPECT_EQ(ctx, reports[1].iterations, 2);
	KT_EXPECT_GE(ctx, reports[1].max_stall_ns, NAP_MS * 1000000 * 0.9);
	/* While they sleep, they use almost no CPU time. They are never woken exactly in time. */
	for (size_t i = 0; i < n; i++) {
		KT_EXPECT_GT(ctx, reports[i].n_latencies, 0);
		KT_EXPECT_GT(ctx, reports[i].latency_max_ns, 0);
		KT_EXPECT_LT(ctx, reports[i].cpu_ns, reports[i].wall_ns / 2);
		KT_EXPECT_GT(ctx, reports[i].switches, 1);
	}
	return 0;
}

KTEST(work_custom_blocks, .summary = "what a custom function marks as its own wait is not a stall",
      ONE_CPU, CUSTOM(nap, .workers = 2), .check = nap_check);

/* ---- chance ---------------------------------------------------------------------------------- */

/* A random number of iterations. */
static void draw(struct kt_custom *worker)
{
	for (uint64_t n = kt_custom_random(worker) % 10000; n; n--)
		kt_custom_done(worker);
	idle(worker);
}

/* Four workers do not all draw the same numbers. */
static int draw_check(struct kt_ctx *ctx)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);

	KT_ASSERT_EQ(ctx, n, 4);
	for (size_t i = 1; i < n; i++)
		KT_EXPECT_LT(ctx, reports[i].iterations, 10000);
	KT_EXPECT(ctx, reports[0].iterations != reports[1].iterations ||
			       reports[1].iterations != reports[2].iterations ||
			       reports[2].iterations != reports[3].iterations);
	return 0;
}

KTEST(work_custom_random, .summary = "the workers of a custom function draw different numbers",
      ONE_CPU, CUSTOM(draw, .workers = 4), .check = draw_check);

/* ---- the end --------------------------------------------------------------------------------- */

static void end_badly(struct kt_custom *worker)
{
	idle(worker);
	_exit(3);
}

static int status_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT(ctx, !sum.killed);
	KT_EXPECT(ctx, WIFEXITED(sum.status));
	KT_EXPECT_EQ(ctx, WEXITSTATUS(sum.status), 3);
	return 0;
}

KTEST(work_custom_status, .summary = "how a worker ends is known, though it was asked to", ONE_CPU,
      CUSTOM(end_badly, .workers = 1), .check = status_check);
