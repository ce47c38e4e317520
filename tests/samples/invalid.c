/* SPDX-License-Identifier: MIT */
/* Declarations that are wrong, each in one way; none may run. */
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
KTEST(valid, .run = run);

/* The same name from another file. */
static const struct kt_test duplicate = {
	.name = "valid", .file = "elsewhere.c", .line = 7, .run = run
};
__attribute__((constructor(2000))) static void register_duplicate(void)
{
	static struct kt_test_node node = { &duplicate, NULL };

	kt_test_register(&node);
}
