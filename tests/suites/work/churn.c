/* SPDX-License-Identifier: MIT */
/*
 * Workers that change how they are scheduled. The witness (EYE), a worker on another CPU, observes
 * them meanwhile. Each of its iterations is one observation.
 */
#include "tests/suites/look.h"

#include <stdint.h>
#include <unistd.h>

#define TWO_CPUS .topology = { .llcs = 1, .cores = 2, .threads = 1 }
#define ON_CPU_0 .affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT("0"))
#define EYE(look, ...)                                                                             \
	{                                                                                          \
		.name = "eye",                                                                     \
		.work = KT_WORK(KT_CUSTOM, .workers = 1, .custom = (look),                         \
				.affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT("1")), __VA_ARGS__)      \
	}
/* The witness comes first: it starts before the worker, and stops after it. */
#define SEEN_BY(look, ...)                                                                         \
	.duration_ms = 600,                                                                        \
	.steps = KT_STEPS({ KT_SETUP(look, { .name = "w", .work = KT_WORK(__VA_ARGS__) }),         \
			    .hold = KT_HOLD_FULL })

/* ---- NiceSweep, AffinityChurn, PolicyChurn --------------------------------------------------- */

/* Counts the different values of the field .arg of /proc/PID/stat. */
static void see_values(struct kt_custom *self)
{
	uint64_t seen = 0;

	while (!kt_custom_stopping(self)) {
		int value;

		if (look_stat(look_process("w"), (int)kt_custom_arg(self), &value) &&
		    !(seen >> (value + 20) & 1)) {
			seen |= UINT64_C(1) << (value + 20);
			kt_custom_done(self);
		}
		kt_custom_spin(self, 1 + (unsigned int)(kt_custom_random(self) % 256));
	}
}

static int nice_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, look_iterations(ctx, "w"), 40);
	KT_EXPECT_GT(ctx, look_iterations(ctx, "eye"), 10);
	return 0;
}

KTEST(work_nice_sweep, .summary = "NiceSweep is seen with many nice values", TWO_CPUS,
      SEEN_BY(EYE(see_values, .arg = STAT_NICE), KT_NICE_SWEEP, .workers = 1, ON_CPU_0),
      .check = nice_check);

static int policy_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, look_iterations(ctx, "w"), 10);
	/* OTHER, FIFO, RR, BATCH, IDLE */
	KT_EXPECT_EQ(ctx, look_iterations(ctx, "eye"), 5);
	return 0;
}

KTEST(work_policy_churn, .summary = "PolicyChurn is seen with each of five policies", TWO_CPUS,
      SEEN_BY(EYE(see_values, .arg = STAT_POLICY), KT_POLICY_CHURN, .workers = 1, ON_CPU_0),
      .check = policy_check);

static int affinity_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	/*
	 * Alone, the worker would stay on its CPU. One of four random CPUs is the one that it is
	 * on.
	 */
	KT_EXPECT_GT(ctx, sum.iterations, 20);
	KT_EXPECT_GT(ctx, sum.migrations, sum.iterations / 2);
	KT_EXPECT_EQ(ctx, sum.cpus[0], 0xf);
	return 0;
}

KTEST(work_affinity_churn, .summary = "AffinityChurn moves itself from CPU to CPU",
      .topology = { .llcs = 1, .cores = 4 }, .duration_ms = 600,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .work = KT_WORK(KT_AFFINITY_CHURN, .workers = 1) }),
			  .hold = KT_HOLD_FULL }),
      .check = affinity_check);

/* ---- ForkExit, CgroupAttachStorm ------------------------------------------------------------- */

/* Process IDs increase, so that all children have a higher one than their parent. */
static int fork_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *report = look_report(ctx, "w", 0);
	char text[LOOK_LEN];

	KT_ASSERT(ctx, report);
	KT_EXPECT_GT(ctx, report->iterations, 10);
	KT_ASSERT(ctx, *look(text, "/proc/loadavg"));
	/* The last word of the file is the ID of the newest process. */
	KT_EXPECT_GE(ctx, strtoull(strrchr(text, ' '), NULL, 10), report->tid + report->iterations);
	return 0;
}

#define FORKS(...)                                                                                 \
	.topology = { .llcs = 1, .cores = 1 }, .duration_ms = 600,                                 \
	.steps =                                                                                   \
		KT_STEPS({ KT_SETUP({ .name = "w",                                                 \
				      .work = KT_WORK(KT_FORK_EXIT, .workers = 1, __VA_ARGS__) }), \
			   .hold = KT_HOLD_FULL })

KTEST(work_fork_exit, .summary = "each iteration of ForkExit is a process of the kernel's",
      FORKS(.reap = false), .check = fork_check);

KTEST(work_fork_exit_reap, .summary = "so it is when ForkExit waits for its children",
      FORKS(.reap = true), .check = fork_check);

static int attach_check(struct kt_ctx *ctx)
{
	const struct kt_cgroup_usage *usage = kt_step_usage(ctx, 0, "dest");

	KT_ASSERT(ctx, usage);
	KT_EXPECT_GT(ctx, look_iterations(ctx, "w"), 5);
	/* No process was started in these cgroups: processes that moved there used the CPU time. */
	KT_EXPECT_GT(ctx, usage->usage_us, 0);
	return 0;
}

#define STORM(...)                                                                                 \
	.topology = { .llcs = 1, .cores = 1 }, .duration_ms = 600,                                 \
	.steps = KT_STEPS(                                                                         \
		{ KT_SETUP({ .name = "dest" }, { .name = "w",                                      \
						 .work = KT_WORK(KT_CGROUP_ATTACH_STORM,           \
								 .dest = "dest", __VA_ARGS__) }),  \
		  .hold = KT_HOLD_FULL })

KTEST(work_cgroup_attach_storm, .summary = "children that are ending end in another cgroup",
      STORM(.workers = 2), .check = attach_check);

KTEST(work_cgroup_attach_storm_reap, .summary = "so it is when they are waited for",
      STORM(.workers = 2, .reap = true), .check = attach_check);

/* ---- CgroupChurn ----------------------------------------------------------------------------- */

/* Counts how often the worker was found in another cgroup than before. */
static void see_moves(struct kt_custom *self)
{
	int where = -1;

	while (!kt_custom_stopping(self)) {
		int now = look_process("w/.churn-0") ? 0 : look_process("w/.churn-1") ? 1 : where;

		if (now != where)
			kt_custom_done(self);
		where = now;
		kt_custom_sleep_us(self, 2000);
	}
}

static int churn_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, look_iterations(ctx, "eye"), 4);
	KT_EXPECT_EQ(ctx, access(LOOK_ROOT "w", F_OK), -1);
	return 0;
}

KTEST(work_cgroup_churn, .summary = "CgroupChurn moves itself from cgroup to cgroup", TWO_CPUS,
      SEEN_BY(EYE(see_moves), KT_CGROUP_CHURN, .workers = 1, .period_ms = 20),
      .check = churn_check);

static int killed_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT(ctx, sum.killed);
	KT_EXPECT_EQ(ctx, access(LOOK_ROOT "w", F_OK), -1);
	return 0;
}

KTEST(work_cgroup_churn_killed, .summary = "the cgroups that killed workers leave go with theirs",
      TWO_CPUS,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .work = KT_WORK(KT_CGROUP_CHURN, .groups = 3,
						     .period_ms = 10) }),
			  .hold = KT_HOLD_MS(100) },
			{ KT_OPS(KT_FREEZE_CGROUP("w"), KT_STOP_CGROUP("w"), KT_REMOVE_CGROUP("w")),
			  .hold = KT_HOLD_MS(1) }),
      .check = killed_check);

/* A child that is frozen while it is moved does not end. The worker must end nevertheless. */
static int frozen_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT(ctx, !sum.killed);
	return 0;
}

KTEST(work_cgroup_attach_frozen, .summary = "CgroupAttachStorm ends when its child cannot",
      .topology = { .llcs = 1, .cores = 1 },
      .steps = KT_STEPS(
	      { KT_SETUP({ .name = "dest" },
			 { .name = "w", .work = KT_WORK(KT_CGROUP_ATTACH_STORM, .dest = "dest") }),
		.hold = KT_HOLD_MS(100) },
	      { KT_OPS(KT_FREEZE_CGROUP("dest")), .hold = KT_HOLD_MS(200) },
	      { KT_OPS(KT_STOP_CGROUP("w"), KT_REMOVE_CGROUP("w"), KT_UNFREEZE_CGROUP("dest")),
		.hold = KT_HOLD_MS(1) }),
      .check = frozen_check);
