/* SPDX-License-Identifier: MIT */
/*
 * Unmodified schedulers of the kernel's tools/sched_ext. They are looked for in
 * KTESTS_SCHEDULER_PATH; docs/schedulers.md describes how to get them.
 */
#include "tests/suites/look.h"
#include "tests/suites/schedulers.h"
#include "tests/suites/watchdog.h"

/*
 * A program loads its scheduler with a libbpf of its own, which reads the whole BTF of the kernel:
 * at the speed of a virtual CPU, scx_qmap takes ten seconds to attach.
 */
#define LOADS_ITSELF .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .timeout_ms = 90000

KT_SCHEDULER(simple_program, .binary = "scx_simple");
KT_SCHEDULER(simple_fifo, .binary = "scx_simple", .args = KT_ARGS("-f"));
KT_SCHEDULER(simple_object, .object = "scx_simple.bpf.o");
KT_SCHEDULER(qmap_program, .binary = "scx_qmap");
KT_SCHEDULER(qmap_object, .object = "scx_qmap.bpf.o");

/* The kernel reports the name of its ops. It must be the foreign scheduler's. */
static int expect_ops(struct kt_ctx *ctx, const char *ops)
{
	char text[LOOK_LEN];

	KT_ASSERT_STREQ(ctx, look(text, "/sys/kernel/sched_ext/state"), "enabled");
	KT_EXPECT_CONTAINS(ctx, look(text, "/sys/kernel/sched_ext/root/ops"), ops);
	return 0;
}

static int is_simple(struct kt_ctx *ctx)
{
	return expect_ops(ctx, "simple");
}

static int is_qmap(struct kt_ctx *ctx)
{
	return expect_ops(ctx, "qmap");
}

#define STEADY(test_name, reference, check_fn)                                                     \
	KTEST(test_name, .summary = "every worker gets on under a scheduler of others",            \
	      LOADS_ITSELF, .duration_ms = 800, .checks = { .not_starved = KT_ON },                \
	      .scheduler = KT_SCHEDULER_REF(reference),                                            \
	      .steps = KT_STEPS(                                                                   \
		      { KT_SETUP({ .name = "spin", .work = KT_WORK(KT_SPIN_WAIT, .workers = 3) },  \
				 { .name = "pipe", .work = KT_WORK(KT_PIPE_IO, .workers = 2) }),   \
			.hold = KT_HOLD_FULL }),                                                   \
	      .check = (check_fn))

STEADY(scx_foreign_simple, simple_program, is_simple);
STEADY(scx_foreign_simple_fifo, simple_fifo, is_simple);
STEADY(scx_foreign_simple_object, simple_object, is_simple);
STEADY(scx_foreign_qmap, qmap_program, is_qmap);
STEADY(scx_foreign_qmap_object, qmap_object, is_qmap);

KTEST(scx_foreign_swap, .summary = "programs and objects take one another's place", LOADS_ITSELF,
      .duration_ms = 600, .checks = { .not_starved = KT_ON },
      .scheduler = KT_SCHEDULER_REF(simple_program),
      .backdrop = { KT_SETUP({ .name = "w", .work = KT_WORK(KT_MIXED, .workers = 4) }) },
      .steps = KT_STEPS({ .hold = KT_HOLD_FRAC(0.3) },
			{ KT_OPS(KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(qmap_object))),
			  .hold = KT_HOLD_FRAC(0.3) },
			{ KT_OPS(KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(qmap_program)),
				 KT_RESTART_SCHEDULER()),
			  .hold = KT_HOLD_FRAC(0.3) }),
      .check = is_qmap);

/* An option makes qmap stall. It sets a timeout of 5 s itself; the test makes it shorter. */
KT_SCHEDULER(qmap_stalls, .binary = "scx_qmap", .args = KT_ARGS("-t", "3"));

#define STALL_WATCHDOG_MS 400

static int stall_check(struct kt_ctx *ctx)
{
	const struct kt_scheduler_end *end = kt_scheduler_ended(ctx);
	double watchdog_s = (double)scaled_watchdog_ms(ctx, STALL_WATCHDOG_MS) / 1e3;

	KT_ASSERT(ctx, end);
	KT_EXPECT_EQ(ctx, end->kind, KT_SCX_EXIT_ERROR_STALL);
	KT_EXPECT_GE(ctx, stalled_s(end->message), watchdog_s);
	KT_EXPECT_LT(ctx, stalled_s(end->message), 6 * watchdog_s);
	return 0;
}

static int stall_post_vm(struct kt_ctx *ctx)
{
	if (kt_vm_failed(ctx))
		return 0;
	KT_EXPECT_CONTAINS(ctx, kt_vm_scheduler_log(ctx), "EXIT: runnable task stall");
	KT_EXPECT_CONTAINS(ctx, kt_vm_scheduler_dump(ctx), "CPU states\n");
	return 0;
}

KTEST(scx_foreign_stall, .summary = "the watchdog of a program is the test's", LOADS_ITSELF,
      .watchdog_ms = STALL_WATCHDOG_MS, .scheduler = KT_SCHEDULER_REF(qmap_stalls),
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_STALL },
      .steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_MIXED, .workers = 4) }),
			  KT_OPS(KT_AWAIT_SCHEDULER_EXIT(20000)) }),
      .check = stall_check, .post_vm = stall_post_vm);
