/* SPDX-License-Identifier: MIT */
/* Wrong declarations, each with one fault. None of them may run. */
#include <ktest.h>

static int run(struct kt_ctx *ctx)
{
	(void)ctx;
	return 0;
}

#define ONE_STEP(...) KT_STEPS({ __VA_ARGS__ })

KTEST(nothing);
KTEST(both, .run = run, .steps = ONE_STEP(.hold = KT_HOLD_FULL));
KTEST(zero_topology, .topology = { .llcs = 1, .cores = 0, .threads = 2 }, .run = run);
KTEST(uneven_nodes, .topology = { .numa_nodes = 2, .llcs = 3, .cores = 1 }, .run = run);
KTEST(too_many_cpus, .topology = { .llcs = 16, .cores = 8, .threads = 2 }, .run = run);
KTEST(listed_and_counted, .topology = { .llcs = 2, .llc_cores = { 3, 1 } }, .run = run);
KTEST(little_memory, .memory_mib = 8, .run = run);
KTEST(no_steps, .steps = KT_STEPS({ .end = true }));
KTEST(empty_step, .steps = ONE_STEP(.name = "nothing"));
KTEST(unknown_cgroup, .steps = ONE_STEP(KT_OPS(KT_FREEZE_CGROUP("workers"))));
KTEST(gone_cgroup, .steps = KT_STEPS({ KT_OPS(KT_ADD_CGROUP("a"), KT_REMOVE_CGROUP("a")) },
				     { KT_OPS(KT_FREEZE_CGROUP("a")) }));
KTEST(twice_the_same, .steps = ONE_STEP(KT_SETUP({ .name = "a" }, { .name = "a" })));
KTEST(bad_names, .steps = ONE_STEP(KT_SETUP({ .name = "/a" }, { .name = "a//b" },
					    { .name = "../a" }, { .work = NULL })));
KTEST(no_work_type,
      .steps = ONE_STEP(KT_SETUP({ .name = "a", .work = KT_WORKS({ .workers = 3 }) })));
KTEST(crowd,
      .steps = ONE_STEP(KT_SETUP({ .name = "a", .work = KT_WORK(KT_SPIN_WAIT, .workers = 5000) })));
KTEST(no_operation, .steps = ONE_STEP(KT_OPS({ .cgroup = "a" })));
KTEST(fraction_zero, .steps = ONE_STEP(.hold = KT_HOLD_FRAC(0)));
KTEST(fraction_over_one, .steps = ONE_STEP(.hold = KT_HOLD_FRAC(1.5)));
KTEST(fraction_not_a_number, .steps = ONE_STEP(.hold = KT_HOLD_FRAC(__builtin_nan(""))));
KTEST(too_long, .duration_ms = 1000,
      .steps = KT_STEPS({ .hold = KT_HOLD_FRAC(0.6) }, { .hold = KT_HOLD_MS(500) }));

/* An operation on a cgroup that exists. */
#define ON_W(...)   ONE_STEP(KT_SETUP({ .name = "w" }), KT_OPS(__VA_ARGS__))
#define CPUSET(...) ONE_STEP(KT_SETUP({ .name = "w", .cpuset = __VA_ARGS__ }))
#define WORK(...)   ONE_STEP(KT_SETUP({ .name = "w", .work = KT_WORKS({ __VA_ARGS__ }) }))
#define LIMIT(...)  ONE_STEP(KT_SETUP({ .name = "w", __VA_ARGS__ }))

KTEST(cpuset_llc, .steps = CPUSET(KT_CPUSET_LLC(1)));
KTEST(cpuset_node, .steps = CPUSET(KT_CPUSET_NUMA(1)));
KTEST(cpuset_not_a_number, .steps = CPUSET(KT_CPUSET_RANGE(0, __builtin_nan(""))));
KTEST(cpuset_backwards, .steps = CPUSET(KT_CPUSET_RANGE(0.5, 0.5)));
KTEST(cpuset_empty, .steps = CPUSET(KT_CPUSET_RANGE(0, 0.1)));
KTEST(cpuset_part, .steps = CPUSET(KT_CPUSET_DISJOINT(2, 2)));
KTEST(cpuset_more_parts_than_cpus, .steps = CPUSET(KT_CPUSET_DISJOINT(0, 3)));
KTEST(cpuset_overlap, .steps = CPUSET(KT_CPUSET_OVERLAP(0, 2, 1.5)));
KTEST(cpuset_list, .steps = CPUSET(KT_CPUSET_EXACT("0-")));
KTEST(cpuset_no_such_cpu, .steps = CPUSET(KT_CPUSET_EXACT("0-2")));
KTEST(cpuset_unsaid, .steps = ON_W({ .kind = KT_OP_SET_CPUSET, .cgroup = "w" }));
KTEST(mems, .steps = LIMIT(.mems = "0,1"));
KTEST(weight, .steps = LIMIT(.cpu_weight = 10001));
KTEST(quotas, .steps = LIMIT(.cpu_quota_pct = 50, .cpu_quota_us = 5000));
KTEST(quota_period, .steps = LIMIT(.cpu_quota_us = 5000, .cpu_period_us = 10));
KTEST(swap_itself, .steps = ON_W(KT_SWAP_CPUSETS("w", "w")));
KTEST(move_itself, .steps = ON_W(KT_MOVE_ALL_TASKS("w", "w")));
KTEST(move_runner_to_itself, .steps = ON_W(KT_MOVE_ALL_TASKS("", "")));
KTEST(move_nowhere, .steps = ON_W(KT_MOVE_ALL_TASKS("w", "elsewhere")));
KTEST(freeze_runner, .steps = ON_W(KT_FREEZE_CGROUP("")));
KTEST(no_tag, .steps = ON_W(KT_CAPTURE_CGROUP_PROCS("", "w")));
KTEST(irq_no_such_cpu, .steps = ON_W(KT_STEER_IRQ(1, 2)));
KTEST(affinity_of_none, .steps = ON_W(KT_SET_AFFINITY("w", KT_RANDOM_SUBSET(0, KT_CPUSET_LLC(0)))));
KTEST(siblings_without_smt, .steps = ON_W(KT_SET_AFFINITY("w", KT_SMT_SIBLINGS)));
KTEST(spawn_nothing, .steps = ON_W(KT_SPAWN("w", KT_WORK_NONE)));
KTEST(spawn_share_of_nothing, .steps = ON_W(KT_SPAWN_IN_RUNNER(KT_SPIN_WAIT, .workers_pct = 50)));
KTEST(priority, .steps = WORK(.type = KT_SPIN_WAIT, .sched = { KT_SCHED_FIFO, .priority = 100 }));
KTEST(deadline, .steps = WORK(.type = KT_SPIN_WAIT,
			      .sched = { KT_SCHED_DEADLINE, .runtime_us = 9, .deadline_us = 8 }));
KTEST(nice, .steps = WORK(.type = KT_SPIN_WAIT, .nice = 20));
KTEST(long_comm, .steps = WORK(.type = KT_SPIN_WAIT, .comm = "a name of sixteen"));
KTEST(both_counts, .steps = WORK(.type = KT_SPIN_WAIT, .workers = 2, .workers_pct = 50));
KTEST(custom_without_function, .steps = WORK(.type = KT_CUSTOM));
KTEST(loop_without_interval, .steps = ONE_STEP(.hold = KT_HOLD_LOOP(0)));
KTEST(backdrop_op, .backdrop = { KT_OPS(KT_STOP_CGROUP("w")) },
      .steps = ONE_STEP(.hold = KT_HOLD_FULL));
KTEST(backdrop_shadowed, .backdrop = { KT_SETUP({ .name = "w" }) }, .steps = LIMIT(.pids_max = 9));
KTEST(negative_limit, .checks = { .max_gap_ms = -5 }, .run = run);
KTEST(share_over_one, .checks = { .min_page_locality = 2 }, .run = run);
KT_SCHEDULER(two_kinds, .object = "a.bpf.o", .binary = "b");
KT_SCHEDULER(no_kind, .package = "none");
KT_SCHEDULER(endless_dump, .object = "a.bpf.o", .dump_kib = 20000);
KTEST(long_watchdog, .watchdog_ms = 40000, .run = run, .scheduler = KT_SCHEDULER_REF(endless_dump));
KTEST(attaches_none, .steps = KT_STEPS({ KT_OPS(KT_ATTACH_SCHEDULER(NULL)) }));
KTEST(awaits_0_ms, .steps = KT_STEPS({ KT_OPS(KT_AWAIT_SCHEDULER_EXIT(0)) }));
KTEST(reads_no_map, .steps = KT_STEPS({ KT_OPS(KT_READ_BPF_MAP("", "m", "f")) },
				      { KT_OPS(KT_WRITE_BPF_MAP("", "f", 1)) }));
KTEST(watchdog_of_none, .watchdog_ms = 500, .run = run);
KTEST(end_of_none, .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ANY }, .run = run);
#define WATCH KT_WATCH_SNAPSHOT("jiffies_64")
KTEST(watches_twice, .steps = KT_STEPS({ KT_OPS(WATCH, WATCH) }));
KTEST(ends_no_watch, .steps = KT_STEPS({ KT_OPS(WATCH, KT_UNWATCH("jiffies_64"),
						KT_UNWATCH("jiffies_64"), WATCH) }));
KTEST(watches_long_value, .steps = KT_STEPS({ KT_OPS(
				  KT_WATCH("init_task", .len = 16, .when = KT_GE(1)),
				  KT_WATCH("", .name = "nothing"),
				  KT_WATCH("jiffies", .count_only = true, .captures = 1)) }));
#define WATCH_AT(n) KT_WATCH("jiffies", .name = #n)
#define WATCH_8(n)                                                                                 \
	WATCH_AT(n##0), WATCH_AT(n##1), WATCH_AT(n##2), WATCH_AT(n##3), WATCH_AT(n##4),            \
		WATCH_AT(n##5), WATCH_AT(n##6), WATCH_AT(n##7)
#define WATCH_64(n)                                                                                \
	WATCH_8(n##0), WATCH_8(n##1), WATCH_8(n##2), WATCH_8(n##3), WATCH_8(n##4), WATCH_8(n##5),  \
		WATCH_8(n##6), WATCH_8(n##7)
KTEST(watches_129, .steps = KT_STEPS({ KT_OPS(WATCH_64(1), WATCH_64(2), WATCH_AT(3)) }));
KTEST(valid, .run = run);

/* The same name as in another file. */
static const struct kt_test duplicate = {
	.name = "valid", .file = "elsewhere.c", .line = 7, .run = run
};
__attribute__((constructor(2000))) static void register_duplicate(void)
{
	static struct kt_test_node node = { &duplicate, NULL };

	kt_test_register(&node);
}

KTEST(snapshots_of_run, .num_snapshots = 1, .run = run);
KTEST(snapshots_too_many, .num_snapshots = 65, .duration_ms = 60000,
      .steps = ONE_STEP(.hold = KT_HOLD_FULL));
KTEST(snapshots_too_close, .num_snapshots = 8, .duration_ms = 1000,
      .steps = ONE_STEP(.hold = KT_HOLD_FULL));
KTEST(snapshot_name, .steps = KT_STEPS({ KT_OPS(KT_CAPTURE_SNAPSHOT("a/b")) },
				       { KT_OPS(KT_CAPTURE_SNAPSHOT("")) }));
KTEST(gates, .run = run,
      .perf = KT_PERF({ .metric = "iterations", .percent = -1 }, { .metric = "speed" },
		      { .better = KT_LOWER }, { .metric = "failed" },
		      { .metric = "mips", .better = KT_HIGHER },
		      { .metric = "iterations", .percent = 150 }, { .metric = "migrations" },
		      { .metric = "migrations", .absolute = __builtin_inf() },
		      { .metric = "migrations" }));
