/* SPDX-License-Identifier: MIT */
/*
 * The guest's kernel, read and written from outside: each kind of target against what the guest
 * itself knows, writes that change what the kernel does, and refusals.
 */
#include "tests/suites/schedulers.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest/test/ctx.h"
#include "guest/test/kernel.h"
#include "tests/suites/look.h"
#include "util/clock.h"

KT_SCHEDULER(vtime_, .object = FIXTURE("vtime"));
KT_SCHEDULER(clock_, .object = FIXTURE("clock"));

/* ---- Reading ---- */

/* The number behind @key in /proc/FILE. */
static uint64_t proc_number(const char *path, const char *key)
{
	char line[256];
	uint64_t number = 0;
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, key, strlen(key)))
			number = strtoull(line + strlen(key), NULL, 10);
	}
	if (file)
		(void)fclose(file);
	return number;
}

static int kernel_paths_run(struct kt_ctx *ctx)
{
	char comm[64], path[64];
	uint64_t value = 0;

	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "nr_cpu_ids", &value));
	KT_ASSERT_EQ(ctx, value, (uint64_t)sysconf(_SC_NPROCESSORS_CONF));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "init_task.pid", &value));
	KT_ASSERT_EQ(ctx, value, 0);
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "task(1).real_parent->pid", &value));
	KT_ASSERT_EQ(ctx, value, 0);
	(void)snprintf(path, sizeof(path), "task(%d).comm", (int)getpid());
	KT_ASSERT_OK(ctx, kt_kernel_text(ctx, path, comm, sizeof(comm)));
	KT_ASSERT(ctx, strstr(comm, "ktest-init"));
	KT_ASSERT_OK(ctx, kt_kernel_text(ctx, "init_uts_ns.name.nodename", comm, sizeof(comm)));
	KT_ASSERT(ctx, strstr(comm, "ktest"));
	return 0;
}

KTEST(kernel_paths, .summary = "typed paths read what the guest knows of itself",
      .run = kernel_paths_run);

/* Every target kind, one batch; the results are compared with each other and with /proc. */
static int kernel_targets_run(struct kt_ctx *ctx)
{
	uint64_t jiffies = 0, jiffies_path = 1, jiffies_kva = 2, jiffies_direct = 3, kva = 0;
	uint64_t page_offset = 0, phys_base = 0, cpu0 = 0, cpu1 = 1, utime = 0;
	struct kt_worker_identity self;
	const char *comm;
	size_t len;

	KT_ASSERT_OK(ctx, kt_worker_identity(ctx, getpid(), &self));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "&jiffies_64", &kva));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "page_offset_base", &page_offset));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "phys_base", &phys_base));
	KT_ASSERT_OK(
		ctx,
		kt_apply(ctx, KT_READ_KERNEL_COLD(
				      KT_GET("symbol", KT_KERNEL_SYMBOL("jiffies_64"), KT_AS_U64),
				      KT_GET("path", KT_KERNEL_PATH("jiffies_64"), KT_AS_NUMBER),
				      KT_GET("kva", KT_KERNEL_KVA(kva), KT_AS_U64),
				      KT_GET("direct",
					     KT_KERNEL_DIRECT(kva - UINT64_C(0xffffffff80000000) +
							      phys_base + page_offset),
					     KT_AS_U64),
				      KT_GET("cpu0", KT_KERNEL_PER_CPU_FIELD("runqueues", "cpu", 0),
					     KT_AS_U32),
				      KT_GET("cpu1", KT_KERNEL_PER_CPU_FIELD("runqueues", "cpu", 1),
					     KT_AS_NUMBER),
				      KT_GET("comm", KT_KERNEL_TASK_FIELD(self, "comm"),
					     KT_AS_BYTES(16)),
				      KT_GET("class", KT_KERNEL_TASK_FIELD(self, "policy"),
					     KT_AS_TEXT))));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "symbol", &jiffies));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "path", &jiffies_path));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "kva", &jiffies_kva));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "direct", &jiffies_direct));
	/* One moment: the same variable, four times. */
	KT_ASSERT_GT(ctx, jiffies, 0);
	KT_ASSERT_EQ(ctx, jiffies_path, jiffies);
	KT_ASSERT_EQ(ctx, jiffies_kva, jiffies);
	KT_ASSERT_EQ(ctx, jiffies_direct, jiffies);
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "cpu0", &cpu0));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "cpu1", &cpu1));
	KT_ASSERT_EQ(ctx, cpu0, 0);
	KT_ASSERT_EQ(ctx, cpu1, 1);
	comm = kt_kernel_captured_bytes(ctx, "comm", &len);
	KT_ASSERT_EQ(ctx, len, 16);
	KT_ASSERT_STREQ(ctx, comm, "ktest-init");
	comm = kt_kernel_captured_bytes(ctx, "class", &len);
	KT_ASSERT_STREQ(ctx, comm, "0");
	/* Against the guest's own view of the same task. */
	utime = proc_number("/proc/self/status", "voluntary_ctxt_switches:");
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_READ_KERNEL_HOT(KT_GET(
						"switches", KT_KERNEL_TASK_FIELD(self, "nvcsw"),
						KT_AS_NUMBER))));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "switches", &jiffies));
	KT_ASSERT_GE(ctx, jiffies, utime);
	KT_ASSERT_LE(ctx, jiffies, utime + 20);
	return 0;
}

KTEST(kernel_targets, .summary = "all kinds of targets lead to the same memory",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .run = kernel_targets_run);

/* ---- Writing ---- */

static uint64_t uptime_ticks(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int kernel_jiffies_run(struct kt_ctx *ctx)
{
	uint64_t before = 0, after = 0, began = uptime_ticks();

	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "jiffies_64", &before));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_HOT(KT_PUT(KT_KERNEL_SYMBOL("jiffies_64"),
								   KT_KERNEL_U64(before + 2000)))));
	KT_ASSERT_OK(ctx, kt_hold_ms(ctx, 50));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "jiffies_64", &after));
	/* It went on counting from there; the clock is another one, and did not jump. */
	KT_ASSERT_GE(ctx, after, before + 2000 + 5);
	KT_ASSERT_LT(ctx, after, before + 2000 + 1000);
	KT_ASSERT_LT(ctx, uptime_ticks() - began, 10000);
	return 0;
}

KTEST(kernel_jiffies, .summary = "jiffies_64 goes on from where it was set",
      .run = kernel_jiffies_run);

/* A sysctl's variable: the guest reads back what the host has written, and its width is BTF's. */
static int kernel_write_run(struct kt_ctx *ctx)
{
	uint64_t before = 0, after = 0;

	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "init_uts_ns.name.nodename[0]", &before));
	KT_ASSERT_EQ(ctx, before, 'k');
	KT_ASSERT_OK(ctx, kt_kernel_write(ctx, "init_uts_ns.name.nodename[0]", 'K'));
	{
		char name[65];

		KT_ASSERT_OK(ctx, gethostname(name, sizeof(name)));
		KT_ASSERT_STREQ(ctx, name, "Ktest");
	}
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_COLD(
						KT_PUT(KT_KERNEL_PATH("init_uts_ns.name.nodename"),
						       KT_KERNEL_BYTES("remote", 7)))));
	{
		char name[65];

		KT_ASSERT_OK(ctx, gethostname(name, sizeof(name)));
		KT_ASSERT_STREQ(ctx, name, "remote");
	}
	/* Bits are added, and nothing else changes. */
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_COLD(KT_PUT(KT_KERNEL_PATH("task(1).flags"),
								    KT_KERNEL_OR_U32(0)))));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "task(1).personality", &before));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_COLD(
						KT_PUT(KT_KERNEL_PATH("task(1).personality"),
						       KT_KERNEL_OR_U32(0x0040000)))));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "task(1).personality", &after));
	KT_ASSERT_EQ(ctx, after, before | 0x0040000);
	return 0;
}

KTEST(kernel_write, .summary = "the guest sees what the host has written", .run = kernel_write_run);

/* ---- .post_vm ---- */

static int kernel_post_vm_run(struct kt_ctx *ctx)
{
	return kt_kernel_write(ctx, "init_uts_ns.name.nodename[0]", 'Z');
}

static int kernel_post_vm_post(struct kt_ctx *ctx)
{
	char name[80];
	uint64_t value = 0;

	KT_ASSERT_OK(ctx, kt_kernel_text(ctx, "init_uts_ns.name.nodename", name, sizeof(name)));
	KT_ASSERT(ctx, strstr(name, "Ztest"));
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "task(1).pid", &value));
	KT_ASSERT_EQ(ctx, value, 1);
	return 0;
}

KTEST(kernel_post_vm, .summary = ".post_vm sees the last state of the guest's kernel",
      .run = kernel_post_vm_run, .post_vm = kernel_post_vm_post);

/* ---- As data ---- */

static int kernel_steps_check(struct kt_ctx *ctx)
{
	uint64_t cpus = 0, first = 1, second = 0;

	KT_ASSERT(ctx, kt_kernel_captured(ctx, "cpus", &cpus));
	KT_ASSERT_EQ(ctx, cpus, 2);
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "first", &first));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "second", &second));
	/* Made as one: PID 1 has slept, waiting for the host, before both or behind both. */
	KT_ASSERT_EQ(ctx, first, second);
	KT_ASSERT(ctx, !kt_kernel_captured(ctx, "third", &first));
	return 0;
}

KTEST(kernel_steps, .summary = "cold reads that follow each other are of one moment",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .duration_ms = 100, .time = KT_REAL_TIME,
      .steps = KT_STEPS(
	      { KT_OPS(KT_READ_KERNEL_COLD(KT_GET("cpus", KT_KERNEL_PATH("nr_cpu_ids"),
						  KT_AS_NUMBER)),
		       KT_READ_KERNEL_COLD(KT_GET("first", KT_KERNEL_PATH("task(1).nvcsw"),
						  KT_AS_NUMBER)),
		       KT_READ_KERNEL_COLD(KT_GET("second", KT_KERNEL_PATH("task(1).nvcsw"),
						  KT_AS_NUMBER))),
		.hold = KT_HOLD_MS(50) }),
      .check = kernel_steps_check);

/* ---- Tasks of sched_ext ---------------------------------------------------------------------- */

/* Children that wait until they are told to go on. */
struct sleepers {
	int begin[2];        /* a byte for each child */
	unsigned int *order; /* shared: how many have gone on */
};

static int open_sleepers(struct sleepers *sleepers)
{
	sleepers->order =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return sleepers->order == MAP_FAILED ? -1 : pipe2(sleepers->begin, O_CLOEXEC);
}

/* Confines the caller to CPU 0 or 1; -1: to both. */
static void pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	for (int i = 0; i < 2; i++) {
		if (cpu < 0 || cpu == i)
			CPU_SET(i, &cpus);
	}
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
}

/*
 * A child that sleeps until @fd has a byte, and then writes its turn to @turn. @cpu: as for pin().
 * With two CPUs, the scheduler is asked for one when the child wakes up.
 */
static pid_t start_sleeper(const struct sleepers *sleepers, int fd, unsigned int *turn, int policy,
			   int cpu)
{
	struct sched_param param = { .sched_priority = policy == SCHED_FIFO };
	pid_t pid = fork();
	char byte;

	if (pid)
		return pid;
	pin(cpu);
	(void)sched_setscheduler(0, policy, &param);
	if (read(fd, &byte, 1) == 1)
		*turn = __atomic_add_fetch(sleepers->order, 1, __ATOMIC_SEQ_CST);
	_exit(0);
}

/* Waits until the sleeper sleeps. */
static int await_sleep_at(struct kt_ctx *ctx, struct kt_where where, pid_t pid)
{
	uint64_t deadline_ns = kt_ctx_deadline_ns(ctx, 2000);
	char text[LOOK_LEN];

	while (look_status(text, pid, "State")[0] != 'S') {
		if (!kt_left_ns(deadline_ns))
			return kt_fail(ctx, where, "process %d does not sleep: state %s", (int)pid,
				       look_status(text, pid, "State"));
		(void)sched_yield();
	}
	return 0;
}

#define await_sleep(ctx, pid) await_sleep_at(ctx, (struct kt_where){ __FILE__, __LINE__ }, pid)

/* What an access gives; an error does not fail the test. */
static int try_access(struct kt_ctx *ctx, struct kt_kernel_target target,
		      struct kt_kernel_value value, bool is_write, struct kt_err *err)
{
	const struct kt_kernel_pair pairs[] = {
		{ .target = target, .value = value, .tag = is_write ? NULL : "tried" },
		{ .end = true },
	};
	int r = kt_kernel_pairs_check(pairs, is_write, err);

	return r ?: kt_kernel_pairs_apply(ctx, pairs, is_write, true, err);
}

static int expect_refusal_at(struct kt_ctx *ctx, struct kt_where where,
			     struct kt_kernel_target target, int code, const char *text)
{
	struct kt_err err = KT_ERR_NULL;
	int r = try_access(ctx, target, (struct kt_kernel_value)KT_KERNEL_NUMBER(1), true, &err);

	if (r == code && (!r || strstr(err.text, text)))
		return 0;
	return kt_fail(ctx, where, "%d (%s) instead of %d (...%s...)", r, err.text, code, text);
}

#define expect_refusal(ctx, target, code, text)                                                    \
	expect_refusal_at(ctx, (struct kt_where){ __FILE__, __LINE__ }, target, code, text)

#define TASK(identity, members) ((struct kt_kernel_target)KT_KERNEL_TASK_FIELD(identity, members))
#define ANY_TASK(identity, members)                                                                \
	((struct kt_kernel_target)KT_KERNEL_TASK_FIELD_ANY_CLASS(identity, members))

/* Each check of a task has its own error, and the task that passes all of them is written. */
static int kernel_task_run(struct kt_ctx *ctx)
{
	struct kt_worker_identity asleep, busy, rt, dead, other;
	struct sleepers sleepers;
	uint64_t vtime = 0;
	unsigned int *turns;
	char path[64];
	pid_t pids[3];
	siginfo_t info;

	KT_ASSERT_EQ(ctx, open_sleepers(&sleepers), 0);
	turns = sleepers.order + 1;
	pids[0] = start_sleeper(&sleepers, sleepers.begin[0], &turns[0], SCHED_OTHER, 0);
	pids[1] = start_sleeper(&sleepers, sleepers.begin[0], &turns[1], SCHED_FIFO, 0);
	pids[2] = fork();
	if (!pids[2]) {
		pin(1);
		for (;;)
			;
	}
	KT_ASSERT_OK(ctx, await_sleep(ctx, pids[0]));
	KT_ASSERT_OK(ctx, await_sleep(ctx, pids[1]));
	KT_ASSERT_OK(ctx, kt_worker_identity(ctx, pids[0], &asleep));
	KT_ASSERT_OK(ctx, kt_worker_identity(ctx, pids[1], &rt));
	KT_ASSERT_OK(ctx, kt_worker_identity(ctx, pids[2], &busy));
	other = asleep;
	other.start_ns++;
	KT_ASSERT_OK(ctx, expect_refusal(ctx, TASK(asleep, "scx.dsq_vtime"), 0, ""));
	(void)snprintf(path, sizeof(path), "task(%d).scx.dsq_vtime", (int)pids[0]);
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, path, &vtime));
	KT_ASSERT_EQ(ctx, vtime, 1);
	KT_ASSERT_OK(ctx, expect_refusal(ctx, TASK(other, "scx.dsq_vtime"), -ESTALE,
					 "is not the task that is meant"));
	KT_ASSERT_OK(ctx, expect_refusal(ctx, TASK(busy, "scx.dsq_vtime"), -EBUSY,
					 "only while it sleeps"));
	KT_ASSERT_OK(ctx, expect_refusal(ctx, TASK(rt, "scx.dsq_vtime"), -EPERM,
					 "its class is rt_sched_class"));
	KT_ASSERT_OK(ctx, expect_refusal(ctx, ANY_TASK(rt, "scx.dsq_vtime"), 0, ""));
	KT_ASSERT_OK(ctx, expect_refusal(ctx, TASK(asleep, "scx.dsq_vtim"), -ENOENT, "dsq_vtime"));
	KT_ASSERT_OK(ctx, expect_refusal(ctx, TASK(asleep, "comm"), -EINVAL, "is not a number"));
	/* It becomes a zombie, and then nothing. */
	dead = busy;
	(void)kill(pids[2], SIGKILL);
	KT_ASSERT_OK(ctx, waitid(P_PID, (id_t)pids[2], &info, WEXITED | WNOWAIT));
	KT_ASSERT_OK(ctx, expect_refusal(ctx, TASK(dead, "scx.dsq_vtime"), -EOWNERDEAD, "dead"));
	(void)waitpid(pids[2], NULL, 0);
	KT_ASSERT_OK(ctx, expect_refusal(ctx, TASK(dead, "scx.dsq_vtime"), -ESRCH,
					 "no task has the pid"));
	KT_ASSERT_EQ(ctx, write(sleepers.begin[1], "ab", 2), 2);
	(void)waitpid(pids[0], NULL, 0);
	(void)waitpid(pids[1], NULL, 0);
	return 0;
}

KTEST(kernel_task, .summary = "a task's field is written only if nothing sorted depends on it",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .scheduler = KT_SCHEDULER_REF(clock_),
      .run = kernel_task_run);

#define HOUR_NS UINT64_C(3600000000000)

/* Two sleepers on one CPU wake up together; the one whose virtual time is later goes second. */
static int race(struct kt_ctx *ctx, unsigned int late, unsigned int *ret_first)
{
	unsigned int *turns;
	struct kt_worker_identity identity;
	struct sleepers sleepers, second;
	pid_t pids[2];

	KT_ASSERT_EQ(ctx, open_sleepers(&sleepers) | pipe2(second.begin, O_CLOEXEC), 0);
	turns = sleepers.order + 1;
	pids[0] = start_sleeper(&sleepers, sleepers.begin[0], &turns[0], SCHED_OTHER, 0);
	pids[1] = start_sleeper(&sleepers, second.begin[0], &turns[1], SCHED_OTHER, 0);
	KT_ASSERT_OK(ctx, await_sleep(ctx, pids[0]));
	KT_ASSERT_OK(ctx, await_sleep(ctx, pids[1]));
	pin(0);
	KT_ASSERT_OK(ctx, kt_worker_identity(ctx, pids[late], &identity));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_COLD(KT_PUT(
						KT_KERNEL_TASK_FIELD(identity, "scx.dsq_vtime"),
						KT_KERNEL_U64((late + 1) * HOUR_NS)))));
	(void)write(sleepers.begin[1], "x", 1);
	(void)write(second.begin[1], "x", 1);
	(void)waitpid(pids[0], NULL, 0);
	(void)waitpid(pids[1], NULL, 0);
	*ret_first = turns[0] < turns[1] ? 0 : 1;
	return 0;
}

static int kernel_vtime_run(struct kt_ctx *ctx)
{
	unsigned int first = 9;

	KT_ASSERT_OK(ctx, race(ctx, 0, &first));
	KT_ASSERT_EQ(ctx, first, 1);
	KT_ASSERT_OK(ctx, race(ctx, 1, &first));
	KT_ASSERT_EQ(ctx, first, 0);
	return 0;
}

KTEST(kernel_vtime, .summary = "who runs first follows from the virtual time that was written",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .scheduler = KT_SCHEDULER_REF(vtime_),
      .run = kernel_vtime_run);

/*
 * The same as data: a worker's virtual time goes an hour ahead, and the other worker of its CPU has
 * the CPU from then on.
 */
static int kernel_worker_check(struct kt_ctx *ctx)
{
	uint64_t vtime = 0, nice = 0;

	KT_ASSERT_GT(ctx, kt_step_usage(ctx, 0, "w")->usage_us, 20000);
	KT_ASSERT_LT(ctx, kt_step_usage(ctx, 1, "w")->usage_us, 5000);
	KT_ASSERT_GT(ctx, kt_step_usage(ctx, 1, "rival")->usage_us, 100000);
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "vtime", &vtime));
	KT_ASSERT_GE(ctx, vtime, 2 * HOUR_NS);
	/* The workers of all groups of a cgroup are counted in their order. */
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "last", &nice));
	KT_ASSERT_EQ(ctx, nice, 125);
	return 0;
}

#define ON_CPU_1   KT_EXACT_CPUS(KT_CPUSET_EXACT("1"))
#define VTIME_OF_W KT_KERNEL_WORKER_FIELD("w", 0, "scx.dsq_vtime")

KTEST(kernel_worker, .summary = "a step writes the virtual time of one of its workers",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .scheduler = KT_SCHEDULER_REF(vtime_),
      .duration_ms = 600,
      .steps = KT_STEPS(
	      { KT_SETUP({ .name = "w",
			   .work = KT_WORK(KT_BURSTY, .workers = 1, .burst_us = 10000,
					   .sleep_us = 10000, .affinity = ON_CPU_1) },
			 { .name = "rival",
			   .work = KT_WORK(KT_SPIN_WAIT, .workers = 1, .affinity = ON_CPU_1) }),
		.hold = KT_HOLD_FRAC(0.5) },
	      { KT_OPS(KT_SPAWN("w", KT_BURSTY, .workers = 2, .burst_us = 100, .sleep_us = 900000,
				.nice = 5, .affinity = ON_CPU_1),
		       KT_WRITE_KERNEL_COLD(KT_PUT(VTIME_OF_W, KT_KERNEL_U64(2 * HOUR_NS))),
		       KT_READ_KERNEL_COLD(
			       KT_GET("vtime", VTIME_OF_W, KT_AS_U64),
			       KT_GET("last", KT_KERNEL_WORKER_FIELD("w", 2, "static_prio"),
				      KT_AS_NUMBER),
			       KT_GET("rival", KT_KERNEL_WORKER_FIELD("rival", 0, "comm"),
				      KT_AS_TEXT))),
		.hold = KT_HOLD_FRAC(0.5) }),
      .check = kernel_worker_check);

/* ---- The clock of sched_ext, and memory of a BPF program ------------------------------------- */

/* Wakes a task from CPU 1, where the scheduler then reads its clock. */
static int wake_from_here(struct kt_ctx *ctx, const struct sleepers *sleepers)
{
	unsigned int turn;
	pid_t pid = start_sleeper(sleepers, sleepers->begin[0], &turn, SCHED_OTHER, -1);

	KT_ASSERT_OK(ctx, await_sleep(ctx, pid));
	(void)write(sleepers->begin[1], "x", 1);
	(void)waitpid(pid, NULL, 0);
	return 0;
}

#define FAR_AWAY UINT64_C(0x1234567890ab)

static int kernel_clock_run(struct kt_ctx *ctx)
{
	uint64_t seen = 0, valid = 0;
	struct sleepers sleepers;
	unsigned int turn;

	KT_ASSERT_EQ(ctx, open_sleepers(&sleepers), 0);
	pin(1);
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "SCX_RQ_CLK_VALID", &valid));
	/*
	 * The kernel sets the clock at each tick and each time that it takes the runqueue's lock.
	 * Once more if that has come between.
	 */
	for (int i = 0; i < 20 && seen != FAR_AWAY; i++) {
		pid_t pid = start_sleeper(&sleepers, sleepers.begin[0], &turn, SCHED_OTHER, -1);

		KT_ASSERT_OK(ctx, await_sleep(ctx, pid));
		KT_ASSERT_OK(
			ctx,
			kt_apply(
				ctx,
				KT_WRITE_KERNEL_COLD(
					KT_PUT(KT_KERNEL_PER_CPU_FIELD("runqueues", "scx.clock", 1),
					       KT_KERNEL_U64(FAR_AWAY)),
					KT_PUT(KT_KERNEL_PER_CPU_FIELD("runqueues", "scx.flags", 1),
					       KT_KERNEL_OR_U32(valid)))));
		(void)write(sleepers.begin[1], "x", 1);
		KT_ASSERT_OK(ctx,
			     kt_bpf_read(ctx, KT_BPF("clock.bss", .field = "now_seen"), &seen));
		(void)waitpid(pid, NULL, 0);
	}
	KT_ASSERT_EQ(ctx, seen, FAR_AWAY);
	KT_ASSERT_OK(ctx, wake_from_here(ctx, &sleepers));
	KT_ASSERT_OK(ctx, kt_bpf_read(ctx, KT_BPF("clock.bss", .field = "now_seen"), &seen));
	KT_ASSERT_LT(ctx, seen, FAR_AWAY);
	return 0;
}

KTEST(kernel_clock, .summary = "scx_bpf_now() gives the clock that was written with its flag",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .scheduler = KT_SCHEDULER_REF(clock_),
      .run = kernel_clock_run);

static int kernel_scratch_run(struct kt_ctx *ctx)
{
	uint64_t kva = 0, seen = 0, back = 0;
	struct sleepers sleepers;

	KT_ASSERT_EQ(ctx, open_sleepers(&sleepers), 0);
	pin(1);
	KT_ASSERT_OK(ctx, wake_from_here(ctx, &sleepers));
	KT_ASSERT_OK(ctx, kt_bpf_read(ctx, KT_BPF("clock.bss", .field = "scratch_kva"), &kva));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_HOT(
						KT_PUT(KT_KERNEL_KVA(kva), KT_KERNEL_U64(4711)))));
	KT_ASSERT_OK(ctx, wake_from_here(ctx, &sleepers));
	KT_ASSERT_OK(ctx, kt_bpf_read(ctx, KT_BPF("clock.bss", .field = "scratch_seen"), &seen));
	KT_ASSERT_EQ(ctx, seen, 4711);
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_KERNEL_COLD(
						KT_PUT(KT_KERNEL_KVA(kva),
						       KT_KERNEL_OR_U64(UINT64_C(1) << 40)))));
	KT_ASSERT_OK(ctx, kt_bpf_read(ctx, KT_BPF("clock.bss", .field = "scratch"), &seen));
	KT_ASSERT_EQ(ctx, seen, (UINT64_C(1) << 40) | 4711);
	KT_ASSERT_OK(ctx, kt_bpf_write(ctx, KT_BPF("clock.bss", .field = "scratch"), 12));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_READ_KERNEL_HOT(
						KT_GET("back", KT_KERNEL_KVA(kva), KT_AS_U64))));
	KT_ASSERT(ctx, kt_kernel_captured(ctx, "back", &back));
	KT_ASSERT_EQ(ctx, back, 12);
	return 0;
}

KTEST(kernel_scratch, .summary = "memory of vmalloc(), as that of a BPF program, is written",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .scheduler = KT_SCHEDULER_REF(clock_),
      .run = kernel_scratch_run);

/* ---- All CPUs at one moment ------------------------------------------------------------------ */

#define CLOCKS(tag)                                                                                \
	KT_GET(tag "0", KT_KERNEL_PER_CPU_FIELD("runqueues", "clock", 0), KT_AS_U64),              \
		KT_GET(tag "1", KT_KERNEL_PER_CPU_FIELD("runqueues", "clock", 1), KT_AS_U64),      \
		KT_GET(tag "2", KT_KERNEL_PER_CPU_FIELD("runqueues", "clock", 2), KT_AS_U64),      \
		KT_GET(tag "3", KT_KERNEL_PER_CPU_FIELD("runqueues", "clock", 3), KT_AS_U64)

/* Takes the host some milliseconds, in which the clock of a CPU that runs goes on. */
#define TEXT  KT_GET("text", KT_KERNEL_PATH("init_task"), KT_AS_TEXT)
#define TEXTS TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT

static int compare_clocks(struct kt_ctx *ctx)
{
	static const char *const tags[][2] = {
		{ "a0", "b0" }, { "a1", "b1" }, { "a2", "b2" }, { "a3", "b3" }
	};

	for (size_t i = 0; i < 4; i++) {
		uint64_t a = 0, b = 1;

		KT_ASSERT(ctx, kt_kernel_captured(ctx, tags[i][0], &a));
		KT_ASSERT(ctx, kt_kernel_captured(ctx, tags[i][1], &b));
		KT_ASSERT_GT(ctx, a, 0);
		KT_ASSERT_EQ(ctx, a, b);
	}
	return 0;
}

#define ALL_CPUS_STEPS                                                                             \
	KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_YIELD_HEAVY, .workers = 8) }),       \
		   .hold = KT_HOLD_MS(50) },                                                       \
		 { KT_OPS(KT_SPAWN("w", KT_YIELD_HEAVY, .workers = 1),                             \
			  KT_READ_KERNEL_COLD(CLOCKS("a"), TEXTS, TEXTS, TEXTS, TEXTS,             \
					      CLOCKS("b"))),                                       \
		   .hold = KT_HOLD_MS(50) })

KTEST(kernel_all_cpus, .summary = "a cold batch over all CPUs is of one moment",
      .topology = { .llcs = 1, .cores = 4, .threads = 1 }, .duration_ms = 100,
      .steps = ALL_CPUS_STEPS, .check = compare_clocks);

KTEST(kernel_all_cpus_real, .summary = "a cold batch stops a machine that runs in real time",
      .topology = { .llcs = 1, .cores = 4, .threads = 1 }, .duration_ms = 100, .time = KT_REAL_TIME,
      .steps = ALL_CPUS_STEPS, .check = compare_clocks);

/* In real time nothing stands still for a hot write, so bits need RAM that is shared. */
static int kernel_hot_bits_run(struct kt_ctx *ctx)
{
	struct kt_err err = KT_ERR_NULL;
	const struct kt_kernel_pair pairs[] = {
		KT_PUT(KT_KERNEL_PATH("task(1).personality"), KT_KERNEL_OR_U32(0x0040000)),
		{ .end = true },
	};
	uint64_t before = 0, after = 0;
	int r;

	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "task(1).personality", &before));
	r = kt_kernel_pairs_apply(ctx, pairs, true, false, &err);
	KT_ASSERT_OK(ctx, kt_kernel_read(ctx, "task(1).personality", &after));
	if (r == 0) {
		KT_ASSERT_EQ(ctx, after, before | 0x0040000);
		return 0;
	}
	KT_ASSERT_EQ(ctx, r, -EOPNOTSUPP);
	KT_ASSERT(ctx, strstr(err.text, "write it cold"));
	KT_ASSERT_EQ(ctx, after, before);
	return 0;
}

KTEST(kernel_hot_bits, .summary = "bits are set in one step, or not at all", .time = KT_REAL_TIME,
      .run = kernel_hot_bits_run);
