/* SPDX-License-Identifier: MIT */
/*
 * Faults of schedulers, and what a test can do to one. Tests control the scheduler "fault" by its
 * maps.
 */
#include "tests/suites/schedulers.h"

#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>

#include "tests/suites/look.h"
#include "tests/suites/watchdog.h"

#define TWO_CPUS  .topology = { .llcs = 1, .cores = 2, .threads = 1 }
#define FOUR_CPUS .topology = { .llcs = 1, .cores = 4, .threads = 1 }
#define AWAIT_MS  20000

KT_SCHEDULER(fault, .object = FIXTURE("fault"));
KT_SCHEDULER(other, .object = FIXTURE("fault"));
KT_SCHEDULER(instead, .object = FIXTURE("fifo"));
KT_SCHEDULER(brief, .object = FIXTURE("fault"), .args = KT_ARGS("slice_us=2000"));
KT_SCHEDULER(errs_at_once, .object = FIXTURE("fault"), .args = KT_ARGS("error=7"));
KT_SCHEDULER(leaves_at_once, .object = FIXTURE("fault"), .args = KT_ARGS("exit_code=7"));
KT_SCHEDULER(unknown_queue, .object = FIXTURE("fault"), .args = KT_ARGS("unknown_queue=1"));
KT_SCHEDULER(inserts_twice, .object = FIXTURE("fault"), .args = KT_ARGS("twice=1"));
KT_SCHEDULER(init_fails, .object = FIXTURE("fault"), .args = KT_ARGS("init_error=-12"));
KT_SCHEDULER(wordy, .object = FIXTURE("fault"), .dump_kib = 8192);

#define MIXED(n)            KT_SETUP({ .name = "w", .work = KT_WORK(KT_MIXED, .workers = (n)) })
#define TELL(field, number) KT_WRITE_BPF_MAP("fault.bss", field, number)

static uint64_t counter(struct kt_ctx *ctx, const char *field)
{
	uint64_t value = 0;

	(void)kt_bpf_read(ctx, KT_BPF("fault.bss", .field = field), &value);
	return value;
}

/* ---- ends ------------------------------------------------------------------------------------ */

#define ENDS(what, ...)                                                                            \
	.scheduler = KT_SCHEDULER_REF(fault), .duration_ms = 400,                                  \
	.expect_scheduler_exit = __VA_ARGS__,                                                      \
	.steps = KT_STEPS(                                                                         \
		{ MIXED(3), .hold = KT_HOLD_MS(50) },                                              \
		{ KT_OPS(what, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)), .hold = KT_HOLD_MS(50) })

static int disabled_check(struct kt_ctx *ctx)
{
	const struct kt_scheduler_end *end = kt_scheduler_ended(ctx);
	char text[LOOK_LEN];

	KT_ASSERT(ctx, end);
	KT_EXPECT(ctx, end->scheduler == KT_SCHEDULER_REF(fault));
	KT_EXPECT(ctx, !kt_scheduler_attached(ctx));
	KT_EXPECT_STREQ(ctx, look(text, "/sys/kernel/sched_ext/state"), "disabled");
	return 0;
}

#define STALL_WATCHDOG_MS 500

/* The kernel reports which task was left waiting, and where the kernel noticed it. */
static int stall_check(struct kt_ctx *ctx)
{
	const struct kt_scheduler_end *end = kt_scheduler_ended(ctx);
	double watchdog_s = (double)scaled_watchdog_ms(ctx, STALL_WATCHDOG_MS) / 1e3;

	KT_ASSERT_EQ(ctx, disabled_check(ctx), 0);
	KT_EXPECT_EQ(ctx, end->kind, KT_SCX_EXIT_ERROR_STALL);
	KT_EXPECT_STREQ(ctx, end->reason, "runnable task stall");
	KT_EXPECT_GE(ctx, stalled_s(end->message), watchdog_s);
	KT_EXPECT_LT(ctx, stalled_s(end->message), 6 * watchdog_s);
	KT_EXPECT_CONTAINS(ctx, end->backtrace, "scx_exit+");
	return 0;
}

/* It would take the kernel's 30 seconds if the watchdog's time were not set. */
KTEST(scx_fault_stall, .summary = "the watchdog ends a scheduler that dispatches nothing", TWO_CPUS,
      .watchdog_ms = STALL_WATCHDOG_MS, ENDS(TELL("stall", 1), { .kind = KT_SCX_EXIT_ERROR_STALL }),
      .check = stall_check);

static int error_check(struct kt_ctx *ctx)
{
	const struct kt_scheduler_end *end = kt_scheduler_ended(ctx);

	KT_ASSERT_EQ(ctx, disabled_check(ctx), 0);
	KT_EXPECT_EQ(ctx, end->kind, KT_SCX_EXIT_ERROR_BPF);
	KT_EXPECT_STREQ(ctx, end->message, "the fault scheduler was told to fail with 4711");
	KT_EXPECT_CONTAINS(ctx, end->backtrace, "scx_bpf_error");
	return 0;
}

static int error_post_vm(struct kt_ctx *ctx)
{
	/* In the format of the kernel's own schedulers. */
	KT_EXPECT_CONTAINS(ctx, kt_vm_scheduler_log(ctx), "DEBUG DUMP\n=====");
	KT_EXPECT_CONTAINS(ctx, kt_vm_scheduler_log(ctx),
			   "EXIT: scx_bpf_error (the fault scheduler was told to fail with 4711), "
			   "kind 1025, code 0");
	KT_EXPECT_CONTAINS(ctx, kt_vm_scheduler_dump(ctx), "triggered exit kind 1025");
	KT_EXPECT_CONTAINS(ctx, kt_vm_scheduler_dump(ctx), "CPU states\n");
	KT_EXPECT_CONTAINS(ctx, kt_vm_scheduler_dump(ctx), "Event counters\n");
	return 0;
}

KTEST(scx_fault_error, .summary = "scx_bpf_error() is told with its message and the dump", TWO_CPUS,
      ENDS(TELL("error", 4711), { .kind = KT_SCX_EXIT_ERROR_BPF, .reason_contains = "4711" }),
      .check = error_check, .post_vm = error_post_vm);

static int exit_check(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx, disabled_check(ctx), 0);
	KT_EXPECT_EQ(ctx, kt_scheduler_ended(ctx)->kind, KT_SCX_EXIT_UNREG_BPF);
	return 0;
}

static int exit_post_vm(struct kt_ctx *ctx)
{
	KT_EXPECT_CONTAINS(ctx, kt_vm_scheduler_log(ctx),
			   "(the fault scheduler was told to leave with -3), kind 65, code -3");
	return 0;
}

KTEST(scx_fault_exit, .summary = "scx_bpf_exit() is an end of its own kind", TWO_CPUS,
      ENDS(TELL("exit_code", -3), { .kind = KT_SCX_EXIT_UNREG_BPF }), .check = exit_check,
      .post_vm = exit_post_vm);

static int wrong_cpu_check(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx, disabled_check(ctx), 0);
	KT_EXPECT_EQ(ctx, kt_scheduler_ended(ctx)->kind, KT_SCX_EXIT_ERROR);
	KT_EXPECT_STREQ(ctx, kt_scheduler_ended(ctx)->reason, "runtime error");
	return 0;
}

KTEST(scx_fault_wrong_cpu, .summary = "a CPU that a task may not use is an error", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(fault), .duration_ms = 400,
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR },
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .cpuset = KT_CPUSET_EXACT("1"),
				     .work = KT_WORK(KT_YIELD_HEAVY, .workers = 3) }),
			  .hold = KT_HOLD_MS(50) },
			{ KT_OPS(TELL("wrong_cpu", 1), KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)) }),
      .check = wrong_cpu_check);

/*
 * The error comes while the kernel enables the scheduler, or right afterwards: the enabled state
 * may never be seen. It is an end like any other.
 */
static int at_once_check(struct kt_ctx *ctx)
{
	const struct kt_scheduler_end *end = kt_scheduler_ended(ctx);
	char text[LOOK_LEN];

	KT_ASSERT(ctx, end);
	KT_EXPECT(ctx, !kt_scheduler_attached(ctx));
	KT_EXPECT_STREQ(ctx, look(text, "/sys/kernel/sched_ext/state"), "disabled");
	return 0;
}

static int at_once_post_vm(struct kt_ctx *ctx)
{
	KT_EXPECT_CONTAINS(ctx, kt_vm_scheduler_dump(ctx), "triggered exit kind 102");
	return 0;
}

#define AT_ONCE(test_name, reference, ...)                                                         \
	KTEST(test_name, .summary = "an error right after the start is an end", TWO_CPUS,          \
	      .scheduler = KT_SCHEDULER_REF(reference), .duration_ms = 200,                        \
	      .expect_scheduler_exit = __VA_ARGS__,                                                \
	      .steps = KT_STEPS({ MIXED(4), .hold = KT_HOLD_MS(100) }), .check = at_once_check,    \
	      .post_vm = at_once_post_vm)

AT_ONCE(scx_fault_error_at_once, errs_at_once,
	{ .kind = KT_SCX_EXIT_ERROR_BPF, .reason_contains = "told to fail with 7" });
AT_ONCE(scx_fault_unknown_queue, unknown_queue, { .kind = KT_SCX_EXIT_ERROR });
AT_ONCE(scx_fault_inserts_twice, inserts_twice, { .kind = KT_SCX_EXIT_ERROR });

static int init_check(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx, at_once_check(ctx), 0);
	KT_EXPECT_STREQ(ctx, kt_scheduler_ended(ctx)->message, "ops.init() failed (-12)");
	return 0;
}

KTEST(scx_fault_init, .summary = "a failing init is an end", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(init_fails),
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR, .reason_contains = "ops.init" },
      .steps = KT_STEPS({ MIXED(2), .hold = KT_HOLD_MS(50) }), .check = init_check);

/* A program that ends with a status other than 0 after SIGTERM fails nothing; it is reported. */
KT_SCHEDULER(exits_at_term, .binary = "../samples/misbehaving", .args = KT_ARGS("exits_at_term"),
	     .files = KT_ARGS(FIXTURE("fifo")));

static int exits_post_vm(struct kt_ctx *ctx)
{
	KT_EXPECT_CONTAINS(ctx, kt_vm_stdout(ctx),
			   "scheduler exits_at_term: detaching: its process ended with status 3: "
			   "cannot clean up");
	return 0;
}

KTEST(scx_fault_status, .summary = "the status of a scheduler's program is told", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(exits_at_term), .duration_ms = 100,
      .steps = KT_STEPS({ .hold = KT_HOLD_FULL }), .post_vm = exits_post_vm);

static int leave_check(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx, at_once_check(ctx), 0);
	KT_EXPECT_EQ(ctx, kt_scheduler_ended(ctx)->kind, KT_SCX_EXIT_UNREG_BPF);
	return 0;
}

KTEST(scx_fault_exit_at_once, .summary = "an exit right after the start is an end", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(leaves_at_once),
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_UNREG_BPF },
      .steps = KT_STEPS({ MIXED(2), .hold = KT_HOLD_MS(50) }), .check = leave_check);

/* The hold also notices that the scheduler has ended, and lasts as long as declared. */
static int goes_on_check(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx, disabled_check(ctx), 0);
	KT_EXPECT_GT(ctx, kt_elapsed_ns(ctx), kt_scheduler_ended(ctx)->elapsed_ns + 300000000);
	return 0;
}

KTEST(scx_fault_in_a_hold, .summary = "an expected end is seen while a step holds", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(fault), .duration_ms = 1000,
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ANY },
      .steps = KT_STEPS({ MIXED(3), KT_OPS(TELL("error", 1)), .hold = KT_HOLD_FULL }),
      .check = goes_on_check);

static int attach_again_run(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_ATTACH_SCHEDULER(KT_SCHEDULER_REF(fault))), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, TELL("error", 1)), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)), 0);
	KT_ASSERT(ctx, !kt_scheduler_attached(ctx));
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_ATTACH_SCHEDULER(KT_SCHEDULER_REF(fault))), 0);
	KT_ASSERT(ctx, kt_scheduler_attached(ctx) == KT_SCHEDULER_REF(fault));
	KT_EXPECT_EQ(ctx, counter(ctx, "error"), 0);

	/* An operation that detaches does not change the record of the end before it. */
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_DETACH_SCHEDULER()), 0);
	KT_EXPECT_STREQ(ctx, kt_scheduler_ended(ctx)->reason, "scx_bpf_error");
	KT_EXPECT_STREQ(ctx, kt_scheduler_ended(ctx)->message,
			"the fault scheduler was told to fail with 1");
	return 0;
}

KTEST(scx_fault_attach_again, .summary = "after an end a scheduler can be attached again", TWO_CPUS,
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_BPF }, .run = attach_again_run,
      .schedulers = KT_SCHEDULERS(KT_SCHEDULER_REF(fault)));

/* The process of a scheduler has the name of its declaration. */
static int killed_run(struct kt_ctx *ctx)
{
	const struct kt_scheduler_end *end;
	char text[LOOK_LEN];
	pid_t pid;

	for (pid = 2; pid < 4096; pid++) {
		if (!strcmp(look(text, "/proc/%d/comm", pid), "fault"))
			break;
	}
	KT_ASSERT_EQ(ctx, kill(pid, SIGKILL), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)), 0);
	end = kt_scheduler_ended(ctx);
	KT_ASSERT(ctx, end);
	KT_EXPECT_EQ(ctx, end->kind, KT_SCX_EXIT_UNREG);
	KT_EXPECT_STREQ(ctx, look(text, "/sys/kernel/sched_ext/state"), "disabled");
	return 0;
}

KTEST(scx_fault_killed, .summary = "a scheduler goes with its process", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(fault), .expect_scheduler_exit = { .kind = KT_SCX_EXIT_UNREG },
      .run = killed_run);

/* ---- misbehaviour that is not an error ------------------------------------------------------- */

static int starve_run(struct kt_ctx *ctx)
{
	uint64_t us[2];
	struct stat st;

	KT_ASSERT_EQ(
		ctx,
		kt_apply(ctx, KT_ADD_CGROUP_DEF("a", .work = KT_WORK(KT_SPIN_WAIT, .workers = 2))),
		0);
	KT_ASSERT_EQ(
		ctx,
		kt_apply(ctx, KT_ADD_CGROUP_DEF("b", .work = KT_WORK(KT_SPIN_WAIT, .workers = 2))),
		0);
	KT_ASSERT_EQ(ctx, stat(LOOK_ROOT "a", &st), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, TELL("starve_cgroup", st.st_ino)), 0);
	KT_ASSERT_EQ(ctx, kt_hold_ms(ctx, 100), 0);
	for (unsigned int i = 0; i < 2; i++) {
		char text[LOOK_LEN];

		us[i] = strtoull(strchr(look_cgroup(text, "a", "cpu.stat"), ' '), NULL, 10);
		KT_ASSERT_EQ(ctx, i ? 0 : kt_hold_ms(ctx, 600), 0);
	}
	/* Half of two CPUs would be 600 ms. */
	KT_EXPECT_LT(ctx, us[1] - us[0], 200000);
	KT_EXPECT_GT(ctx, counter(ctx, "nr_starved"), 0);
	return 0;
}

KTEST(scx_fault_starve, .summary = "one cgroup can be starved", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(fault), .run = starve_run);

/* All of them on one CPU get the time of one CPU. */
static int pile_up_check(struct kt_ctx *ctx)
{
	uint64_t before = kt_step_usage(ctx, 0, "w")->usage_us;
	uint64_t after = kt_step_usage(ctx, 1, "w")->usage_us;

	KT_EXPECT_LT(ctx, after, before * 3 / 4);
	KT_EXPECT_GT(ctx, counter(ctx, "nr_piled"), 0);
	return 0;
}

KTEST(scx_fault_pile_up, .summary = "all tasks can be sent to one CPU", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(fault), .duration_ms = 800,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .work = KT_WORK(KT_BURSTY, .workers = 6, .burst_us = 5000,
						     .sleep_us = 1000) }),
			  .hold = KT_HOLD_FRAC(0.5) },
			{ KT_OPS(TELL("pile_up", 1), KT_FREEZE_CGROUP("w"),
				 KT_UNFREEZE_CGROUP("w")),
			  .hold = KT_HOLD_FRAC(0.5) }),
      .check = pile_up_check);

static int bounce_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_GT(ctx, counter(ctx, "nr_bounced"), 50);
	KT_EXPECT_GT(ctx, sum.migrations, 50);
	return 0;
}

KTEST(scx_fault_bounce, .summary = "tasks can be sent from CPU to CPU", FOUR_CPUS,
      .scheduler = KT_SCHEDULER_REF(brief), .duration_ms = 500,
      .steps = KT_STEPS({ KT_OPS(TELL("bounce", 1)) },
			{ KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 8) }),
			  .hold = KT_HOLD_FULL }),
      .check = bounce_check);

static int slow_init_run(struct kt_ctx *ctx)
{
	uint64_t began_ns = kt_elapsed_ns(ctx);

	KT_ASSERT_EQ(ctx,
		     kt_apply(ctx, KT_ATTACH_SCHEDULER_WITH(KT_SCHEDULER_REF(fault),
							    "slow_init_ms=700")),
		     0);
	KT_EXPECT_GE(ctx, kt_elapsed_ns(ctx) - began_ns, 700000000);
	return 0;
}

KTEST(scx_fault_slow_init, .summary = "an attach waits for a slow init", TWO_CPUS,
      .run = slow_init_run, .schedulers = KT_SCHEDULERS(KT_SCHEDULER_REF(fault)));

/* ---- maps ------------------------------------------------------------------------------------ */

#define NUMBER(field_path, number)                                                                 \
	do {                                                                                       \
		uint64_t value_ = ~UINT64_C(0);                                                    \
		struct kt_bpf_ref ref_ = ref;                                                      \
		ref_.field = (field_path);                                                         \
		KT_ASSERT_EQ(ctx, kt_bpf_write(ctx, ref_, (uint64_t)(number)), 0);                 \
		KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, ref_, &value_), 0);                             \
		KT_EXPECT_EQ(ctx, value_, (uint64_t)(number));                                     \
	} while (0)

/* Fields of every width; the neighbours of a field do not change. */
static int write_all(struct kt_ctx *ctx, struct kt_bpf_ref ref, bool in_data)
{
#define IN(field) (in_data ? "scratch_record." field : field)
	NUMBER(IN("byte"), 0xfe);
	NUMBER(IN("half"), 0xfedc);
	NUMBER(IN("word"), 0xfedcba98);
	NUMBER(IN("quad"), UINT64_C(0xfedcba9876543210));
	NUMBER(IN("negative"), -5);
	NUMBER(IN("low"), 5);
	NUMBER(IN("high"), 21);
	NUMBER(IN("nested.inner[3]"), 77);
	NUMBER(IN("low"), 2);
	ref.field = IN("high");
	{
		uint64_t value = 0;

		KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, ref, &value), 0);
		KT_EXPECT_EQ(ctx, value, 21);
	}
	return 0;
#undef IN
}

static int maps_run(struct kt_ctx *ctx)
{
	char text[16] = "fifteen letters", back[16];
	uint64_t value;

	KT_ASSERT_EQ(ctx, write_all(ctx, KT_BPF("fault.bss"), true), 0);
	KT_ASSERT_EQ(ctx, write_all(ctx, KT_BPF("per_cpu", .key = 2, .cpu = 1), false), 0);
	KT_ASSERT_EQ(ctx, write_all(ctx, KT_BPF("table", .key = 0x1122334455), false), 0);
	KT_ASSERT_EQ(ctx,
		     kt_bpf_write_bytes(ctx, KT_BPF("table", .key = 3, .field = "text"), text, 16),
		     0);
	KT_ASSERT_EQ(ctx,
		     kt_bpf_read_bytes(ctx, KT_BPF("table", .key = 3, .field = "text"), back, 16),
		     0);
	KT_EXPECT_STREQ(ctx, back, text);
	/* Another CPU, index or key has a value of its own. */
	KT_ASSERT_EQ(
		ctx,
		kt_bpf_read(ctx, KT_BPF("per_cpu", .key = 2, .cpu = 0, .field = "quad"), &value),
		0);
	KT_EXPECT_EQ(ctx, value, 0);
	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("table", .key = 3, .field = "quad"), &value), 0);
	KT_EXPECT_EQ(ctx, value, 0);
	KT_ASSERT_EQ(ctx, kt_bpf_write(ctx, KT_BPF("fault.bss", .field = "scratch[4095]"), 9), 0);
	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("fault.bss", .field = "scratch[4095]"), &value),
		     0);
	KT_EXPECT_EQ(ctx, value, 9);
	return 0;
}

KTEST(scx_maps, .summary = "arrays, per-CPU arrays and hashes are written and read by BTF",
      TWO_CPUS, .scheduler = KT_SCHEDULER_REF(fault), .run = maps_run);

/*
 * Writes a field when those around it have their values already, and then looks at these. In a map
 * that is mapped, one store must be as wide as the field, and no wider.
 */
static int expect_neighbours(struct kt_ctx *ctx, struct kt_bpf_ref ref, const char *field,
			     const char *const *neighbours)
{
	uint64_t value = 0;

	for (const char *const *at = neighbours; *at; at++) {
		ref.field = *at;
		KT_ASSERT_EQ(ctx, kt_bpf_write(ctx, ref, 0x5), 0);
	}
	ref.field = field;
	KT_ASSERT_EQ(ctx, kt_bpf_write(ctx, ref, 0), 0);
	for (const char *const *at = neighbours; *at; at++) {
		ref.field = *at;
		KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, ref, &value), 0);
		if (value != 0x5)
			KT_FAIL(ctx, "writing %s has changed %s", field, *at);
	}
	return 0;
}

#define AROUND(field, ...)                                                                         \
	KT_ASSERT_OK(ctx, expect_neighbours(ctx, ref, field,                                       \
					    (const char *const[]){ __VA_ARGS__, NULL }))

/* The fields of scratch_record, each with what lies behind it and before it. */
static int write_beside(struct kt_ctx *ctx, struct kt_bpf_ref ref, bool in_data)
{
#define IN(field) (in_data ? "scratch_record." field : field)
	AROUND(IN("half"), IN("byte"), IN("word"));
	AROUND(IN("word"), IN("half"), IN("quad"));
	AROUND(IN("quad"), IN("word"), IN("negative"));
	AROUND(IN("negative"), IN("quad"), IN("low"), IN("high"));
	AROUND(IN("low"), IN("negative"), IN("high"));
	AROUND(IN("high"), IN("low"), IN("negative"));
	AROUND(IN("nested.inner[1]"), IN("nested.inner[0]"), IN("nested.inner[2]"));
	return 0;
#undef IN
}

static int neighbours_run(struct kt_ctx *ctx)
{
	struct kt_bpf_ref ref = KT_BPF("fault.bss");

	AROUND("scratch[8]", "scratch[7]", "scratch[9]", "scratch[10]", "scratch[12]");
	KT_ASSERT_OK(ctx, write_beside(ctx, ref, true));
	KT_ASSERT_OK(ctx, write_beside(ctx, KT_BPF("per_cpu", .key = 1, .cpu = 0), false));
	return write_beside(ctx, KT_BPF("table", .key = 9), false);
}

KTEST(scx_map_neighbours, .summary = "writing a field leaves those beside it alone", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(fault), .run = neighbours_run);

static int map_op_check(struct kt_ctx *ctx)
{
	uint64_t value = 0;

	KT_ASSERT_EQ(
		ctx,
		kt_bpf_read(ctx, KT_BPF("per_cpu", .key = 1, .cpu = 1, .field = "half"), &value),
		0);
	KT_EXPECT_EQ(ctx, value, 515);
	/* The value that was captured in between. */
	KT_ASSERT(ctx, kt_bpf_captured(ctx, "first", &value));
	KT_EXPECT_EQ(ctx, value, 100);
	KT_ASSERT(ctx, kt_bpf_captured(ctx, "half", &value));
	KT_EXPECT_EQ(ctx, value, 515);
	KT_EXPECT(ctx, !kt_bpf_captured(ctx, "none", &value));
	KT_EXPECT_EQ(ctx, counter(ctx, "scratch[7]"), 200);
	return 0;
}

KTEST(scx_map_operations, .summary = "operations write and read maps", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(fault),
      .steps = KT_STEPS({ KT_OPS(
	      TELL("scratch[7]", 100), KT_READ_BPF_MAP("first", "fault.bss", "scratch[7]"),
	      TELL("scratch[7]", 200),
	      KT_WRITE_BPF_MAP_AT(515, "per_cpu", .key = 1, .cpu = 1, .field = "half"),
	      KT_READ_BPF_MAP_AT("half", "per_cpu", .key = 1, .cpu = 1, .field = "half")) }),
      .check = map_op_check);

/* The pinned map is still the one of the first scheduler, with its value, after that has ended. */
static int pin_check(struct kt_ctx *ctx)
{
	uint64_t old = 0, now = 1;

	KT_ASSERT_EQ(
		ctx,
		kt_bpf_read(ctx, KT_BPF("fault.bss", .field = "scratch[0]", .pinned = true), &old),
		0);
	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("fault.bss", .field = "scratch[0]"), &now), 0);
	KT_EXPECT_EQ(ctx, old, 123);
	KT_EXPECT_EQ(ctx, now, 0);
	return 0;
}

KTEST(scx_pinned_map, .summary = "a pinned map outlives its scheduler", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(fault),
      .steps = KT_STEPS({ KT_OPS(TELL("scratch[0]", 123), KT_PIN_BPF_MAP("fault.bss")) },
			{ KT_OPS(KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(other)),
				 KT_PIN_BPF_MAP("fault.bss")) }),
      .check = pin_check);

/* ---- payloads and dumps ---------------------------------------------------------------------- */

KT_PAYLOAD(dd, .binary = "dd", .package = "coreutils",
	   .args = KT_ARGS("if=/dev/zero", "of=/dev/null", "bs=64k", "count=40000"),
	   .output = KT_OUTPUT_EXIT_CODE);

KTEST(scx_swap_under_a_payload, .summary = "a payload goes on while schedulers are swapped",
      TWO_CPUS, .scheduler = KT_SCHEDULER_REF(fault), .duration_ms = 300,
      .backdrop = { KT_SETUP({ .name = "p" }), KT_OPS(KT_RUN_PAYLOAD(KT_PAYLOAD_REF(dd), "p")) },
      .steps = KT_STEPS({ .hold = KT_HOLD_FRAC(0.5) },
			{ KT_OPS(KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(instead))),
			  .hold = KT_HOLD_FRAC(0.5) },
			{ KT_OPS(KT_WAIT_PAYLOAD(KT_PAYLOAD_REF(dd), "p", 20000)) }));

/*
 * Each waiting task has some lines in the dump. The first and the last task show that it is
 * complete.
 */
static int dump_post_vm(struct kt_ctx *ctx)
{
	const char *log = kt_vm_scheduler_log(ctx), *dump = kt_vm_scheduler_dump(ctx);
	const char *begin = strstr(log, "DEBUG DUMP");
	unsigned int tasks = 0;

	KT_ASSERT(ctx, begin);
	KT_EXPECT_GT(ctx, strlen(begin), 2 << 20);
	KT_EXPECT_GT(ctx, strlen(dump), 2 << 20);
	KT_EXPECT(ctx, !strstr(begin, "TRUNCATED"));
	for (const char *at = dump; (at = strstr(at, "\n      cpus=")); at++)
		tasks++;
	KT_EXPECT_GE(ctx, tasks, 5000);
	tasks = 0;
	for (const char *at = begin; (at = strstr(at, "\n      cpus=")); at++)
		tasks++;
	KT_EXPECT_GE(ctx, tasks, 5000);
	KT_EXPECT_CONTAINS(ctx, begin, "EXIT: scx_bpf_error");
	return 0;
}

#define CROWD 6000

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t opened = PTHREAD_COND_INITIALIZER;
static bool is_open;

static void *wait_at_the_gate(void *unused)
{
	(void)pthread_mutex_lock(&gate);
	while (!is_open)
		(void)pthread_cond_wait(&opened, &gate);
	(void)pthread_mutex_unlock(&gate);
	return unused;
}

/*
 * Thousands of threads wake up under a scheduler that does not dispatch any more, and then it
 * fails. This thread must not be one of those that wait.
 */
static int big_dump_run(struct kt_ctx *ctx)
{
	struct sched_param urgent = { .sched_priority = 1 }, usual = { 0 };
	static pthread_t threads[CROWD];
	pthread_attr_t small;

	(void)pthread_attr_init(&small);
	(void)pthread_attr_setstacksize(&small, 32 << 10);
	for (unsigned int i = 0; i < CROWD; i++)
		KT_ASSERT_EQ(ctx, pthread_create(&threads[i], &small, wait_at_the_gate, NULL), 0);
	KT_ASSERT_EQ(ctx, sched_setscheduler(0, SCHED_FIFO, &urgent), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, TELL("stall", 1)), 0);
	(void)pthread_mutex_lock(&gate);
	is_open = true;
	(void)pthread_cond_broadcast(&opened);
	(void)pthread_mutex_unlock(&gate);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, TELL("error", 1)), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)), 0);
	KT_ASSERT_EQ(ctx, sched_setscheduler(0, SCHED_OTHER, &usual), 0);
	for (unsigned int i = 0; i < CROWD; i++)
		(void)pthread_join(threads[i], NULL);
	return 0;
}

KTEST(scx_big_dump, .summary = "a dump of 2 MB arrives whole, both ways", TWO_CPUS,
      .memory_mib = 1024, .timeout_ms = 30000, .scheduler = KT_SCHEDULER_REF(wordy),
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_BPF }, .run = big_dump_run,
      .post_vm = dump_post_vm);

/* ---- long logs ------------------------------------------------------------------------------- */

/* 20 MiB in one line, then the loader of a scheduler in its place. */
KT_SCHEDULER(prints, .binary = "/bin/sh",
	     .args = KT_ARGS("-c", "printf 'begin%20971515d' 7; exec /init load fifo.bpf.o"),
	     .files = KT_ARGS(FIXTURE("fifo")));

static int long_log_post_vm(struct kt_ctx *ctx)
{
	const char *log = kt_vm_scheduler_log(ctx);

	KT_EXPECT_EQ(ctx, strncmp(log, "scheduler prints:\nbegin  ", 25), 0);
	KT_EXPECT_CONTAINS(ctx, log, "\n[... 12582912 bytes left out ...]\n   ");
	KT_EXPECT_CONTAINS(ctx, log, "   7standard error:\n");
	KT_EXPECT_CONTAINS(ctx, log, "scheduler fifo is attached\n");
	KT_EXPECT_LT(ctx, strlen(log), (8 << 20) + 1000);
	return 0;
}

static int nothing_run(struct kt_ctx *ctx)
{
	(void)ctx;
	return 0;
}

KTEST(scx_long_log, .summary = "of a long log both ends arrive, and a mark", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(prints), .timeout_ms = 60000, .run = nothing_run,
      .post_vm = long_log_post_vm);
