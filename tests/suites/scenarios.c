/* SPDX-License-Identifier: MIT */
/* The scenarios of kt_scenarios.h do what their names say. */
#include <ktest.h>

#include <kt_scenarios.h>

#define TWO_CPUS  .topology = { .llcs = 1, .cores = 2 }
#define FIVE_CPUS .topology = { .llcs = 1, .cores = 5 }
#define CHECKED   .duration_ms = 500, .checks = { .not_starved = KT_ON, .isolation = KT_ON }

/* CPU time of a cgroup in the hold of a step, in milliseconds; -1 if it did not exist. */
static int used_ms(struct kt_ctx *ctx, unsigned int step, const char *cgroup)
{
	const struct kt_cgroup_usage *usage = kt_step_usage(ctx, step, cgroup);

	return usage ? (int)(usage->usage_us / 1000) : -1;
}

/* The CPUs that the workers of a cgroup were seen on. */
static unsigned int seen(struct kt_ctx *ctx, const char *cgroup)
{
	struct kt_worker_report sum;

	return kt_sum_reports(ctx, cgroup, &sum) ? (unsigned int)sum.cpus[0] : 0;
}

static int steady_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, used_ms(ctx, 0, "steady"), 300);
	return 0;
}
KTEST(scenario_steady, .summary = "steady keeps all CPUs busy", TWO_CPUS, CHECKED,
      KT_STEADY(KT_SPIN_WAIT, 4), .check = steady_check);

static int oversubscribed_check(struct kt_ctx *ctx)
{
	size_t n;

	(void)kt_worker_reports(ctx, &n);
	KT_EXPECT_EQ(ctx, n, 32);
	KT_EXPECT_GT(ctx, used_ms(ctx, 0, "crowd-a"), 50);
	KT_EXPECT_GT(ctx, used_ms(ctx, 0, "crowd-b"), 50);
	return 0;
}
KTEST(scenario_oversubscribed, .summary = "oversubscribed lets 32 workers compete", TWO_CPUS,
      .duration_ms = 1000, .checks = { .not_starved = KT_ON }, KT_OVERSUBSCRIBED,
      .check = oversubscribed_check);

static int both_check(struct kt_ctx *ctx)
{
	/* Confined, each runs on a CPU of its own; otherwise, each runs on both. */
	KT_EXPECT_GT(ctx, used_ms(ctx, 0, "left"), 20);
	KT_EXPECT_GT(ctx, used_ms(ctx, 1, "right"), 20);
	KT_EXPECT_EQ(ctx, seen(ctx, "left") | seen(ctx, "right"), 0x3);
	return 0;
}
KTEST(scenario_cpuset_apply, .summary = "cpusets come while workers run", TWO_CPUS, CHECKED,
      KT_CPUSET_APPLY(KT_SPIN_WAIT, 2), .check = both_check);
KTEST(scenario_cpuset_clear, .summary = "cpusets go while workers run", TWO_CPUS, CHECKED,
      KT_CPUSET_CLEAR(KT_SPIN_WAIT, 2), .check = both_check);

static int resize_check(struct kt_ctx *ctx)
{
	/* With four usable CPUs: 0-1 and 2-3, then 0 and 1-3, then 0-2 and 3. */
	KT_EXPECT_EQ(ctx, seen(ctx, "left") & 0x18, 0);
	KT_EXPECT_EQ(ctx, seen(ctx, "right") & 0x11, 0);
	KT_EXPECT_NE(ctx, seen(ctx, "left") & 0x6, 0);
	KT_EXPECT_NE(ctx, seen(ctx, "right") & 0x8, 0);
	return 0;
}
KTEST(scenario_cpuset_resize, .summary = "cpusets shrink and grow while workers run", FIVE_CPUS,
      CHECKED, KT_CPUSET_RESIZE(KT_SPIN_WAIT, 3), .check = resize_check);

static int swap_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_EXPECT_EQ(ctx, seen(ctx, "left"), 0x3);
	KT_EXPECT_EQ(ctx, seen(ctx, "right"), 0x3);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "left", &sum));
	KT_EXPECT_GE(ctx, sum.migrations, 2);
	return 0;
}
KTEST(scenario_cpuset_swap, .summary = "cpusets are exchanged while workers run", TWO_CPUS, CHECKED,
      KT_CPUSET_SWAP(KT_SPIN_WAIT, 1), .check = swap_check);

static int add_check(struct kt_ctx *ctx)
{
	KT_EXPECT_EQ(ctx, used_ms(ctx, 0, "second"), -1);
	KT_EXPECT_GT(ctx, used_ms(ctx, 1, "second"), 10);
	KT_EXPECT_EQ(ctx, used_ms(ctx, 1, "third"), -1);
	KT_EXPECT_GT(ctx, used_ms(ctx, 2, "third"), 10);
	KT_EXPECT_GT(ctx, used_ms(ctx, 2, "stays"), 10);
	return 0;
}
KTEST(scenario_cgroup_add, .summary = "cgroups come under load", TWO_CPUS, CHECKED,
      KT_CGROUP_ADD(KT_SPIN_WAIT, 2), .check = add_check);

static int remove_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, used_ms(ctx, 0, "goes"), 10);
	KT_EXPECT_EQ(ctx, used_ms(ctx, 1, "goes"), -1);
	KT_EXPECT_GT(ctx, used_ms(ctx, 1, "stays"), used_ms(ctx, 0, "stays"));
	return 0;
}
KTEST(scenario_cgroup_remove,
      .summary = "a cgroup goes under load, and the other one gets its time", TWO_CPUS, CHECKED,
      KT_CGROUP_REMOVE(KT_SPIN_WAIT, 2), .check = remove_check);

static int nested_check(struct kt_ctx *ctx)
{
	int inner = used_ms(ctx, 0, "outer/middle/inner");

	KT_EXPECT_GT(ctx, inner, 10);
	KT_EXPECT_GT(ctx, used_ms(ctx, 0, "outer/middle"), inner);
	KT_EXPECT_GT(ctx, used_ms(ctx, 0, "outer"), used_ms(ctx, 0, "outer/middle"));
	return 0;
}
KTEST(scenario_nested, .summary = "workers at three levels all run", TWO_CPUS, CHECKED,
      KT_NESTED(KT_SPIN_WAIT, 2), .check = nested_check);

static int affinity_check(struct kt_ctx *ctx)
{
	KT_EXPECT_EQ(ctx, seen(ctx, "w"), 0x3);
	KT_EXPECT_GT(ctx, used_ms(ctx, 1, "w"), 50);
	return 0;
}
KTEST(scenario_affinity_change, .summary = "affinities change under load", TWO_CPUS, CHECKED,
      KT_AFFINITY_CHANGE(KT_SPIN_WAIT, 3), .check = affinity_check);

static int contention_check(struct kt_ctx *ctx)
{
	struct kt_worker_report inside, outside;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &inside));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "", &outside));
	KT_EXPECT_GT(ctx, inside.cpu_ns, 50000000);
	KT_EXPECT_GT(ctx, outside.cpu_ns, 50000000);
	return 0;
}
KTEST(scenario_host_contention, .summary = "workers inside and outside of cgroups compete",
      TWO_CPUS, CHECKED, KT_HOST_CONTENTION(KT_SPIN_WAIT, 2), .check = contention_check);

static int move_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, used_ms(ctx, 0, "a"), 10);
	KT_EXPECT_EQ(ctx, used_ms(ctx, 1, "a"), 0);
	KT_EXPECT_EQ(ctx, used_ms(ctx, 2, "b"), 0);
	KT_EXPECT_GT(ctx, used_ms(ctx, 2, "a"), 10);
	return 0;
}
KTEST(scenario_move, .summary = "workers move between cgroups while they run", TWO_CPUS, CHECKED,
      KT_MOVE_UNDER_LOAD(KT_SPIN_WAIT, 2), .check = move_check);

static int freeze_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, used_ms(ctx, 0, "freezes"), 10);
	KT_EXPECT_EQ(ctx, used_ms(ctx, 1, "freezes"), 0);
	KT_EXPECT_GT(ctx, used_ms(ctx, 1, "runs"), 50);
	KT_EXPECT_GT(ctx, used_ms(ctx, 2, "freezes"), 10);
	return 0;
}
KTEST(scenario_freeze, .summary = "a cgroup is frozen and thawed while another one runs", TWO_CPUS,
      CHECKED, KT_FREEZE_UNDER_LOAD(KT_SPIN_WAIT, 2), .check = freeze_check);
