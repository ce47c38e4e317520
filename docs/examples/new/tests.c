/* SPDX-License-Identifier: MIT */
#include <ktest.h>

/* Two spinners on one CPU: freezing one cgroup leaves the whole CPU to the other. */
static int share_check(struct kt_ctx *ctx)
{
	const struct kt_cgroup_usage *both = kt_step_usage(ctx, 0, "b");
	const struct kt_cgroup_usage *alone = kt_step_usage(ctx, 1, "b");

	KT_ASSERT(ctx, both && alone);
	KT_EXPECT_GT(ctx, alone->usage_us, both->usage_us);
	return 0;
}

KTEST(frozen_leaves_the_cpu, .summary = "a frozen cgroup leaves its CPU time to others",
      .topology = { .llcs = 1, .cores = 1 }, .duration_ms = 1000,
      .backdrop = { KT_SETUP({ .name = "a", .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) },
			     { .name = "b", .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) }) },
      .steps = KT_STEPS({ .name = "both", .hold = KT_HOLD_FRAC(0.5) },
			{ .name = "alone",
			  KT_OPS(KT_FREEZE_CGROUP("a")),
			  .hold = KT_HOLD_FRAC(0.5) }),
      .check = share_check);
