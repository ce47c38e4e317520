/* SPDX-License-Identifier: MIT */
/* Work that never sleeps: each type is proved by what the kernel counts of it. */
#include <ktest.h>

#define ONE_CPU .topology = { .llcs = 1, .cores = 1 }
#define ALONE(type, ...)                                                                           \
	.duration_ms = 300,                                                                        \
	.steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(type, __VA_ARGS__) }),         \
			    .hold = KT_HOLD_FULL })

static int spin_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 2);
	KT_EXPECT_GT(ctx, sum.iterations, 10);
	/* Two workers on one CPU: what one runs, the other waits. */
	KT_EXPECT_GT(ctx, sum.cpu_ns, 100000000);
	KT_EXPECT_GT(ctx, sum.run_delay_ns, 100000000);
	KT_EXPECT_GT(ctx, sum.max_gap_ns, 1000000);
	KT_EXPECT_EQ(ctx, sum.migrations, 0);
	KT_EXPECT_EQ(ctx, sum.cpus[0], 1);
	KT_EXPECT(ctx, !sum.killed);
	return 0;
}

KTEST(work_spin_wait, .summary = "SpinWait takes all the CPU there is", ONE_CPU,
      ALONE(KT_SPIN_WAIT, .workers = 2), .check = spin_check);

KTEST(work_threads, .summary = "workers can be threads of one process", ONE_CPU,
      ALONE(KT_SPIN_WAIT, .workers = 2, .threads = true), .check = spin_check);

static int yield_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	/* Each yield lets the other one run. */
	KT_EXPECT_GT(ctx, sum.switches, 200);
	KT_EXPECT_GT(ctx, sum.iterations, 200);
	return 0;
}

KTEST(work_yield_heavy, .summary = "YieldHeavy gives the CPU up all the time", ONE_CPU,
      ALONE(KT_YIELD_HEAVY, .workers = 2), .check = yield_check);

KTEST(work_mixed, .summary = "Mixed spins and gives the CPU up", ONE_CPU,
      ALONE(KT_MIXED, .workers = 2), .check = yield_check);
