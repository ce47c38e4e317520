/* SPDX-License-Identifier: MIT */
/* Tests that must not pass. golden/ has the runner's output for each. */
#include <ktest.h>

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* One CPU each, so that two of them can run at once on the smallest host. */
#define FAILING(name, ...) KTEST(name, .topology = { .llcs = 1, .cores = 1 }, __VA_ARGS__)

/* ---- checks ---------------------------------------------------------------------------------- */

static int frozen_check(struct kt_ctx *ctx)
{
	KT_ASSERT(ctx, kt_step_usage(ctx, 1, "workers"));
	KT_EXPECT_EQ(ctx, kt_step_usage(ctx, 1, "workers")->usage_us > 0, false);
	KT_ASSERT_LT(ctx, 7, -1L);
	KT_FAIL(ctx, "an assertion has let it go on");
}

FAILING(check_fails, .summary = "a check that does not hold", .duration_ms = 2000,
	.steps = KT_STEPS({ .name = "running",
			    KT_SETUP({ .name = "workers", .work = KT_WORK(KT_SPIN_WAIT) }),
			    .hold = KT_HOLD_FRAC(0.2) },
			  { .name = "frozen",
			    KT_OPS(KT_UNFREEZE_CGROUP("workers")),
			    .hold = KT_HOLD_FRAC(0.8) }),
	.check = frozen_check);

/* The test cgroup_freeze of the suite, without the freeze. Its check must notice that. */
static int freeze_check(struct kt_ctx *ctx)
{
	KT_EXPECT_GT(ctx, kt_step_usage(ctx, 0, "workers")->usage_us, 50000);
	KT_EXPECT_EQ(ctx, kt_step_usage(ctx, 1, "workers")->usage_us, 0);
	KT_EXPECT_GT(ctx, kt_step_usage(ctx, 2, "workers")->usage_us, 50000);
	return 0;
}

FAILING(freeze_is_missing, .summary = "cgroup_freeze without its KT_FREEZE_CGROUP",
	.duration_ms = 2000,
	.steps = KT_STEPS({ KT_SETUP({ .name = "workers", .work = KT_WORK(KT_SPIN_WAIT) }),
			    .hold = KT_HOLD_FRAC(0.3) },
			  { KT_OPS(KT_UNFREEZE_CGROUP("workers")), .hold = KT_HOLD_FRAC(0.3) },
			  { KT_OPS(KT_UNFREEZE_CGROUP("workers")), .hold = KT_HOLD_FRAC(0.4) }),
	.check = freeze_check);

static int run_error(struct kt_ctx *ctx)
{
	(void)ctx;
	printf("about to fail\n");
	return -ENOENT;
}
FAILING(run_fails, .summary = "a .run that returns an error", .run = run_error);

/* ---- children and workers -------------------------------------------------------------------- */

static int child_returns_run(struct kt_ctx *ctx)
{
	if (fork() == 0)
		return 0;
	(void)wait(NULL);
	KT_ASSERT_EQ(ctx, 3, 4);
	return 0;
}
FAILING(child_returns, .summary = "a forked child that returns from .run",
	.run = child_returns_run);

static int child_expects_run(struct kt_ctx *ctx)
{
	if (fork() == 0) {
		KT_EXPECT_EQ(ctx, 5, 6);
		KT_SKIP(ctx, "not here");
	}
	(void)wait(NULL);
	return 0;
}
FAILING(child_expects, .summary = "what a forked child expects", .run = child_expects_run);

static int assert_run(struct kt_ctx *ctx)
{
	(void)ctx;
	assert(1 == 2);
	return 0;
}
FAILING(libc_assert, .summary = "assert() of libc", .run = assert_run);

static void abort_at_stop(struct kt_custom *work)
{
	while (!kt_custom_stopping(work)) {
		kt_custom_spin(work, 100);
		kt_custom_done(work);
	}
	abort();
}
FAILING(worker_aborts_at_stop, .summary = "a worker that crashes when it is asked to end",
	.duration_ms = 200,
	.steps = KT_STEPS({ KT_SETUP({ .name = "workers",
				       .work = KT_WORK(KT_CUSTOM, .workers = 1,
						       .custom = abort_at_stop) }),
			    .hold = KT_HOLD_FULL }));

static void exit_at_once(struct kt_custom *work)
{
	(void)work;
	exit(0);
}

/*
 * The wait looks at the worker that has ended, and leaves it to be reaped. The end of the worker's
 * descriptors would come too early: a worker that still ends could be taken for one that was asked.
 */
static int worker_exits_run(struct kt_ctx *ctx)
{
	siginfo_t info;

	KT_ASSERT_OK(ctx,
		     kt_apply(ctx, KT_ADD_CGROUP_DEF("workers",
						     .work = KT_WORK(KT_CUSTOM, .workers = 1,
								     .custom = exit_at_once))));
	KT_ASSERT_OK(ctx, waitid(P_ALL, 0, &info, WEXITED | WNOWAIT));
	return 0;
}
FAILING(worker_exits, .summary = "a worker that ends by itself in a .run", .run = worker_exits_run);

static int kmsg_flood_run(struct kt_ctx *ctx)
{
	int fd = open("/proc/sys/kernel/printk_devkmsg", O_WRONLY | O_CLOEXEC);

	KT_ASSERT_EQ(ctx, write(fd, "on\n", 3), 3); /* or the kernel drops most */
	(void)close(fd);
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	for (int i = 0; i < 20000; i++)
		KT_ASSERT_GT(ctx, write(fd, "<7>flood\n", 9), 0);
	(void)close(fd);
	return 0;
}
FAILING(kmsg_flood, .summary = "more kernel log than its ring holds", .timeout_ms = 30000,
	.run = kmsg_flood_run);

/* ---- definitions that nothing has validated before ------------------------------------------- */

static int bad_definitions_run(struct kt_ctx *ctx)
{
	(void)kt_apply(ctx, KT_ADD_CGROUP("../x"));
	(void)kt_apply(ctx, KT_ADD_CGROUP_DEF("w", .work = KT_WORKS({ .workers = 2 })));
	(void)kt_apply(ctx,
		       KT_ADD_CGROUP_DEF("w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 100000)));
	(void)kt_apply(ctx, KT_ADD_CGROUP_DEF("w", .mems = "9"));
	(void)kt_apply(ctx, KT_ADD_CGROUP_DEF("w", .cpuset = KT_CPUSET_EXACT("7")));
	(void)kt_apply(ctx, KT_FREEZE_CGROUP(""));
	(void)kt_apply(ctx, KT_FREEZE_CGROUP(NULL));
	(void)kt_apply(ctx, KT_MOVE_ALL_TASKS("", NULL));
	(void)kt_apply(ctx, ((struct kt_op){ .kind = KT_OP_ADD_CGROUP_DEF }));
	return 0;
}
FAILING(bad_definitions, .summary = "operations that make no sense, in a .run",
	.run = bad_definitions_run);

static const struct kt_cgroup_def *bad_factory(struct kt_ctx *ctx)
{
	static const struct kt_work works[] = { { .workers = 2 }, { .end = true } };
	static const struct kt_cgroup_def list[] = {
		{ .name = "w", .work = works },
		{ .end = true },
	};

	(void)ctx;
	return list;
}
FAILING(bad_factory, .summary = "a .setup_fn whose list makes no sense", .duration_ms = 100,
	.steps = KT_STEPS({ .setup_fn = bad_factory, .hold = KT_HOLD_FULL }));

/* ---- scenarios and checks -------------------------------------------------------------------- */

FAILING(moves_to_a_step, .summary = "what the backdrop owns cannot move to a cgroup of a step",
	.duration_ms = 100,
	.backdrop = { KT_SETUP({ .name = "stays", .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) }) },
	.steps = KT_STEPS({ KT_SETUP({ .name = "goes" }),
			    KT_OPS(KT_MOVE_ALL_TASKS("stays", "goes")), .hold = KT_HOLD_FULL }));

KTEST(cpuset_of_others, .summary = "a cgroup cannot have more CPUs than the one above it",
      .duration_ms = 100,
      .steps = KT_STEPS({ KT_SETUP({ .name = "a", .cpuset = KT_CPUSET_EXACT("0") },
				   { .name = "a/b", .cpuset = KT_CPUSET_EXACT("1") }),
			  .hold = KT_HOLD_FULL }));

FAILING(limits_below_processes, .summary = "no controller is handed down beside processes",
	.duration_ms = 100,
	.steps = KT_STEPS({ KT_SETUP({ .name = "a", .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) },
				     { .name = "a/b", .memory_max = 16 << 20 }),
			    .hold = KT_HOLD_FULL }));

FAILING(no_such_irq, .summary = "an interrupt that nobody has", .duration_ms = 100,
	.steps = KT_STEPS({ KT_OPS(KT_STEER_IRQ_BY_LABEL("flux capacitor", 0)) }));

static int removes_unknown_run(struct kt_ctx *ctx)
{
	return kt_apply(ctx, KT_REMOVE_CGROUP("unknown"));
}
FAILING(removes_unknown, .summary = "removing what is not there is an error where it happens",
	.run = removes_unknown_run);

/* One of two spinners has a lower priority, and waits almost all the time. */
FAILING(unfair, .summary = "a limit on gaps", .duration_ms = 700,
	.steps = KT_STEPS({ KT_SETUP({ .name = "w",
				       .work = KT_WORKS({ .type = KT_SPIN_WAIT,
							  .workers = 1,
							  .sched = { KT_SCHED_FIFO, 10 } },
							{ .type = KT_SPIN_WAIT, .workers = 1 }) }),
			    .hold = KT_HOLD_FULL }),
	.checks = { .max_gap_ms = 200 });

FAILING(nothing_measured, .summary = "a limit on what was not measured", .duration_ms = 100,
	.steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) }),
			    .hold = KT_HOLD_FULL }),
	.checks = { .max_wake_p99_us = 100 });

static int flaky_run(struct kt_ctx *ctx)
{
	printf("attempt %s\n", getenv("KTESTS_ATTEMPT"));
	KT_ASSERT_GT(ctx, atoi(getenv("KTESTS_ATTEMPT")), 2);
	return 0;
}
FAILING(flaky, .summary = "passes in the third attempt", .run = flaky_run);

static int skip_run(struct kt_ctx *ctx)
{
	KT_SKIP(ctx, "needs %s, which is not there", "a unicorn");
}
FAILING(skips, .summary = "a test that does not apply", .run = skip_run, .post_vm = run_error);

static int inconclusive_run(struct kt_ctx *ctx)
{
	KT_INCONCLUSIVE(ctx, "%d samples", 0);
}
FAILING(inconclusive, .summary = "a test that has measured nothing", .run = inconclusive_run);

static int post_vm_fails(struct kt_ctx *ctx)
{
	printf("the host has a look\n");
	KT_ASSERT_CONTAINS(ctx, kt_vm_stdout(ctx), "a word that nobody said");
	return 0;
}
static int say_hello(struct kt_ctx *ctx)
{
	(void)ctx;
	printf("hello\n");
	return 0;
}
FAILING(post_vm_fails, .summary = "the host's check fails", .run = say_hello,
	.post_vm = post_vm_fails);

static int post_vm_crashes(struct kt_ctx *ctx)
{
	(void)ctx;
	abort();
}
FAILING(post_vm_crashes, .summary = "the host's check crashes", .run = say_hello,
	.post_vm = post_vm_crashes);

KTEST(wrong_topology, .summary = "fewer CPUs than asked for, by --append maxcpus=1",
      .run = say_hello);

/* ---- operations ------------------------------------------------------------------------------ */

FAILING(remove_twice, .summary = "an operation on what the one before removed",
	.steps = KT_STEPS({ KT_SETUP({ .name = "a/b" }), .hold = KT_HOLD_MS(1) },
			  { .name = "again",
			    KT_OPS(KT_REMOVE_CGROUP("a/b"), KT_ADD_CGROUP("a")) }));

/* ---- the guest goes wrong -------------------------------------------------------------------- */

static int panic(struct kt_ctx *ctx)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY);

	KT_ASSERT_OK(ctx, write(fd, "c", 1));
	KT_FAIL(ctx, "the kernel has survived");
}
FAILING(guest_panics, .summary = "the guest's kernel panics", .run = panic);

static int crash(struct kt_ctx *ctx)
{
	const volatile int *volatile nowhere = (int *)8;

	(void)ctx;
	printf("about to crash\n");
	return *nowhere;
}
FAILING(init_crashes, .summary = "PID 1 crashes in a check", .run = say_hello, .check = crash);

static int hang(struct kt_ctx *ctx)
{
	(void)ctx;
	(void)fprintf(stderr, "waiting for what never comes\n");
	while (pause() < 0)
		;
	return 0;
}
FAILING(hangs, .summary = "a test that does not end", .time = KT_REAL_TIME, .timeout_ms = 500,
	.run = hang);

static int power_off(struct kt_ctx *ctx)
{
	int fd = open("/proc/sysrq-trigger", O_WRONLY);

	KT_ASSERT_OK(ctx, write(fd, "o", 1));
	for (;;) /* prints nothing: the text might or might not arrive before the end */
		(void)pause();
}
FAILING(powers_off, .summary = "the guest powers off before it is done", .run = power_off);

/* Writes to the descriptor of the bulk port, which PID 1 has open, without the framework. */
static int malformed_frame(struct kt_ctx *ctx)
{
	DIR *fds = opendir("/proc/self/fd");
	static const char garbage[64] = "this is not a frame, and it is longer than its header";

	KT_ASSERT(ctx, fds);
	for (struct dirent *ent; (ent = readdir(fds));) {
		char link[PATH_MAX] = "";

		if (readlinkat(dirfd(fds), ent->d_name, link, sizeof(link) - 1) > 0 &&
		    strstr(link, "/vport"))
			KT_ASSERT_OK(ctx, write(atoi(ent->d_name), garbage, sizeof(garbage)));
	}
	(void)closedir(fds);
	return hang(ctx);
}
/* In virtual time the port is no device, and only PID 1 can send on it. */
FAILING(malformed_frame, .summary = "bytes on the port that are not a frame", .time = KT_REAL_TIME,
	.run = malformed_frame);

/*
 * A real WARN of the kernel: with a large optmem_max, sendmsg() allocates the control buffer that
 * it is given with kmalloc(), and the page allocator warns of an order that it does not have.
 */
static int provoke_warning(struct kt_ctx *ctx)
{
	static char control[32 << 20];
	struct iovec byte = { .iov_base = control, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd = open("/proc/sys/net/core/optmem_max", O_WRONLY), pair[2];

	KT_ASSERT_OK(ctx, write(fd, "134217728", 9));
	KT_ASSERT_OK(ctx, socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
	(void)sendmsg(pair[0], &message, 0);
	return 0;
}
FAILING(kernel_warns, .summary = "a WARN of the kernel during a test that passes else",
	.run = provoke_warning);
FAILING(kernel_does_not_warn, .summary = "an expected warning does not come", .run = say_hello,
	.expect_kernel_warning = "page_alloc");
FAILING(warning_is_expected, .summary = "an expected warning comes (this one passes)",
	.run = provoke_warning, .expect_kernel_warning = "page_alloc");

static void abort_after_a_while(struct kt_custom *work)
{
	kt_custom_sleep_us(work, 100000);
	abort();
}

/* The hold ends with the worker: the sample has less time than the hold is long. */
FAILING(worker_dies_in_hold, .summary = "a worker that aborts in a hold", .duration_ms = 60000,
	.steps = KT_STEPS({ KT_SETUP({ .name = "workers",
				       .work = KT_WORK(KT_CUSTOM, .workers = 1,
						       .custom = abort_after_a_while) }),
			    .hold = KT_HOLD_FULL }));

static int reboot_guest(struct kt_ctx *ctx)
{
	KT_ASSERT_OK(ctx, reboot(RB_AUTOBOOT));
	return 0;
}
FAILING(reboots, .summary = "the guest reboots before it is done", .run = reboot_guest);

static int exec_self(struct kt_ctx *ctx)
{
	static char name[] = "init";
	char *argv[] = { name, NULL };

	KT_ASSERT_OK(ctx, execv("/proc/self/exe", argv));
	return 0;
}
FAILING(execs_itself, .summary = "PID 1 executes its own program", .run = exec_self);

static int exec_nothing(struct kt_ctx *ctx)
{
	(void)ctx;
	_exit(3);
}
FAILING(exits, .summary = "PID 1 exits", .run = exec_nothing);

static int hang_quietly(struct kt_ctx *ctx)
{
	(void)ctx;
	while (pause() < 0)
		;
	return 0;
}
FAILING(hangs_in_check, .summary = "a check that does not end, after two steps", .timeout_ms = 500,
	.duration_ms = 200,
	.steps = KT_STEPS({ .name = "first",
			    KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) }),
			    .hold = KT_HOLD_FRAC(0.5) },
			  { .name = "second", .hold = KT_HOLD_FRAC(0.5) }),
	.check = hang_quietly);
FAILING(hangs_in_hold, .summary = "a hold that is longer than the test may take", .timeout_ms = 500,
	.duration_ms = 60000,
	.steps = KT_STEPS({ .hold = KT_HOLD_MS(1) },
			  { .name = "too long", .hold = KT_HOLD_FRAC(0.9) }));
/* Workers that get a millisecond of CPU time in a second are not up in time, as there are many. */
FAILING(hangs_in_setup, .summary = "workers that cannot start under their quota",
	.timeout_ms = 1000, .duration_ms = 200,
	.steps = KT_STEPS({ .name = "starved",
			    KT_SETUP({ .name = "w",
				       .cpu_quota_us = 1000,
				       .cpu_period_us = 1000000,
				       .work = KT_WORK(KT_SPIN_WAIT, .workers = 40) }),
			    .hold = KT_HOLD_FULL }));

/* Not a golden sample: tests/checks/repeat.py compares what it says. */
static int talk(struct kt_ctx *ctx)
{
	int fd = open("/proc/sys/kernel/printk_devkmsg", O_WRONLY | O_CLOEXEC);

	KT_ASSERT_EQ(ctx, write(fd, "on\n", 3), 3); /* or the kernel drops most */
	(void)close(fd);
	fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	for (unsigned int i = 0;; i++) {
		KT_ASSERT_OK(ctx, write(fd, "<2>to the console\n", 18));
		(void)dprintf(STDOUT_FILENO, "to the host, %u\n", i);
	}
	return 0;
}
KTEST(hangs_talking, .summary = "a test that does not end, and is never quiet",
      .topology = { .llcs = 1, .cores = 2 }, .timeout_ms = 100, .run = talk);

/* Not a golden sample: tests/checks/suspend.py stops the runner meanwhile. Its limit is 3 s. */
static int spin(struct kt_ctx *ctx)
{
	const double limit_s = 5; /* less than with the four seconds of a stop; hosts are busy */
	struct timespec begin, now;
	double elapsed_s;

	(void)clock_gettime(CLOCK_MONOTONIC, &begin);
	(void)fprintf(stderr, "spinning\n");
	do {
		(void)clock_gettime(CLOCK_MONOTONIC, &now);
		elapsed_s = (double)(now.tv_sec - begin.tv_sec) +
			    (double)(now.tv_nsec - begin.tv_nsec) / 1e9;
	} while (elapsed_s < 2);
	KT_EXPECT(ctx, elapsed_s < limit_s);
	return 0;
}
FAILING(spins, .summary = "two seconds of the guest's clock (this one passes)",
	.time = KT_REAL_TIME, .run = spin, .timeout_ms = 1000);

/* ---- the kernel's memory --------------------------------------------------------------------- */

static int kernel_cpu_run(struct kt_ctx *ctx)
{
	return kt_apply(ctx, KT_READ_KERNEL_HOT(KT_GET(
				     "clock", KT_KERNEL_PER_CPU_FIELD("runqueues", "clock", 7),
				     KT_AS_U64)));
}

static int kernel_value_check(struct kt_ctx *ctx)
{
	uint64_t cpus = 0;

	KT_ASSERT(ctx, kt_kernel_captured(ctx, "cpus", &cpus));
	KT_EXPECT_EQ(ctx, cpus, 12345);
	return 0;
}

static int kernel_task_run(struct kt_ctx *ctx)
{
	const struct kt_worker_identity other = { 1, 4711 };

	return kt_apply(ctx,
			KT_WRITE_KERNEL_COLD(KT_PUT(KT_KERNEL_TASK_FIELD(other, "scx.dsq_vtime"),
						    KT_KERNEL_U64(1))));
}

FAILING(kernel_path_is_unknown, .summary = "a path that the kernel does not have",
	.steps = KT_STEPS({ KT_OPS(KT_WRITE_KERNEL_COLD(
		KT_PUT(KT_KERNEL_PATH("init_task.prio"), KT_KERNEL_NUMBER(1)),
		KT_PUT(KT_KERNEL_PATH("init_task.scx.dsq_vtim"), KT_KERNEL_NUMBER(1)))) }));

FAILING(kernel_width_is_wrong, .summary = "a number that is not as wide as its place",
	.steps = KT_STEPS({ KT_OPS(KT_WRITE_KERNEL_HOT(KT_PUT(KT_KERNEL_PATH("jiffies_64"),
							      KT_KERNEL_U32(1)))) }));

FAILING(kernel_cpu_is_absent, .summary = "an operation of .run names a CPU that is not there",
	.run = kernel_cpu_run);

FAILING(kernel_value_is_shown, .summary = "what was read is in the report of a failure",
	.steps = KT_STEPS({ KT_OPS(KT_READ_KERNEL_COLD(
		KT_GET("cpus", KT_KERNEL_PATH("nr_cpu_ids"), KT_AS_NUMBER),
		KT_GET("state", KT_KERNEL_PATH("system_state"), KT_AS_NUMBER),
		KT_GET("name", KT_KERNEL_PATH("init_uts_ns.name.nodename"), KT_AS_TEXT),
		KT_GET("bytes", KT_KERNEL_PATH("init_uts_ns.name.nodename"), KT_AS_BYTES(5)))) }),
	.check = kernel_value_check);

FAILING(kernel_task_is_another, .summary = "the thread ID has become another task's",
	.run = kernel_task_run);

static int after_panic(struct kt_ctx *ctx)
{
	uint64_t cpu = 7, pid = 0;

	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "(int)panic_cpu", &cpu));
	KT_EXPECT_EQ(ctx, cpu, 0);
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "runqueues[cpu 0].curr->pid", &pid));
	KT_EXPECT_EQ(ctx, pid, 4711); /* it is PID 1 that has asked for the panic */
	return 0;
}
FAILING(kernel_after_panic, .summary = ".post_vm sees the kernel that has panicked", .run = panic,
	.post_vm = after_panic);

static int snapshot_views_check(struct kt_ctx *ctx)
{
	struct kt_view report = kt_snapshot(ctx, "taken"), deep = report;
	uint64_t number;
	char text[8];
	bool truth;

	(void)kt_as_u64(kt_view_get(kt_snapshot(ctx, "other"), "version"), &number);
	(void)kt_as_u64(kt_view_get(report, "schema"), &number);
	(void)kt_as_text(kt_view_get(report, "version"), text, sizeof(text));
	(void)kt_as_u64(kt_view_get(report, "nodes.0.zones.0.fre"), &number);
	(void)kt_as_u64(kt_view_get(report, "kernel..cpus"), &number);
	(void)kt_as_u64(kt_view_get(kt_view_cpu(kt_view_get(report, "runqueues"), 2), "cpu"),
			&number);
	(void)kt_as_u64(kt_view_get(kt_view_at(kt_view_get(report, "runqueues"), 5), "cpu"),
			&number);
	(void)kt_as_u64(
		kt_view_get(kt_view_find(kt_view_get(report, "runqueues"), "cpu", 9), "cpu"),
		&number);
	(void)kt_as_bool(kt_view_get(report, "kernel.levels"), &truth);
	(void)kt_as_u64(kt_view_map(report, "no_such_map"), &number);
	(void)kt_as_u64(kt_view_variable(kt_view_active(report), "x"), &number);
	(void)kt_as_u64(kt_view_get(kt_periodic(ctx), "version"), &number);
	for (int i = 0; i < 20; i++)
		deep = kt_view_get(deep, "kernel");
	(void)kt_as_u64(deep, &number);
	return 0;
}
FAILING(snapshot_views, .summary = "views of what is not in a report",
	.steps = KT_STEPS({ KT_OPS(KT_CAPTURE_SNAPSHOT("taken"), KT_CAPTURE_SNAPSHOT("taken")) }),
	.check = snapshot_views_check);

static int snapshot_series_check(struct kt_ctx *ctx)
{
	struct kt_view step = kt_view_get(kt_periodic(ctx), "step");

	KT_EXPECT_SERIES(ctx, step, KT_NONDECREASING);
	KT_EXPECT_SERIES(ctx, step, KT_STRICTLY_INCREASING);
	KT_EXPECT_SERIES(ctx, step, KT_EACH_BETWEEN(0, 1));
	KT_EXPECT_SERIES(ctx, step, KT_CONVERGES_TO(1, 0, 60000));
	KT_EXPECT_SERIES(ctx, step, KT_STEADY_WITHIN(0, 0.1));
	KT_EXPECT_SERIES(ctx, kt_view_get(kt_periodic(ctx), "nowhere"), KT_ALWAYS_TRUE);
	return 0;
}
FAILING(snapshot_series, .summary = "series that do not go as they should", .num_snapshots = 5,
	.duration_ms = 800,
	.steps = KT_STEPS({ .hold = KT_HOLD_FRAC(0.4) }, { .hold = KT_HOLD_FRAC(0.3) },
			  { .hold = KT_HOLD_FRAC(0.3) }),
	.check = snapshot_series_check);

static int snapshot_nothing_check(struct kt_ctx *ctx)
{
	KT_ASSERT_SERIES(ctx, kt_view_variable(kt_periodic(ctx), "nr"), KT_NONDECREASING);
	return 0;
}
FAILING(snapshot_measures_nothing, .summary = "a series without a value says nothing",
	.num_snapshots = 2, .duration_ms = 400, .steps = KT_STEPS({ .hold = KT_HOLD_FULL }),
	.check = snapshot_nothing_check);

FAILING(watch_path_is_unknown, .summary = "what the kernel does not have cannot be watched",
	.steps = KT_STEPS({ KT_OPS(KT_WATCH("init_task.scx.dsq_vtim", .when = KT_GE(1))) }));

FAILING(watch_has_no_number, .summary = "a condition is on a number",
	.steps = KT_STEPS({ KT_OPS(KT_WATCH("init_task.scx", .when = KT_GE(1))) }));

/* Nothing writes the nodename, so that no hit comes in between. */
static int watch_a_part(struct kt_ctx *ctx)
{
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WATCH_SNAPSHOT("init_uts_ns.name.nodename")));
	return kt_apply(ctx, KT_WATCH("init_uts_ns.name.nodename", .name = "half", .len = 4));
}
FAILING(watch_of_a_part, .summary = "a part of what is watched cannot be watched",
	.run = watch_a_part);

static int watch_as(struct kt_ctx *ctx, const char *name)
{
	return kt_apply(ctx, KT_WATCH("init_uts_ns.name.nodename", .name = name));
}

/* Names that are in use, and watches that a machine has not, are told where they are asked for. */
static int watches_run_out(struct kt_ctx *ctx)
{
	char name[16];

	for (int i = 0; i < 128; i++) {
		(void)snprintf(name, sizeof(name), "w%d", i);
		KT_ASSERT_OK(ctx, watch_as(ctx, name));
	}
	(void)watch_as(ctx, "w128");
	(void)watch_as(ctx, "w7");
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_UNWATCH("w7")));
	(void)kt_apply(ctx, KT_UNWATCH("w7"));
	KT_ASSERT_OK(ctx, watch_as(ctx, "w128"));
	return 0;
}
FAILING(watches_run_out, .summary = "a machine has 128 watches at a time", .run = watches_run_out);

/* The kernel empties its interrupt table and traps: no handler is found, nor one for that fault. */
static int triple_fault(struct kt_ctx *ctx)
{
	int fd = open("/sys/kernel/reboot/type", O_WRONLY);

	KT_ASSERT_OK(ctx, write(fd, "triple", 6));
	return reboot_guest(ctx);
}
FAILING(triple_faults, .summary = "the guest ends in a triple fault", .run = triple_fault);

/* A line that GitHub Actions would take for a command of the step, were it not stopped. */
static int print_commands(struct kt_ctx *ctx)
{
	(void)printf("::error::forged\n  ::add-mask::e\n##[warning]forged\n");
	(void)fflush(stdout);
	KT_FAIL(ctx, "::notice::forged\n::error::100%% forged");
}
FAILING(prints_commands, .summary = "output that looks like commands of GitHub Actions",
	.run = print_commands);
