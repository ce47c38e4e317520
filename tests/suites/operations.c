/* SPDX-License-Identifier: MIT */
/* Each operation, proved by what the kernel reports of its effect. */
#include <ktest.h>

#include <errno.h>

#include "tests/suites/look.h"

#define TWO_LLCS     .topology = { .llcs = 2, .cores = 2 }
#define TWO_CPUS     .topology = { .llcs = 1, .cores = 2 }
#define ONE_CPU      .topology = { .llcs = 1, .cores = 1 }
#define APPLY(...)   KT_ASSERT_EQ(ctx, kt_apply(ctx, __VA_ARGS__), 0)
#define CPUS(cgroup) look_cgroup(text, cgroup, "cpuset.cpus.effective")
#define SPINNERS(n)  .work = KT_WORK(KT_SPIN_WAIT, .workers = (n))

/* ---- cpusets --------------------------------------------------------------------------------- */

static int cpuset_run(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];
	const pid_t *pids;
	size_t n;

	APPLY(KT_ADD_CGROUP_DEF("w", SPINNERS(2), .cpuset = KT_CPUSET_LLC(0)));
	KT_ASSERT_STREQ(ctx, CPUS("w"), "0-1");
	APPLY(KT_SET_CPUSET("w", KT_CPUSET_LLC(1)));
	KT_ASSERT_STREQ(ctx, CPUS("w"), "2-3");
	APPLY(KT_CAPTURE_CGROUP_PROCS("workers", "w"));
	pids = kt_captured(ctx, "workers", &n);
	KT_ASSERT_EQ(ctx, n, 2);
	KT_ASSERT_STREQ(ctx, look_status(text, pids[0], "Cpus_allowed_list"), "2-3");
	APPLY(KT_CLEAR_CPUSET("w"));
	KT_ASSERT_STREQ(ctx, CPUS("w"), "0-3");
	KT_ASSERT_STREQ(ctx, look_cgroup(text, "w", "cpuset.cpus"), "");
	KT_ASSERT_STREQ(ctx, look_status(text, pids[1], "Cpus_allowed_list"), "0-3");
	return 0;
}

KTEST(op_cpuset, .summary = "KT_SET_CPUSET and KT_CLEAR_CPUSET change what workers may use",
      TWO_LLCS, .run = cpuset_run);

/* The isolation check must know: a worker may run everywhere when the cpuset is gone. */
static int cleared_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_EQ(ctx, sum.allowed[0], 0xf);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "confined", &sum));
	KT_EXPECT_EQ(ctx, sum.allowed[0], 0x1);
	return 0;
}

#define ON_CPU_0 .cpuset = KT_CPUSET_EXACT("0"), SPINNERS(3)

KTEST(op_clear_cpuset, .summary = "KT_CLEAR_CPUSET lets workers run everywhere", TWO_LLCS,
      .duration_ms = 400, .checks = { .isolation = KT_ON },
      .backdrop = { KT_SETUP({ .name = "w", ON_CPU_0 }, { .name = "confined", ON_CPU_0 }) },
      .steps = KT_STEPS({ .hold = KT_HOLD_FRAC(0.2) },
			{ KT_OPS(KT_CLEAR_CPUSET("w")), .hold = KT_HOLD_FRAC(0.8) }),
      .check = cleared_check);

static int swap_run(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];

	APPLY(KT_ADD_CGROUP_DEF("a", .cpuset = KT_CPUSET_EXACT("0")));
	APPLY(KT_ADD_CGROUP_DEF("b", .cpuset = KT_CPUSET_EXACT("1-2")));
	APPLY(KT_SWAP_CPUSETS("a", "b"));
	KT_ASSERT_STREQ(ctx, CPUS("a"), "1-2");
	KT_ASSERT_STREQ(ctx, CPUS("b"), "0");
	return 0;
}

KTEST(op_swap_cpusets, .summary = "KT_SWAP_CPUSETS gives each what the other had", TWO_LLCS,
      .run = swap_run);

static int kinds_run(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];

	/* Of four CPUs, three are usable. */
	APPLY(KT_ADD_CGROUP_DEF("numa", .cpuset = KT_CPUSET_NUMA(1)));
	KT_EXPECT_STREQ(ctx, CPUS("numa"), "2-3");
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "numa", "cpuset.mems"), "1");
	/* Memory may come from elsewhere, when the definition says so. */
	APPLY(KT_ADD_CGROUP_DEF("remote", .cpuset = KT_CPUSET_NUMA(1), .mems = "0"));
	KT_EXPECT_STREQ(ctx, CPUS("remote"), "2-3");
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "remote", "cpuset.mems"), "0");
	APPLY(KT_ADD_CGROUP_DEF("range", .cpuset = KT_CPUSET_RANGE(0.3, 1.0)));
	KT_EXPECT_STREQ(ctx, CPUS("range"), "1-2");
	APPLY(KT_ADD_CGROUP_DEF("part", .cpuset = KT_CPUSET_DISJOINT(1, 3)));
	KT_EXPECT_STREQ(ctx, CPUS("part"), "1");
	APPLY(KT_ADD_CGROUP_DEF("overlap", .cpuset = KT_CPUSET_OVERLAP(1, 3, 1.0)));
	KT_EXPECT_STREQ(ctx, CPUS("overlap"), "0-2");
	APPLY(KT_ADD_CGROUP_DEF("exact", .cpuset = KT_CPUSET_EXACT("0,3")));
	KT_EXPECT_STREQ(ctx, CPUS("exact"), "0,3");
	return 0;
}

KTEST(op_cpuset_kinds, .summary = "every way to say a cpuset gives the CPUs that it says",
      .topology = { .numa_nodes = 2, .llcs = 2, .cores = 2 }, .run = kinds_run);

/* ---- cgroups and their limits ---------------------------------------------------------------- */

static int limits_run(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];

	APPLY(KT_ADD_CGROUP_DEF("a", .cpu_quota_pct = 50, .cpu_weight = 250, .pids_max = 40,
				.memory_max = 64 << 20, .memory_high = 48 << 20,
				.memory_low = 1 << 20, .memory_swap_max = KT_ZERO));
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "a", "cpu.max"), "50000 100000");
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "a", "cpu.weight"), "250");
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "a", "pids.max"), "40");
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "a", "memory.max"), "67108864");
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "a", "memory.high"), "50331648");
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "a", "memory.low"), "1048576");
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "a", "memory.swap.max"), "0");
	APPLY(KT_ADD_CGROUP_DEF("a/b", .cpu_quota_us = 20000, .cpu_period_us = 50000,
				.pids_max = KT_UNLIMITED, .io_weight = 300));
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "a/b", "cpu.max"), "20000 50000");
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "a/b", "pids.max"), "max");
	KT_EXPECT_STREQ(ctx, look_cgroup(text, "a/b", "io.weight"), "default 300");
	return 0;
}

KTEST(op_limits, .summary = "a definition's limits are in the cgroup's files, also two levels down",
      ONE_CPU, .run = limits_run);

/* The value behind a word of a cgroup's cpu.stat. */
static long cpu_stat(const char *cgroup, const char *word)
{
	char text[LOOK_LEN];
	const char *at = strstr(look_cgroup(text, cgroup, "cpu.stat"), word);

	return at ? atol(at + strlen(word)) : -1;
}

static int quota_run(struct kt_ctx *ctx)
{
	APPLY(KT_ADD_CGROUP_DEF("little", .cpu_quota_pct = 20, SPINNERS(2)));
	APPLY(KT_ADD_CGROUP_DEF("all", SPINNERS(2)));
	KT_ASSERT_EQ(ctx, kt_hold_ms(ctx, 600), 0);
	KT_EXPECT_GE(ctx, cpu_stat("little", "nr_throttled "), 2);
	KT_EXPECT_GT(ctx, cpu_stat("little", "throttled_usec "), 50000);
	KT_EXPECT_LT(ctx, cpu_stat("little", "usage_usec "), cpu_stat("all", "usage_usec "));
	return 0;
}

KTEST(op_quota, .summary = "a cgroup with a CPU quota is throttled, one without gets more",
      TWO_CPUS, .run = quota_run);

static int defaults_run(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];
	const pid_t *pids;
	size_t n;

	APPLY(KT_ADD_CGROUP_DEF(
		"w", .nice = 7, .comm = "named", .uid = 12,
		.work = KT_WORKS({ .type = KT_SPIN_WAIT, .workers = 1 },
				 { .type = KT_YIELD_HEAVY, .workers_pct = 100, .comm = "other" })));
	APPLY(KT_CAPTURE_CGROUP_PROCS("w", "w"));
	pids = kt_captured(ctx, "w", &n);
	KT_ASSERT_EQ(ctx, n, 3); /* one, and as many as there are CPUs */
	KT_EXPECT_STREQ(ctx, look(text, "/proc/%d/comm", pids[0]), "named");
	KT_EXPECT_STREQ(ctx, look(text, "/proc/%d/comm", pids[2]), "other");
	KT_EXPECT_STREQ(ctx, look_status(text, pids[2], "Uid"), "12\t12\t12\t12");
	KT_EXPECT_CONTAINS(ctx, look(text, "/proc/%d/stat", pids[2]), " 27 7 ");
	return 0;
}

KTEST(op_def_defaults, .summary = "a definition's defaults are those of all its works", TWO_CPUS,
      .run = defaults_run);

/* ---- workers --------------------------------------------------------------------------------- */

static int spawn_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 3);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 1);
	KT_EXPECT_GT(ctx, sum.iterations, 0);
	return 0;
}

KTEST(op_spawn, .summary = "KT_SPAWN starts workers in a cgroup, or where PID 1 is", TWO_CPUS,
      .duration_ms = 200,
      .steps = KT_STEPS({ KT_OPS(KT_ADD_CGROUP("w"), KT_SPAWN("w", KT_SPIN_WAIT, .workers = 3),
				 KT_SPAWN_IN_RUNNER(KT_SPIN_WAIT, .workers = 1)),
			  .hold = KT_HOLD_FULL }),
      .check = spawn_check);

/* tests/checks/runner.py runs it with another type. */
KTEST(op_swappable, .summary = "a swappable work is done by any type that --work-type names",
      ONE_CPU, .duration_ms = 100,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w", .swappable = true, SPINNERS(2) },
				   { .name = "own", SPINNERS(1) }),
			  .hold = KT_HOLD_FULL }));

static int affinity_run(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];
	const pid_t *pids;
	size_t n;

	APPLY(KT_ADD_CGROUP_DEF("w", SPINNERS(2)));
	APPLY(KT_CAPTURE_CGROUP_PROCS("w", "w"));
	pids = kt_captured(ctx, "w", &n);
	KT_ASSERT_STREQ(ctx, look_status(text, pids[0], "Cpus_allowed_list"), "0-3");
	APPLY(KT_SET_AFFINITY("w", KT_SINGLE_CPU));
	KT_ASSERT_STREQ(ctx, look_status(text, pids[0], "Cpus_allowed_list"), "0");
	KT_ASSERT_STREQ(ctx, look_status(text, pids[1], "Cpus_allowed_list"), "1");
	APPLY(KT_SET_AFFINITY("w", KT_EXACT_CPUS(KT_CPUSET_EXACT("2-3"))));
	KT_ASSERT_STREQ(ctx, look_status(text, pids[1], "Cpus_allowed_list"), "2-3");
	APPLY(KT_SET_AFFINITY("w", KT_LLC_ALIGNED));
	KT_ASSERT_STREQ(ctx, look_status(text, pids[0], "Cpus_allowed_list"), "0-1");
	KT_ASSERT_STREQ(ctx, look_status(text, pids[1], "Cpus_allowed_list"), "2-3");
	return 0;
}

KTEST(op_set_affinity, .summary = "KT_SET_AFFINITY changes which CPUs each worker may use",
      TWO_LLCS, .run = affinity_run);

static int move_run(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;
	char text[LOOK_LEN];
	size_t n;

	APPLY(KT_ADD_CGROUP_DEF("a", SPINNERS(2)));
	APPLY(KT_ADD_CGROUP("b"));
	APPLY(KT_MOVE_ALL_TASKS("a", "b"));
	APPLY(KT_CAPTURE_CGROUP_PROCS("a", "a"));
	APPLY(KT_CAPTURE_CGROUP_PROCS("b", "b"));
	(void)kt_captured(ctx, "a", &n);
	KT_ASSERT_EQ(ctx, n, 0);
	(void)kt_captured(ctx, "b", &n);
	KT_ASSERT_EQ(ctx, n, 2);
	/* They belong to b now: stopping a has no effect on them. */
	APPLY(KT_STOP_CGROUP("a"));
	KT_ASSERT_CONTAINS(ctx, look_cgroup(text, "b", "cgroup.events"), "populated 1");
	APPLY(KT_STOP_CGROUP("b"));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "b", &sum));
	KT_ASSERT_EQ(ctx, sum.index, 2);
	return 0;
}

KTEST(op_move_all_tasks,
      .summary = "KT_MOVE_ALL_TASKS moves workers, which then are the other cgroup's", TWO_CPUS,
      .run = move_run);

static int adopt_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;
	size_t n;

	(void)kt_captured(ctx, "kept", &n);
	KT_EXPECT_EQ(ctx, n, 3);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "kept", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 3);
	KT_EXPECT(ctx, !kt_sum_reports(ctx, "", &sum));
	KT_EXPECT(ctx, !kt_sum_reports(ctx, "gone", &sum));
	return 0;
}

KTEST(op_move_to_backdrop, .summary = "what is moved to the backdrop lives on, from \"\" too",
      TWO_CPUS, .duration_ms = 300, .backdrop = { KT_SETUP({ .name = "kept" }) },
      .steps = KT_STEPS({ KT_SETUP({ .name = "gone", SPINNERS(2) }),
			  KT_OPS(KT_SPAWN_IN_RUNNER(KT_SPIN_WAIT, .workers = 1),
				 KT_MOVE_ALL_TASKS("gone", "kept"), KT_MOVE_ALL_TASKS("", "kept")),
			  .hold = KT_HOLD_FRAC(0.3) },
			{ KT_OPS(KT_CAPTURE_CGROUP_PROCS("kept", "kept")),
			  .hold = KT_HOLD_FRAC(0.3) }),
      .check = adopt_check);

static int threads_run(struct kt_ctx *ctx)
{
	size_t n_procs, n_threads;

	APPLY(KT_ADD_CGROUP_DEF("w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 3, .threads = true)));
	APPLY(KT_CAPTURE_CGROUP_PROCS("procs", "w"));
	APPLY(KT_CAPTURE_CGROUP_THREADS("threads", "w"));
	(void)kt_captured(ctx, "procs", &n_procs);
	(void)kt_captured(ctx, "threads", &n_threads);
	KT_ASSERT_EQ(ctx, n_procs, 1);
	KT_ASSERT_EQ(ctx, n_threads, 3);
	return 0;
}

KTEST(op_capture, .summary = "KT_CAPTURE_CGROUP_PROCS and _THREADS tell processes from threads",
      ONE_CPU, .run = threads_run);

/* ---- interrupts ------------------------------------------------------------------------------ */

#define CONSOLE_IRQ "ttyS0" /* a device that each machine has */

/* The number of the console's interrupt, and how many of them CPU 0 and CPU 1 have handled. */
static int read_irq(unsigned int counts[2])
{
	FILE *file = fopen("/proc/interrupts", "re");
	char line[512];
	int irq = -1;

	while (file && irq < 0 && fgets(line, sizeof(line), file)) {
		if (strstr(line, CONSOLE_IRQ) &&
		    sscanf(line, "%d: %u %u", &irq, &counts[0], &counts[1]) != 3)
			irq = -1;
	}
	if (file)
		(void)fclose(file);
	return irq;
}

/* Makes the console interrupt until an interrupt arrives on the CPU; false if none does. */
static int await_irq(struct kt_ctx *ctx, unsigned int cpu)
{
	FILE *console = fopen("/dev/console", "we");
	unsigned int before[2], now[2];

	KT_ASSERT(ctx, console);
	(void)setvbuf(console, NULL, _IOLBF, 0);
	KT_ASSERT_GT(ctx, read_irq(before), 0);
	for (int i = 0; i < 400; i++) {
		(void)fprintf(console, "interrupt CPU %u\n", cpu);
		KT_ASSERT_EQ(ctx, kt_hold_ms(ctx, 5), 0);
		KT_ASSERT_GT(ctx, read_irq(now), 0);
		if (now[cpu] > before[cpu]) {
			(void)fclose(console);
			return 0;
		}
	}
	KT_FAIL(ctx, "no interrupt arrives on CPU %u", cpu);
}

static int irq_run(struct kt_ctx *ctx)
{
	unsigned int counts[2];
	int irq = read_irq(counts);

	KT_ASSERT_GT(ctx, irq, 0);
	for (unsigned int cpu = 0; cpu < 2; cpu++) {
		APPLY(KT_STEER_IRQ((unsigned int)irq, cpu));
		KT_ASSERT_EQ(ctx, await_irq(ctx, cpu), 0);
		APPLY(KT_STEER_IRQ_BY_LABEL(CONSOLE_IRQ, 1 - cpu));
		KT_ASSERT_EQ(ctx, await_irq(ctx, 1 - cpu), 0);
	}
	return 0;
}

KTEST(op_steer_irq, .summary = "KT_STEER_IRQ chooses an interrupt's CPU, by number and by label",
      TWO_CPUS, .run = irq_run);

/* ---- steps ----------------------------------------------------------------------------------- */

static int loop_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	/*
	 * In each round, the worker moves from one CPU to the other: five times in 500 ms at best.
	 */
	KT_ASSERT(ctx, kt_sum_reports(ctx, "a", &sum));
	KT_EXPECT_EQ(ctx, sum.cpus[0], 0x5);
	KT_EXPECT_GE(ctx, sum.migrations, 2);
	KT_EXPECT_LE(ctx, sum.migrations, 6);
	return 0;
}

KTEST(step_loop, .summary = "KT_HOLD_LOOP applies the operations over and over", TWO_LLCS,
      .duration_ms = 500,
      .steps = KT_STEPS({ KT_SETUP({ .name = "a", .cpuset = KT_CPUSET_EXACT("0"), SPINNERS(1) },
				   { .name = "b", .cpuset = KT_CPUSET_EXACT("2") }),
			  KT_OPS(KT_SWAP_CPUSETS("a", "b")), .hold = KT_HOLD_LOOP(100) }),
      .checks = { .isolation = KT_ON, .not_starved = KT_ON }, .check = loop_check);

static const struct kt_cgroup_def *make_setup(struct kt_ctx *ctx)
{
	static const struct kt_work spinner[] = { { .type = KT_SPIN_WAIT, .workers = 1 },
						  { .end = true } };
	static struct kt_cgroup_def defs[3];
	static char names[2][16];

	for (unsigned int i = 0; i < kt_topology(ctx)->cores; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "core%u", i);
		defs[i] = (struct kt_cgroup_def){ .name = names[i],
						  .cpuset = KT_CPUSET_DISJOINT(i, 2),
						  .work = spinner };
	}
	defs[2].end = true;
	return defs;
}

static int factory_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "core0", &sum));
	KT_EXPECT_EQ(ctx, sum.cpus[0], 1);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "core1", &sum));
	KT_EXPECT_EQ(ctx, sum.cpus[0], 2);
	return 0;
}

KTEST(step_factory, .summary = ".setup_fn makes the setup in the guest", TWO_CPUS,
      .duration_ms = 200, .steps = KT_STEPS({ .setup_fn = make_setup, .hold = KT_HOLD_FULL }),
      .check = factory_check);

static int backdrop_check(struct kt_ctx *ctx)
{
	for (unsigned int step = 0; step < 2; step++) {
		const struct kt_cgroup_usage *usage = kt_step_usage(ctx, step, "all");

		KT_ASSERT(ctx, usage);
		KT_EXPECT_GT(ctx, usage->usage_us, 10000);
	}
	KT_EXPECT(ctx, kt_step_usage(ctx, 0, "one"));
	KT_EXPECT(ctx, !kt_step_usage(ctx, 1, "one"));
	return 0;
}

KTEST(step_backdrop, .summary = "the backdrop lives through all steps", TWO_CPUS,
      .duration_ms = 300, .backdrop = { KT_SETUP({ .name = "all", SPINNERS(1) }) },
      .steps = KT_STEPS({ KT_SETUP({ .name = "one" }), .hold = KT_HOLD_FRAC(0.5) },
			{ .hold = KT_HOLD_FRAC(0.5) }),
      .check = backdrop_check);
