/* SPDX-License-Identifier: MIT */
/* Operations on cgroups. Each is proved by what the kernel reports of its effect. */
#include <ktest.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define ROOT    "/sys/fs/cgroup/ktest/"
#define ONE_CPU .topology = { .llcs = 1, .cores = 1 }
#define SPINNER(cgroup)                                                                            \
	{                                                                                          \
		.name = (cgroup), .work = KT_WORK(KT_SPIN_WAIT, .workers = 1)                      \
	}

/* CPU time in microseconds that a cgroup used in the hold of a step; -1 if it did not exist. */
static long long used(struct kt_ctx *ctx, unsigned int step, const char *cgroup)
{
	const struct kt_cgroup_usage *usage = kt_step_usage(ctx, step, cgroup);

	return usage ? (long long)usage->usage_us : -1;
}

/* CPU time advances before and after, and not by a single microsecond while frozen. */
static int cgroup_freeze_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, used(ctx, 0, "workers"), 50000);
	KT_EXPECT_EQ(ctx, used(ctx, 1, "workers"), 0);
	KT_EXPECT_GT(ctx, used(ctx, 2, "workers"), 50000);
	return 0;
}

KTEST(cgroup_freeze, .summary = "a frozen cgroup burns no CPU, and thaws",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .duration_ms = 2000,
      .steps = KT_STEPS({ KT_SETUP({ .name = "workers",
				     .work = KT_WORK(KT_SPIN_WAIT, .workers = 2) }),
			  .hold = KT_HOLD_FRAC(0.3) },
			{ KT_OPS(KT_FREEZE_CGROUP("workers")), .hold = KT_HOLD_FRAC(0.3) },
			{ KT_OPS(KT_UNFREEZE_CGROUP("workers")), .hold = KT_HOLD_FRAC(0.4) }),
      .check = cgroup_freeze_check);

static int freeze_parent_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, used(ctx, 0, "outer/inner"), 10000);
	KT_EXPECT_EQ(ctx, used(ctx, 1, "outer/inner"), 0);
	KT_EXPECT_GT(ctx, used(ctx, 1, "other"), 10000);
	return 0;
}

KTEST(cgroup_freeze_parent, .summary = "freezing a cgroup freezes those below it, and no other",
      ONE_CPU, .duration_ms = 500,
      .steps = KT_STEPS({ KT_SETUP({ .name = "outer" }, SPINNER("outer/inner"), SPINNER("other")),
			  .hold = KT_HOLD_FRAC(0.5) },
			{ KT_OPS(KT_FREEZE_CGROUP("outer"), KT_UNFREEZE_CGROUP("other")),
			  .hold = KT_HOLD_FRAC(0.5) }),
      .check = freeze_parent_check);

/* A cgroup that is frozen when its step ends is removed, too: nothing waits for it to thaw. */
static int removed_frozen_check(struct kt_ctx *ctx)
{
	KT_EXPECT_EQ(ctx, used(ctx, 0, "workers"), 0);
	KT_EXPECT_EQ(ctx, used(ctx, 1, "workers"), -1);
	KT_EXPECT_EQ(ctx, access(ROOT "workers", F_OK), -1);
	return 0;
}

KTEST(cgroup_removed_frozen, .summary = "teardown removes a frozen cgroup with its workers",
      ONE_CPU,
      .steps = KT_STEPS({ KT_SETUP(SPINNER("workers")), KT_OPS(KT_FREEZE_CGROUP("workers")),
			  .hold = KT_HOLD_MS(50) },
			{ .hold = KT_HOLD_MS(1) }),
      .check = removed_frozen_check);

static int stop_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, used(ctx, 0, "workers"), 10000);
	KT_EXPECT_EQ(ctx, used(ctx, 1, "workers"), 0);
	return 0;
}

KTEST(cgroup_stop, .summary = "KT_STOP_CGROUP ends the workers and keeps the cgroup", ONE_CPU,
      .steps = KT_STEPS({ KT_SETUP(SPINNER("workers")), .hold = KT_HOLD_MS(100) },
			{ KT_OPS(KT_STOP_CGROUP("workers")), .hold = KT_HOLD_MS(100) }),
      .check = stop_check);

static int remove_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, used(ctx, 0, "a"), 0);
	KT_EXPECT_EQ(ctx, used(ctx, 1, "a"), -1);
	KT_EXPECT_EQ(ctx, used(ctx, 2, "a"), 0);
	return 0;
}

KTEST(cgroup_remove_and_add, .summary = "a cgroup is removed under load and its name used again",
      ONE_CPU,
      .steps = KT_STEPS({ KT_SETUP(SPINNER("a")), .hold = KT_HOLD_MS(50) },
			{ KT_OPS(KT_REMOVE_CGROUP("a")), .hold = KT_HOLD_MS(1) },
			{ KT_OPS(KT_ADD_CGROUP("a")), .hold = KT_HOLD_MS(50) }),
      .check = remove_check);

static int lifetime_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GE(ctx, used(ctx, 0, "short"), 0);
	KT_EXPECT_EQ(ctx, used(ctx, 1, "short"), -1);
	KT_EXPECT_GE(ctx, used(ctx, 1, "long"), 0);
	KT_EXPECT_GE(ctx, used(ctx, 2, "long"), 0);
	KT_EXPECT_EQ(ctx, used(ctx, 3, "long"), -1);
	return 0;
}

KTEST(cgroup_lifetime, .summary = "a cgroup lives until the end of the last step that names it",
      ONE_CPU,
      .steps = KT_STEPS({ KT_SETUP(SPINNER("short"), SPINNER("long")), .hold = KT_HOLD_MS(10) },
			{ .hold = KT_HOLD_MS(10) },
			{ KT_OPS(KT_UNFREEZE_CGROUP("long")), .hold = KT_HOLD_MS(10) },
			{ .hold = KT_HOLD_MS(10) }),
      .check = lifetime_check);

/* Many workers on one CPU: a load test of forking, moving and reaping them. */
static int crowd_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, used(ctx, 0, "crowd"), 50000);
	KT_EXPECT_EQ(ctx, access(ROOT "crowd", F_OK), -1);
	return 0;
}

KTEST(cgroup_crowd, .summary = "sixty workers start in their cgroup and are all stopped", ONE_CPU,
      .steps = KT_STEPS({ KT_SETUP({ .name = "crowd",
				     .work = KT_WORK(KT_SPIN_WAIT, .workers = 60) }),
			  .hold = KT_HOLD_MS(200) }),
      .check = crowd_check);

static int hold_lasts_check(struct kt_ctx *ctx)
{
	struct kt_worker_report report;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &report));
	KT_EXPECT_GE(ctx, report.wall_ns, UINT64_C(250) * 1000000);
	return 0;
}

/* The worker gets the CPU a little after the hold has begun, and is stopped after its end. */
KTEST(hold_lasts, .summary = "a hold lasts the fraction of the duration that it says",
      .duration_ms = 600, .topology = { .llcs = 1, .cores = 1 },
      .steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) }),
			  .hold = KT_HOLD_FRAC(0.5) }),
      .check = hold_lasts_check);
