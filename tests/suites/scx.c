/* SPDX-License-Identifier: MIT */
/* sched_ext: schedulers are attached, schedule, are replaced, and are detached. */
#include "tests/suites/schedulers.h"

#include <inttypes.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/suites/look.h"

#define TWO_CPUS  .topology = { .llcs = 1, .cores = 2, .threads = 1 }
#define FOUR_CPUS .topology = { .llcs = 2, .cores = 2, .threads = 1 }
#define STATE     "/sys/kernel/sched_ext/state"
#define OPS       "/sys/kernel/sched_ext/root/ops"
#define EXT       7 /* SCHED_EXT */

KT_SCHEDULER(fifo, .object = FIXTURE("fifo"));
KT_SCHEDULER(short_slices, .object = FIXTURE("fifo"), .args = KT_ARGS("slice_us=1000"));
KT_SCHEDULER(vtime, .object = FIXTURE("vtime"));
KT_SCHEDULER(global, .object = FIXTURE("global"));
KT_SCHEDULER(cid, .object = FIXTURE("cid"));
KT_SCHEDULER(kconfig, .object = FIXTURE("kconfig"));
KT_SCHEDULER(cells, .object = FIXTURE("cells"),
	     .topology = { .llcs = 2, .cores = 2, .threads = 1 });

#define SPINNERS(n) KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = (n)) })

/* ---- what each does -------------------------------------------------------------------------- */

/*
 * The kernel reports that the BPF program schedules the worker: if sched_ext is enabled, it
 * schedules all.
 */
static int expect_scheduled(struct kt_ctx *ctx, const char *ops)
{
	char text[LOOK_LEN];

	KT_ASSERT_STREQ(ctx, look(text, STATE), "enabled");
	KT_ASSERT_STREQ(ctx, look(text, OPS), ops);
	return 0;
}

static int fifo_run(struct kt_ctx *ctx)
{
	uint64_t before = 0, after = 0, direct = 0;
	char text[LOOK_LEN];
	const pid_t *pids;
	size_t n;

	KT_ASSERT_EQ(ctx, expect_scheduled(ctx, "fifo"), 0);
	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("fifo.bss", .field = "nr_queued"), &before), 0);
	KT_ASSERT_EQ(
		ctx,
		kt_apply(ctx, KT_ADD_CGROUP_DEF("w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 6))),
		0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_CAPTURE_CGROUP_PROCS("p", "w")), 0);
	KT_ASSERT_EQ(ctx, kt_hold_ms(ctx, 300), 0);
	pids = kt_captured(ctx, "p", &n);
	KT_ASSERT_EQ(ctx, n, 6);
	for (size_t i = 0; i < n; i++) {
		KT_ASSERT_CONTAINS(ctx, look(text, "/proc/%d/sched", pids[i]), "ext.enabled");
		KT_ASSERT(ctx, strstr(text, "ext.enabled") &&
				       atoi(strchr(strstr(text, "ext.enabled"), ':') + 1) == 1);
	}
	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("fifo.bss", .field = "nr_queued"), &after), 0);
	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("fifo.bss", .field = "nr_direct"), &direct), 0);
	KT_EXPECT_GT(ctx, after, before + 10);
	KT_EXPECT_GT(ctx, direct, 0);
	return 0;
}

KTEST(scx_fifo, .summary = "tasks run under fifo, whose counters say so", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(fifo), .run = fifo_run);

/* Kernels before 7.2 have no such type: there the test is skipped. */
static int cid_check(struct kt_ctx *ctx)
{
	uint64_t queued = 0;

	KT_ASSERT_EQ(ctx, expect_scheduled(ctx, "cid"), 0);
	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("cid.bss", .field = "nr_queued"), &queued), 0);
	KT_EXPECT_GT(ctx, queued, 10);
	return 0;
}

KTEST(scx_cid, .summary = "a scheduler may be a struct sched_ext_ops_cid", TWO_CPUS,
      .duration_ms = 300, .scheduler = KT_SCHEDULER_REF(cid),
      .steps = KT_STEPS({ SPINNERS(4), .hold = KT_HOLD_FULL }), .check = cid_check);

/* CONFIG_HZ of the file in which libbpf looks, which must be that of the running kernel. */
static int find_hz(struct kt_ctx *ctx, const struct utsname *kernel, uint64_t *ret_hz)
{
	int len = (int)strcspn(kernel->release, "+-");
	char path[128], line[128], *version;
	unsigned int hz;
	FILE *file;

	(void)snprintf(path, sizeof(path), "/boot/config-%s", kernel->release);
	file = fopen(path, "re");
	KT_ASSERT(ctx, file);
	while (fgets(line, sizeof(line), file)) {
		version = strstr(line, "# Linux/x86");
		if (version)
			KT_EXPECT(ctx, !strncmp(version + 12, kernel->release, (size_t)len));
		if (sscanf(line, "CONFIG_HZ=%u", &hz) == 1)
			*ret_hz = hz;
	}
	(void)fclose(file);
	return 0;
}

static uint64_t of_kconfig(struct kt_ctx *ctx, const char *field)
{
	uint64_t value = UINT64_MAX;

	(void)kt_bpf_read(ctx, KT_BPF("kconfig.bss", .field = field), &value);
	return value;
}

static int kconfig_run(struct kt_ctx *ctx)
{
	unsigned int major, minor;
	struct utsname kernel;
	uint64_t hz = 0;

	KT_ASSERT_EQ(ctx, uname(&kernel), 0);
	KT_ASSERT_EQ(ctx, sscanf(kernel.release, "%u.%u", &major, &minor), 2);
	KT_ASSERT_EQ(ctx, find_hz(ctx, &kernel, &hz), 0);
	KT_EXPECT_GT(ctx, hz, 0);
	KT_EXPECT_EQ(ctx, of_kconfig(ctx, "hz"), hz);
	KT_EXPECT_EQ(ctx, of_kconfig(ctx, "has_ext"), 1);
	KT_EXPECT_EQ(ctx, of_kconfig(ctx, "has_none"), 0);
	KT_EXPECT_EQ(ctx, of_kconfig(ctx, "version") >> 8, major << 8 | minor);
	return 0;
}

KTEST(scx_kconfig, .summary = "a scheduler reads the kernel's configuration", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(kconfig), .run = kconfig_run);

/* What PID 1 has printed so far is its own, and not that of the children that it forks. */
static int half_line_run(struct kt_ctx *ctx)
{
	pid_t pid;

	(void)printf("half a line");
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_ATTACH_SCHEDULER(KT_SCHEDULER_REF(fifo))), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_DETACH_SCHEDULER()), 0);
	(void)printf(", the same line");
	pid = fork();
	if (pid == 0)
		exit(0);
	KT_ASSERT_EQ(ctx, waitpid(pid, NULL, 0), pid);
	(void)printf(", and its end\n");
	return 0;
}

static int half_line_post_vm(struct kt_ctx *ctx)
{
	KT_EXPECT_STREQ(ctx, kt_vm_stdout(ctx), "half a line, the same line, and its end\n");
	KT_EXPECT(ctx, !strstr(kt_vm_scheduler_log(ctx), "line"));
	KT_EXPECT_CONTAINS(ctx, kt_vm_scheduler_log(ctx), "scheduler fifo is attached");
	return 0;
}

KTEST(scx_half_line, .summary = "half a line of PID 1 is written once, and not by a scheduler",
      TWO_CPUS, .schedulers = KT_SCHEDULERS(KT_SCHEDULER_REF(fifo)), .run = half_line_run,
      .post_vm = half_line_post_vm);

/* A nice 0 worker beside a nice 10 one gets a share of the CPU by weight, 1024 to 110. */
static int share_check(struct kt_ctx *ctx)
{
	struct kt_worker_report rude, nice;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "rude", &rude));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "nice", &nice));
	KT_EXPECT_GT(ctx, rude.cpu_ns, 3 * nice.cpu_ns);
	KT_EXPECT_GT(ctx, nice.cpu_ns, 0);
	return 0;
}

#define ON_CPU_0 .affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT("0"))
#define TWO_WEIGHTS                                                                                \
	.steps = KT_STEPS(                                                                         \
		{ KT_SETUP({ .name = "rude",                                                       \
			     .work = KT_WORK(KT_SPIN_WAIT, .workers = 1, ON_CPU_0) },              \
			   { .name = "nice",                                                       \
			     .work = KT_WORK(KT_SPIN_WAIT, .workers = 1, .nice = 10, ON_CPU_0) }), \
		  .hold = KT_HOLD_FULL })

KTEST(scx_vtime, .summary = "vtime gives a nice task less, as its weight is", TWO_CPUS,
      .duration_ms = 1000, .scheduler = KT_SCHEDULER_REF(vtime), TWO_WEIGHTS, .check = share_check);

/* fifo ignores weights. So the result of the test with vtime is not the kernel's own doing. */
static int equal_check(struct kt_ctx *ctx)
{
	struct kt_worker_report rude, nice;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "rude", &rude));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "nice", &nice));
	KT_EXPECT_LT(ctx, rude.cpu_ns, 2 * nice.cpu_ns);
	return 0;
}

KTEST(scx_fifo_knows_no_weight, .summary = "fifo gives a nice task as much as others", TWO_CPUS,
      .duration_ms = 1000, .scheduler = KT_SCHEDULER_REF(fifo), TWO_WEIGHTS, .check = equal_check);

/* The two LLCs are the cells 0 and 1. A cpuset has a cell of its own, behind the 16 for LLCs. */
static int cells_check(struct kt_ctx *ctx)
{
	uint64_t cpus = 0, in_llcs = 0, n = 0, own = 0;

	KT_ASSERT_EQ(ctx, expect_scheduled(ctx, "cells"), 0);
	for (unsigned int i = 0; i < 2; i++) {
		char field[64];

		(void)snprintf(field, sizeof(field), "cells[%u].cpus", i);
		KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("cells.bss", .field = field), &cpus), 0);
		KT_EXPECT_EQ(ctx, cpus, i ? 0xc : 0x3);
		(void)snprintf(field, sizeof(field), "cells[%u].nr_queued", i);
		KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("cells.bss", .field = field), &n), 0);
		in_llcs += n;
	}
	KT_EXPECT_GT(ctx, in_llcs, 0);
	for (unsigned int i = 16; i < 64 && !own; i++) {
		char field[64];

		(void)snprintf(field, sizeof(field), "cells[%u].cpus", i);
		KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("cells.bss", .field = field), &cpus), 0);
		(void)snprintf(field, sizeof(field), "cells[%u].nr_queued", i);
		if (cpus == 0x6)
			KT_ASSERT_EQ(ctx,
				     kt_bpf_read(ctx, KT_BPF("cells.bss", .field = field), &own),
				     0);
	}
	KT_EXPECT_GT(ctx, own, 10);
	return 0;
}

KTEST(scx_cells, .summary = "cells has a queue for each LLC, and one for a cpuset",
      .scheduler = KT_SCHEDULER_REF(cells), .duration_ms = 600,
      .checks = { .not_starved = KT_ON, .isolation = KT_ON },
      .steps = KT_STEPS({ KT_SETUP({ .name = "all", .work = KT_WORK(KT_MIXED, .workers = 6) },
				   { .name = "two",
				     .cpuset = KT_CPUSET_EXACT("1-2"),
				     .work = KT_WORK(KT_SPIN_WAIT, .workers = 4) }),
			  .hold = KT_HOLD_FULL }),
      .check = cells_check);

static int slice_check(struct kt_ctx *ctx)
{
	uint64_t slice = 0;

	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("fifo.rodata", .field = "slice_us"), &slice), 0);
	KT_EXPECT_EQ(ctx, slice, 1000);
	return 0;
}

KTEST(scx_variables, .summary = "variables are set before the scheduler is loaded", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(short_slices), .duration_ms = 100,
      .steps = KT_STEPS({ SPINNERS(2), .hold = KT_HOLD_FULL }), .check = slice_check);

/* ---- the same under each, and under none ----------------------------------------------------- */

static int steady_check(struct kt_ctx *ctx)
{
	const struct kt_scheduler *scheduler = kt_scheduler_attached(ctx);
	char text[LOOK_LEN];

	/* A kernel without sched_ext has no such file; the step is measured all the same. */
	KT_EXPECT_EQ(ctx, !strcmp(look(text, STATE), "enabled"), scheduler != NULL);
	KT_EXPECT_STREQ(ctx, look(text, OPS), scheduler ? scheduler->name : "");
	return 0;
}

#define STEADY(test_name, ...)                                                                     \
	KTEST(test_name, .summary = "every worker of a full machine gets on", TWO_CPUS,            \
	      .duration_ms = 800, .checks = { .not_starved = KT_ON },                              \
	      .steps = KT_STEPS(                                                                   \
		      { KT_SETUP({ .name = "spin", .work = KT_WORK(KT_SPIN_WAIT, .workers = 3) },  \
				 { .name = "pipe", .work = KT_WORK(KT_PIPE_IO, .workers = 2) },    \
				 { .name = "burst",                                                \
				   .work = KT_WORK(KT_BURSTY, .workers = 2, .burst_us = 2000,      \
						   .sleep_us = 2000) }),                           \
			.hold = KT_HOLD_FULL }),                                                   \
	      .check = steady_check, ##__VA_ARGS__)

STEADY(scx_steady_eevdf);
STEADY(scx_steady_global, .scheduler = KT_SCHEDULER_REF(global));
STEADY(scx_steady_fifo, .scheduler = KT_SCHEDULER_REF(fifo));
STEADY(scx_steady_vtime, .scheduler = KT_SCHEDULER_REF(vtime));
STEADY(scx_steady_cells, .scheduler = KT_SCHEDULER_REF(cells));

/* ---- coming and going ------------------------------------------------------------------------ */

static int swaps_run(struct kt_ctx *ctx)
{
	char text[LOOK_LEN];

	KT_ASSERT(ctx, !kt_scheduler_attached(ctx));
	KT_ASSERT_EQ(ctx,
		     kt_apply(ctx, KT_ADD_CGROUP_DEF("w", .work = KT_WORK(KT_MIXED, .workers = 4))),
		     0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_DETACH_SCHEDULER_IF_ANY()), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_ATTACH_SCHEDULER(KT_SCHEDULER_REF(fifo))), 0);
	KT_ASSERT_EQ(ctx, expect_scheduled(ctx, "fifo"), 0);
	KT_ASSERT(ctx, kt_scheduler_attached(ctx) == KT_SCHEDULER_REF(fifo));
	KT_ASSERT_EQ(ctx, kt_hold_ms(ctx, 50), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(vtime))), 0);
	KT_ASSERT_EQ(ctx, expect_scheduled(ctx, "vtime"), 0);
	KT_ASSERT_EQ(ctx, kt_hold_ms(ctx, 50), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_RESTART_SCHEDULER()), 0);
	KT_ASSERT_EQ(ctx, expect_scheduled(ctx, "vtime"), 0);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_DETACH_SCHEDULER()), 0);
	KT_ASSERT_STREQ(ctx, look(text, STATE), "disabled");
	KT_ASSERT(ctx, !kt_scheduler_attached(ctx) && !kt_scheduler_ended(ctx));
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_DETACH_SCHEDULER_IF_ANY()), 0);
	return 0;
}

KTEST(scx_swaps, .summary = "schedulers are attached, replaced, restarted and detached under load",
      TWO_CPUS, .run = swaps_run,
      .schedulers = KT_SCHEDULERS(KT_SCHEDULER_REF(fifo), KT_SCHEDULER_REF(vtime)));

/* enable_seq counts how often a scheduler has been enabled since the boot. */
static unsigned long enabled_times(void)
{
	char text[LOOK_LEN];

	return strtoul(look(text, "/sys/kernel/sched_ext/enable_seq"), NULL, 10);
}

static int restart_run(struct kt_ctx *ctx)
{
	unsigned long before = enabled_times();
	uint64_t slice = 0;

	KT_ASSERT_EQ(ctx,
		     kt_apply(ctx, KT_ATTACH_SCHEDULER_WITH(KT_SCHEDULER_REF(short_slices),
							    "slice_us=3000")),
		     0);
	KT_ASSERT_EQ(ctx, enabled_times(), before + 1);
	KT_ASSERT_EQ(ctx, kt_apply(ctx, KT_RESTART_SCHEDULER()), 0);
	KT_ASSERT_EQ(ctx, enabled_times(), before + 2);
	/* The scheduler that was attached last, with all of its arguments. */
	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("fifo.rodata", .field = "slice_us"), &slice), 0);
	KT_EXPECT_EQ(ctx, slice, 3000);
	return 0;
}

KTEST(scx_restart, .summary = "a restart starts what ran last, with its arguments", TWO_CPUS,
      .run = restart_run, .schedulers = KT_SCHEDULERS(KT_SCHEDULER_REF(short_slices)));

static int steps_check(struct kt_ctx *ctx)
{
	for (unsigned int i = 0; i < 4; i++)
		KT_EXPECT_GT(ctx, kt_step_usage(ctx, i, "w")->usage_us, 10000);
	return 0;
}

KTEST(scx_steps, .summary = "each step has its scheduler", TWO_CPUS, .duration_ms = 800,
      .checks = { .not_starved = KT_ON }, .scheduler = KT_SCHEDULER_REF(fifo),
      .steps = KT_STEPS(
	      { SPINNERS(4), .hold = KT_HOLD_FRAC(0.25) },
	      { KT_OPS(KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(vtime)), KT_FREEZE_CGROUP("w"),
		       KT_UNFREEZE_CGROUP("w")),
		.hold = KT_HOLD_FRAC(0.25) },
	      { KT_OPS(KT_RESTART_SCHEDULER(), KT_FREEZE_CGROUP("w"), KT_UNFREEZE_CGROUP("w")),
		.hold = KT_HOLD_FRAC(0.25) },
	      { KT_OPS(KT_DETACH_SCHEDULER(), KT_FREEZE_CGROUP("w"), KT_UNFREEZE_CGROUP("w")),
		.hold = KT_HOLD_FRAC(0.25) }),
      .check = steps_check);

KTEST(scx_loop, .summary = "a scheduler is replaced over and over under load", TWO_CPUS,
      .duration_ms = 1500, .checks = { .not_starved = KT_ON }, .scheduler = KT_SCHEDULER_REF(fifo),
      .backdrop = { KT_SETUP({ .name = "w", .work = KT_WORK(KT_MIXED, .workers = 4) }) },
      .steps = KT_STEPS({ KT_OPS(KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(vtime)),
				 KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(fifo))),
			  .hold = KT_HOLD_LOOP(200) }));
