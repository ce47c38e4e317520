/* SPDX-License-Identifier: MIT */
/* Faulty uses of schedulers. golden/ has the runner's output for each. */
#include <ktest.h>

#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FIXTURE(name) "../../schedulers/" name ".bpf.o"

static int nothing(struct kt_ctx *ctx)
{
	(void)ctx;
	return 0;
}

KT_SCHEDULER(absent, .object = "no-such-scheduler.bpf.o", .package = "such-schedulers");
KTEST(scheduler_is_absent, .scheduler = KT_SCHEDULER_REF(absent), .run = nothing);

KT_SCHEDULER(no_ops, .object = "no_ops.bpf.o");
KTEST(scheduler_without_ops, .scheduler = KT_SCHEDULER_REF(no_ops), .run = nothing);

KT_SCHEDULER(no_object, .object = "/etc/passwd");
KTEST(scheduler_is_no_object, .scheduler = KT_SCHEDULER_REF(no_object), .run = nothing);

KT_SCHEDULER(unknown_variable, .object = FIXTURE("fifo"), .args = KT_ARGS("slices_us=5"));
KTEST(scheduler_unknown_variable, .scheduler = KT_SCHEDULER_REF(unknown_variable), .run = nothing);

KT_SCHEDULER(no_number, .object = FIXTURE("fifo"), .args = KT_ARGS("slice_us=short"));
KTEST(scheduler_no_number, .scheduler = KT_SCHEDULER_REF(no_number), .run = nothing);

KT_SCHEDULER(too_large, .object = FIXTURE("fault"), .args = KT_ARGS("init_error=3000000000"));
KTEST(scheduler_too_large, .scheduler = KT_SCHEDULER_REF(too_large), .run = nothing);

KT_SCHEDULER(refused, .object = "refused.bpf.o");
KTEST(scheduler_is_refused, .scheduler = KT_SCHEDULER_REF(refused), .run = nothing);

KT_SCHEDULER(init_fails, .object = FIXTURE("fault"), .args = KT_ARGS("init_error=-22"));
KTEST(scheduler_init_fails, .scheduler = KT_SCHEDULER_REF(init_fails), .run = nothing);

KT_SCHEDULER(no_scheduler, .binary = "sleep", .args = KT_ARGS("0.1"));
KTEST(scheduler_never_attaches, .scheduler = KT_SCHEDULER_REF(no_scheduler), .run = nothing);

KT_SCHEDULER(good, .object = FIXTURE("fault"));
KTEST(scheduler_dies, .scheduler = KT_SCHEDULER_REF(good),
      .steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_YIELD_HEAVY, .workers = 3) }),
			  KT_OPS(KT_WRITE_BPF_MAP("fault.bss", "error", 7)),
			  .hold = KT_HOLD_FULL }));

KT_SCHEDULER(narrow, .object = FIXTURE("fault"), .dump_kib = 1);
KTEST(dump_has_no_room, .scheduler = KT_SCHEDULER_REF(narrow),
      .steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 100) }),
			  KT_OPS(KT_WRITE_BPF_MAP("fault.bss", "error", 7),
				 KT_AWAIT_SCHEDULER_EXIT(10000)) }));

KTEST(scheduler_does_not_die, .scheduler = KT_SCHEDULER_REF(good),
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_STALL },
      .steps = KT_STEPS({ .hold = KT_HOLD_MS(50) }));

KTEST(scheduler_dies_otherwise, .scheduler = KT_SCHEDULER_REF(good),
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_STALL },
      .steps = KT_STEPS({ KT_OPS(KT_WRITE_BPF_MAP("fault.bss", "exit_code", 7),
				 KT_AWAIT_SCHEDULER_EXIT(5000)) }));

KTEST(scheduler_twice, .scheduler = KT_SCHEDULER_REF(good),
      .steps = KT_STEPS({ KT_OPS(KT_ATTACH_SCHEDULER(KT_SCHEDULER_REF(good))) }));

KTEST(scheduler_detached_twice, .scheduler = KT_SCHEDULER_REF(good),
      .steps = KT_STEPS({ KT_OPS(KT_DETACH_SCHEDULER(), KT_DETACH_SCHEDULER()) }));

KTEST(scheduler_replaces_none, .schedulers = KT_SCHEDULERS(KT_SCHEDULER_REF(good)),
      .steps = KT_STEPS({ KT_OPS(KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(good))) }));

KTEST(scheduler_restarts_none, .steps = KT_STEPS({ KT_OPS(KT_RESTART_SCHEDULER()) }));

KTEST(map_is_unknown, .scheduler = KT_SCHEDULER_REF(good),
      .steps = KT_STEPS({ KT_OPS(KT_PIN_BPF_MAP("no.such.map")) }));

KTEST(map_without_field, .scheduler = KT_SCHEDULER_REF(good),
      .steps = KT_STEPS({ KT_OPS(KT_WRITE_BPF_MAP("per_cpu", "no.such", 1)) }));

KTEST(map_number_too_large, .scheduler = KT_SCHEDULER_REF(good),
      .steps = KT_STEPS({ KT_OPS(KT_WRITE_BPF_MAP("fault.bss", "scratch[0]", 256)) }));

KTEST(map_index_too_large, .scheduler = KT_SCHEDULER_REF(good),
      .steps = KT_STEPS({ KT_OPS(KT_WRITE_BPF_MAP_AT(1, "per_cpu", .key = 4, .field = "word")) }));

/* Each part of a path into a map can be wrong. */
static int watches_of_maps_run(struct kt_ctx *ctx)
{
	static const char *const PATHS[] = {
		"map(no.such).nr_queued",
		"map(fault.bss)",
		"map(fault.bss).nr_queud",
		"map(fault.bss).nr_queued.low",
		"map(fault.bss)[0][cpu 0].nr_queued",
		"map(per_cpu)",
		"map(per_cpu)[0].word",
		"map(per_cpu)[4][cpu 0].word",
		"map(per_cpu)[0][cpu 900].word",
		"map(per_cpu)[0][cpu 0].wrd",
		"map(per_cpu)[0][cpu 0].nested.inner[4]",
		"map(table)[7].word",
	};

	for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++)
		(void)kt_apply(ctx, KT_WATCH(PATHS[i], .name = "w", .count_only = true));
	return 0;
}

KTEST(watches_of_maps, .scheduler = KT_SCHEDULER_REF(good), .run = watches_of_maps_run);

KTEST(map_is_read_only, .scheduler = KT_SCHEDULER_REF(good),
      .steps = KT_STEPS({ KT_OPS(KT_WRITE_BPF_MAP("fault.rodata", "slice_us", 1)) }));

/* Without capabilities, the kernel hides its maps. The message must not say that there are none. */
static int forbidden_run(struct kt_ctx *ctx)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct all[2], none[2];
	int r;

	KT_ASSERT_EQ(ctx, syscall(SYS_capget, &header, all), 0);
	none[0] = all[0];
	none[1] = all[1];
	none[0].effective = none[1].effective = 0;
	KT_ASSERT_EQ(ctx, syscall(SYS_capset, &header, none), 0);
	r = kt_apply(ctx, KT_PIN_BPF_MAP("fault.bss"));
	KT_ASSERT_EQ(ctx, syscall(SYS_capset, &header, all), 0);
	return r;
}

KTEST(map_is_forbidden, .scheduler = KT_SCHEDULER_REF(good), .run = forbidden_run);

/* The kernel has the reason; the object itself notes nothing. */
KT_SCHEDULER(silent, .object = "silent.bpf.o");
KTEST(scheduler_init_fails_silently, .scheduler = KT_SCHEDULER_REF(silent), .run = nothing);

KT_SCHEDULER(errs_at_once, .object = FIXTURE("fault"), .args = KT_ARGS("error=7"));
KTEST(scheduler_errs_at_once, .scheduler = KT_SCHEDULER_REF(errs_at_once), .run = nothing);

KT_SCHEDULER(fails, .binary = "/bin/false");
KTEST(scheduler_never_loads, .scheduler = KT_SCHEDULER_REF(fails),
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR }, .run = nothing);

/* A program of its own, whose loader is a child: see misbehaving.c. */
#define PROGRAM(how)                                                                               \
	.binary = "./misbehaving", .args = KT_ARGS(how), .files = KT_ARGS(FIXTURE("fifo"))

KT_SCHEDULER(sleeps, PROGRAM("sleeps"));
KTEST(scheduler_keeps_waiting, .timeout_ms = 2000, .scheduler = KT_SCHEDULER_REF(sleeps),
      .run = nothing);

KT_SCHEDULER(ignores_term, PROGRAM("ignores_term"));
KTEST(scheduler_ignores_term, .timeout_ms = 2000, .scheduler = KT_SCHEDULER_REF(ignores_term),
      .run = nothing);

KT_SCHEDULER(stops, PROGRAM("stops"));
KTEST(scheduler_stops, .timeout_ms = 2000, .scheduler = KT_SCHEDULER_REF(stops), .run = nothing);

KT_SCHEDULER(crashes_at_term, PROGRAM("crashes_at_term"));
KTEST(scheduler_crashes_at_term, .scheduler = KT_SCHEDULER_REF(crashes_at_term), .run = nothing);

KT_SCHEDULER(complains, PROGRAM("complains"));
KTEST(scheduler_complains, .scheduler = KT_SCHEDULER_REF(complains), .run = nothing);
