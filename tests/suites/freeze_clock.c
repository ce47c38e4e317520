/* SPDX-License-Identifier: MIT */
/*
 * A hundred moments at which a machine of eight vCPUs stands still in real time. Its clocks stand
 * still, too, and nothing in its kernel complains that time was lost. tests/bench/fork.py has the
 * times from the results of this test.
 */
#include <ktest.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <time.h>

#define N_FREEZES 100
#define LOG_LEN   (1 << 20)
#define READ_ALL  3 /* of syslog(2) */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* A pause that one clock has seen, and another one has not, would pull them apart. */
static int check_clocks(struct kt_ctx *ctx, uint64_t raw_ns, uint64_t coarse_ns)
{
	int64_t apart = (int64_t)(clock_ns(CLOCK_MONOTONIC_RAW) - raw_ns) -
			(int64_t)(clock_ns(CLOCK_MONOTONIC_COARSE) - coarse_ns);

	/* The coarse clock goes on with ticks. */
	KT_EXPECT_LT(ctx, llabs(apart), 500000000);
	return 0;
}

static int check_log(struct kt_ctx *ctx)
{
	static const char *const complaints[] = { "soft lockup",
						  "hard LOCKUP",
						  "rcu_sched",
						  "rcu_preempt detected",
						  "clocksource: timekeeping",
						  "hung_task",
						  "watchdog: BUG" };
	char *log = calloc(1, LOG_LEN + 1);

	KT_ASSERT(ctx, log && klogctl(READ_ALL, log, LOG_LEN) > 0);
	for (size_t i = 0; i < sizeof(complaints) / sizeof(*complaints); i++)
		KT_EXPECT(ctx, !strstr(log, complaints[i]));
	free(log);
	return 0;
}

static int freezes_run(struct kt_ctx *ctx)
{
	struct kt_view report = kt_snapshot(ctx, "frozen");
	uint64_t first, last;

	KT_ASSERT_OK(ctx, kt_capture(ctx, "frozen"));
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(report, "kernel.jiffies"), &first));
	for (int i = 0; i < N_FREEZES; i++) {
		uint64_t raw_ns = clock_ns(CLOCK_MONOTONIC_RAW);
		uint64_t coarse_ns = clock_ns(CLOCK_MONOTONIC_COARSE);

		KT_ASSERT_OK(ctx, kt_capture(ctx, "frozen"));
		KT_ASSERT_EQ(ctx, check_clocks(ctx, raw_ns, coarse_ns), 0);
	}
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(report, "kernel.jiffies"), &last));
	KT_EXPECT_GT(ctx, last, first);
	return check_log(ctx);
}

KTEST(freeze_hundred_times, .summary = "eight vCPUs stand still a hundred times, unnoticed",
      .topology = { .llcs = 2, .cores = 4, .threads = 1 }, .time = KT_REAL_TIME,
      .timeout_ms = 120000, .run = freezes_run);
