/* SPDX-License-Identifier: MIT */
/*
 * Snapshots of the machine: what a report says is compared with what the guest knows itself, and
 * views and series of it are read in the guest and on the host.
 */
#include "tests/suites/schedulers.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/suites/look.h"
#include "wire/hostcall.h"

KT_SCHEDULER(snapshot_global, .object = FIXTURE("global"));
KT_SCHEDULER(snapshot_fifo, .object = FIXTURE("fifo"));
KT_SCHEDULER(snapshot_fault, .object = FIXTURE("fault"));

#define SPINNERS(n)                                                                                \
	.backdrop = { KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = (n)) }) }

/*
 * This program makes the request in virtual time by a host call. It is at that instruction, and
 * the status flags are not told there.
 */
static int check_own_registers(struct kt_ctx *ctx, struct kt_view cpu)
{
	static const struct __attribute__((packed)) {
		uint16_t opcode;
		uint32_t displacement, value;
	} bell = { KT_HOSTCALL_OPCODE, KT_HOSTCALL_DISPLACEMENT, KT_HOSTCALL_BELL };
	uint64_t rip, rsp, rflags, stack = (uintptr_t)&rip;
	char mode[16];

	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(cpu, "mode"), mode, sizeof(mode)));
	KT_ASSERT_STREQ(ctx, mode, "user");
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(cpu, "registers.rip"), &rip));
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(cpu, "registers.rsp"), &rsp));
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(cpu, "registers.rflags"), &rflags));
	KT_ASSERT(ctx, !memcmp((const void *)(uintptr_t)rip, &bell, sizeof(bell)));
	KT_EXPECT_EQ(ctx, rflags & 0x8d5, 0); /* CF, PF, AF, ZF, SF, OF */
	KT_EXPECT_LT(ctx, rsp > stack ? rsp - stack : stack - rsp, 64 << 10);
	return 0;
}

/* In virtual time the machine stands at the request: whoever asks runs. */
static int check_asking(struct kt_ctx *ctx, struct kt_view report, const char *state)
{
	struct kt_view cpu = kt_view_find(kt_view_get(report, "cpus"), "task.pid", getpid());
	char class[16];

	KT_ASSERT_STREQ(ctx, state, "R");
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(cpu, "task.class"), class, sizeof(class)));
	KT_ASSERT_STREQ(ctx, class, "fair");
	KT_ASSERT_EQ(ctx, check_own_registers(ctx, cpu), 0);
	return 0;
}

/*
 * In real time the machine stands when the host has read the request: whoever asks is somewhere in
 * the system calls by which it does so, or waits for the answer. Its registers are of that mode.
 */
static int check_asked(struct kt_ctx *ctx, struct kt_view report, const char *state)
{
	struct kt_view cpu = kt_view_find(kt_view_get(report, "cpus"), "task.pid", getpid());
	char mode[16];
	uint64_t rip;

	KT_ASSERT(ctx, !strcmp(state, "R") || !strcmp(state, "S"));
	if (kt_view_check(kt_view_get(cpu, "mode"), KT_VIEW_AS_TEXT, NULL, 0) != KT_VIEW_OK)
		return 0;
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(cpu, "mode"), mode, sizeof(mode)));
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(cpu, "registers.rip"), &rip));
	KT_ASSERT_STREQ(ctx, mode, rip >> 63 ? "kernel" : "user");
	return 0;
}

/* ---- The machine without a scheduler ---- */

static int snapshot_machine_run(struct kt_ctx *ctx)
{
	bool is_virtual = !strcmp(getenv("KTESTS_TIME"), "virtual");
	struct kt_view task, report = kt_snapshot(ctx, "now");
	uint64_t n = 0, pid = 0, managed = 0, user = 0;
	char text[128];

	KT_ASSERT_OK(ctx, kt_capture(ctx, "now"));
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(report, "schema"), text, sizeof(text)));
	KT_ASSERT_STREQ(ctx, text, "ktest-snapshot");
	KT_ASSERT_OK(ctx, kt_as_count(kt_view_get(report, "runqueues"), &n));
	KT_ASSERT_EQ(ctx, n, (uint64_t)sysconf(_SC_NPROCESSORS_CONF));
	task = kt_view_find(kt_view_get(report, "tasks"), "pid", getpid());
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(task, "comm"), text, sizeof(text)));
	KT_ASSERT_CONTAINS(ctx, text, "ktest-init");
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(task, "state"), text, sizeof(text)));
	KT_ASSERT_EQ(ctx, (is_virtual ? check_asking : check_asked)(ctx, report, text), 0);
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(report, "nodes.0.managed"), &managed));
	/* MemTotal changes little after the boot. */
	KT_ASSERT_GE(ctx, managed, (uint64_t)sysconf(_SC_PHYS_PAGES) * 99 / 100);
	KT_ASSERT_LE(ctx, managed, (uint64_t)sysconf(_SC_PHYS_PAGES) * 101 / 100);
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(report, "cpu_time.0.user"), &user));
	KT_ASSERT_OK(ctx,
		     kt_as_u64(kt_view_get(kt_view_max(kt_view_get(report, "tasks"), "pid"), "pid"),
			       &pid));
	KT_ASSERT_GE(ctx, pid, getpid());
	return 0;
}

KTEST(snapshot_machine, .summary = "a report agrees with what the guest knows of itself",
      .run = snapshot_machine_run);

/* Pages of a node by its meminfo: "Node 1 MemTotal:  252928 kB". */
static uint64_t node_pages(unsigned int node, const char *name)
{
	char text[LOOK_LEN];
	const char *at = strstr(look(text, "/sys/devices/system/node/node%u/meminfo", node), name);

	return at ? strtoull(at + strlen(name), NULL, 10) * 1024 / (uint64_t)sysconf(_SC_PAGESIZE)
		  : 0;
}

static int snapshot_nodes_run(struct kt_ctx *ctx)
{
	struct kt_view nodes = kt_view_get(kt_snapshot(ctx, "now"), "nodes");
	uint64_t n = 0;

	KT_ASSERT_OK(ctx, kt_capture(ctx, "now"));
	KT_ASSERT_OK(ctx, kt_as_count(nodes, &n));
	KT_ASSERT_EQ(ctx, n, 2);
	for (unsigned int i = 0; i < n; i++) {
		struct kt_view node = kt_view_at(nodes, i);
		uint64_t total = node_pages(i, "MemTotal:"), managed = 0, present = 0,
			 free_pages = 0;

		KT_ASSERT_GT(ctx, total, 0);
		KT_ASSERT_LT(ctx, total, (uint64_t)sysconf(_SC_PHYS_PAGES));
		KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(node, "managed"), &managed));
		KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(node, "present"), &present));
		KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(node, "free"), &free_pages));
		KT_EXPECT_EQ(ctx, managed, total);
		KT_EXPECT_GE(ctx, present, managed);
		KT_EXPECT_LE(ctx, free_pages, managed);
		/* What has happened between the snapshot and the look at it is little. */
		KT_EXPECT_LT(ctx, labs((long)free_pages - (long)node_pages(i, "MemFree:")), 2048);
	}
	return 0;
}

KTEST(snapshot_nodes, .summary = "each NUMA node has the pages that the guest counts there",
      .topology = { .numa_nodes = 2, .llcs = 2, .cores = 1, .threads = 1 },
      .run = snapshot_nodes_run);

/* What /proc has of one CPU: times of /proc/stat in ns, and softirqs. */
struct cpu_numbers {
	uint64_t user, system, timers, sched;
};

/* The column of a CPU in a line of /proc/softirqs, as "TIMER:  17  24". */
static uint64_t softirqs_of(const char *text, const char *line, unsigned int cpu)
{
	char *at = strstr(text, line);
	uint64_t number = 0;

	at = at ? strchr(at, ':') + 1 : NULL;
	for (unsigned int i = 0; at && i <= cpu; i++)
		number = strtoull(at, &at, 10);
	return number;
}

static struct cpu_numbers read_numbers(unsigned int cpu)
{
	const uint64_t tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	unsigned long long user = 0, nice, system = 0;
	struct cpu_numbers numbers;
	char text[LOOK_LEN], name[16];
	const char *at;

	(void)snprintf(name, sizeof(name), "cpu%u ", cpu);
	at = strstr(look(text, "/proc/stat"), name);
	if (at)
		(void)sscanf(at + strlen(name), "%llu %llu %llu", &user, &nice, &system);
	numbers = (struct cpu_numbers){ .user = user * tick_ns, .system = system * tick_ns };
	(void)look(text, "/proc/softirqs");
	numbers.timers = softirqs_of(text, " TIMER:", cpu);
	numbers.sched = softirqs_of(text, " SCHED:", cpu);
	return numbers;
}

/* A number of the snapshot lies between what the guest has read before and behind it. */
static int check_between(struct kt_ctx *ctx, struct kt_view cpu, const char *path, uint64_t before,
			 uint64_t after)
{
	uint64_t number = 0;

	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(cpu, path), &number));
	KT_EXPECT_GE(ctx, number, before);
	KT_EXPECT_LE(ctx, number, after);
	KT_EXPECT_GT(ctx, number, 0);
	return 0;
}

static int snapshot_cpu_time_run(struct kt_ctx *ctx)
{
	struct kt_view cpus = kt_view_get(kt_snapshot(ctx, "now"), "cpu_time");
	struct cpu_numbers before[2], after;
	const uint64_t tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);

	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_ADD_CGROUP_DEF("w", .work = KT_WORK(KT_SPIN_WAIT))));
	KT_ASSERT_OK(ctx, kt_hold_ms(ctx, 200));
	for (unsigned int i = 0; i < 2; i++)
		before[i] = read_numbers(i);
	KT_ASSERT_OK(ctx, kt_capture(ctx, "now"));
	for (unsigned int i = 0; i < 2; i++) {
		struct kt_view cpu = kt_view_at(cpus, i);

		after = read_numbers(i);
		/* /proc rounds times down. */
		KT_ASSERT_EQ(ctx,
			     check_between(ctx, cpu, "user", before[i].user, after.user + tick_ns),
			     0);
		KT_ASSERT_EQ(
			ctx,
			check_between(ctx, cpu, "system", before[i].system, after.system + tick_ns),
			0);
		KT_ASSERT_EQ(
			ctx,
			check_between(ctx, cpu, "softirqs.timer", before[i].timers, after.timers),
			0);
		KT_ASSERT_EQ(
			ctx,
			check_between(ctx, cpu, "softirqs.sched", before[i].sched, after.sched), 0);
	}
	return 0;
}

KTEST(snapshot_cpu_time, .summary = "times and softirqs of each CPU are those of /proc",
      .topology = { .llcs = 1, .cores = 2, .threads = 1 }, .run = snapshot_cpu_time_run);

/* Whether an element of a stack begins with a function's name. */
static bool has_frame(struct kt_view stack, const char *function)
{
	uint64_t n = 0;
	char text[128];

	if (kt_as_count(stack, &n) < 0)
		return false;
	for (unsigned int i = 0; i < n; i++) {
		if (kt_as_text(kt_view_at(stack, i), text, sizeof(text)) == 0 &&
		    !strncmp(text, function, strlen(function)))
			return true;
	}
	return false;
}

/* A child that waits in pause(): its stack is what the kernel itself says in /proc. */
static int check_stack(struct kt_ctx *ctx, pid_t child)
{
	struct kt_view stack = kt_view_get(
		kt_view_find(kt_view_get(kt_snapshot(ctx, "asleep"), "tasks"), "pid", child),
		"stack");
	char path[64], line[256], function[128];
	unsigned int n = 0;
	FILE *file;

	KT_ASSERT_OK(ctx, kt_capture(ctx, "asleep"));
	(void)snprintf(path, sizeof(path), "/proc/%d/stack", (int)child);
	file = fopen(path, "r");
	KT_ASSERT(ctx, file != NULL);
	while (fgets(line, sizeof(line), file) && sscanf(line, "[<0>] %127[^+]", function) == 1) {
		if (!has_frame(stack, function)) {
			(void)fclose(file);
			KT_FAIL(ctx, "the report lacks %s", function);
		}
		n++;
	}
	(void)fclose(file);
	/* pause(), the system call, and the entry. */
	KT_ASSERT_GE(ctx, n, 3);
	return 0;
}

static int snapshot_stack_run(struct kt_ctx *ctx)
{
	pid_t child = fork();
	char path[64], state = 0;
	int r;

	if (!child) {
		for (;;)
			(void)pause();
	}
	KT_ASSERT_GT(ctx, child, 0);
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
	while (state != 'S') {
		FILE *file = fopen(path, "r");

		KT_ASSERT(ctx, file && fscanf(file, "%*d %*s %c", &state) == 1);
		(void)fclose(file);
		(void)sched_yield();
	}
	r = check_stack(ctx, child);
	(void)kill(child, SIGKILL);
	(void)waitpid(child, NULL, 0);
	return r;
}

KTEST(snapshot_stack, .summary = "the stack of a sleeping task is the kernel's own backtrace",
      .run = snapshot_stack_run);

/* PID 1 waits for the answer in real time, so that sooner or later a CPU is idle. */
static int snapshot_registers_run(struct kt_ctx *ctx)
{
	struct kt_view cpu =
		kt_view_find(kt_view_get(kt_snapshot(ctx, "idle"), "cpus"), "task.pid", 0);
	uint64_t page_table = 0;
	char text[64];

	do {
		KT_ASSERT_OK(ctx, kt_capture(ctx, "idle"));
	} while (kt_view_check(kt_view_get(cpu, "cpu"), KT_VIEW_AS_U64, NULL, 0) != KT_VIEW_OK);
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(cpu, "mode"), text, sizeof(text)));
	KT_ASSERT_STREQ(ctx, text, "kernel");
	KT_ASSERT(ctx, has_frame(kt_view_get(cpu, "stack"), "do_idle"));
	KT_ASSERT(ctx, has_frame(kt_view_get(cpu, "stack"), "cpu_startup_entry"));
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(cpu, "registers.cr3"), &page_table));
	KT_ASSERT_GT(ctx, page_table, 0);
	return 0;
}

KTEST(snapshot_registers, .summary = "a CPU that idles has registers and a whole backtrace",
      .time = KT_REAL_TIME, .run = snapshot_registers_run);

/* One CPU idles, and the other one has made the request. */
static int snapshot_both_run(struct kt_ctx *ctx)
{
	if (strcmp(getenv("KTESTS_TIME"), "virtual"))
		KT_SKIP(ctx, "requests are host calls in virtual time only");
	KT_ASSERT_EQ(ctx, snapshot_registers_run(ctx), 0);
	return check_own_registers(ctx, kt_view_find(kt_view_get(kt_snapshot(ctx, "idle"), "cpus"),
						     "task.pid", getpid()));
}

KTEST(snapshot_registers_of_a_host_call,
      .summary = "so it has while another one waits in a host call", .run = snapshot_both_run);

/* ---- Schedulers ---- */

/* A queue of the enabled scheduler, by its kind. */
static struct kt_view queue_of(struct kt_ctx *ctx, const char *snapshot, const char *kind)
{
	return kt_view_find_text(kt_view_get(kt_snapshot(ctx, snapshot), "scx.queues"), "kind",
				 kind);
}

/*
 * Six spinners share two CPUs: one of them or PID 1 is on each, and the others wait in the only
 * queue, where none but tasks of sched_ext can.
 */
static int check_waiting(struct kt_ctx *ctx, const char *snapshot, const char *kind)
{
	struct kt_view queue = queue_of(ctx, snapshot, kind);
	uint64_t nr = 0, n = 0, pid = 0;
	char text[64];

	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(queue, "nr"), &nr));
	KT_ASSERT_OK(ctx, kt_as_count(kt_view_get(queue, "tasks"), &n));
	KT_ASSERT_GE(ctx, nr, 3);
	KT_ASSERT_EQ(ctx, n, nr);
	for (unsigned int i = 0; i < n; i++) {
		struct kt_view task;
		bool on_cpu = true;
		int64_t age = -1;

		KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(kt_view_at(kt_view_get(queue, "tasks"), i),
							"pid"),
					    &pid));
		task = kt_view_find(kt_view_get(kt_snapshot(ctx, snapshot), "tasks"), "pid",
				    (int64_t)pid);
		KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(task, "class"), text, sizeof(text)));
		KT_ASSERT_STREQ(ctx, text, "ext");
		KT_ASSERT_OK(ctx, kt_as_bool(kt_view_get(task, "on_cpu"), &on_cpu));
		KT_ASSERT(ctx, !on_cpu);
		KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(task, "runnable_for"), &age));
		KT_ASSERT_GE(ctx, age, 0);
		KT_ASSERT_LE(ctx, age, 1000);
	}
	return 0;
}

/* What the program counted before the snapshot, in it, and after it. */
static int check_counter(struct kt_ctx *ctx, const char *snapshot)
{
	struct kt_view view =
		kt_view_variable(kt_view_active(kt_snapshot(ctx, snapshot)), "nr_queued");
	uint64_t before = 0, in = 0, after = 0;

	KT_ASSERT(ctx, kt_bpf_captured(ctx, "before", &before));
	KT_ASSERT(ctx, kt_bpf_captured(ctx, "after", &after));
	KT_ASSERT_OK(ctx, kt_as_u64(view, &in));
	KT_ASSERT_GE(ctx, in, before);
	KT_ASSERT_LE(ctx, in, after);
	KT_ASSERT_GT(ctx, before, 0);
	return 0;
}

static int snapshot_queues_check(struct kt_ctx *ctx)
{
	struct kt_view sched = kt_view_find_text(
		kt_view_get(kt_snapshot(ctx, "busy"), "scx.schedulers"), "name", "fifo");
	bool root = false;
	char text[64];

	KT_ASSERT_OK(ctx, kt_as_bool(kt_view_get(sched, "root"), &root));
	KT_ASSERT(ctx, root);
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(sched, "exit_kind"), text, sizeof(text)));
	KT_ASSERT_STREQ(ctx, text, "SCX_EXIT_NONE");
	KT_ASSERT_OK(ctx, check_waiting(ctx, "busy", "user"));
	return check_counter(ctx, "busy");
}

/* On the host, the same report is there. */
static int snapshot_queues_post(struct kt_ctx *ctx)
{
	uint64_t nr = 0;

	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(queue_of(ctx, "busy", "user"), "nr"), &nr));
	KT_ASSERT_GE(ctx, nr, 3);
	KT_ASSERT_EQ(ctx, kt_view_check(kt_snapshot(ctx, "other"), KT_VIEW_AS_COUNT, NULL, 0),
		     KT_VIEW_NO_SNAPSHOT);
	return 0;
}

#define COUNTED(map)                                                                               \
	KT_OPS(KT_READ_BPF_MAP("before", map, "nr_queued"), KT_CAPTURE_SNAPSHOT("busy"),           \
	       KT_READ_BPF_MAP("after", map, "nr_queued"))

KTEST(snapshot_queues, .summary = "tasks that wait in a scheduler's queue are in the report",
      .scheduler = KT_SCHEDULER_REF(snapshot_fifo), .duration_ms = 400, SPINNERS(6),
      .steps = KT_STEPS({ .hold = KT_HOLD_MS(200) },
			{ COUNTED("fifo.bss"), .hold = KT_HOLD_MS(10) }),
      .check = snapshot_queues_check, .post_vm = snapshot_queues_post);

static int snapshot_global_check(struct kt_ctx *ctx)
{
	KT_ASSERT_OK(ctx, check_waiting(ctx, "busy", "global"));
	return check_counter(ctx, "busy");
}

KTEST(snapshot_global_queue, .summary = "so are those in the global queue",
      .scheduler = KT_SCHEDULER_REF(snapshot_global), .duration_ms = 400, SPINNERS(6),
      .steps = KT_STEPS({ .hold = KT_HOLD_MS(200) },
			{ COUNTED("global.bss"), .hold = KT_HOLD_MS(10) }),
      .check = snapshot_global_check);

/* How many tasks wait in a queue of the scheduler's own. */
static int count_waiting(struct kt_ctx *ctx, int64_t id, uint64_t *nr)
{
	struct kt_view queues = kt_view_get(kt_snapshot(ctx, "stalled"), "scx.queues");

	*nr = 0;
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(kt_view_find(queues, "id", id), "nr"), nr));
	return 0;
}

/*
 * The culprits of a stall are in queues that nobody serves, and are the oldest. Those that waited
 * when it began are in the first queue, those that came later in the second.
 */
static int snapshot_stalled_check(struct kt_ctx *ctx)
{
	struct kt_view oldest =
		kt_view_max(kt_view_get(kt_snapshot(ctx, "stalled"), "tasks"), "runnable_for");
	uint64_t before, after;
	int64_t age = 0;
	char text[64];

	KT_ASSERT_OK(ctx, count_waiting(ctx, 0, &before));
	KT_ASSERT_OK(ctx, count_waiting(ctx, 1, &after));
	KT_ASSERT_GE(ctx, before + after, 2);
	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(oldest, "runnable_for"), &age));
	/* 200 ms; jiffies are 4 ms or 1 ms long. */
	KT_ASSERT_GE(ctx, age, 40);
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(oldest, "stack.0"), text, sizeof(text)));
	KT_ASSERT_CONTAINS(ctx, text, "__schedule+");
	return 0;
}

KTEST(snapshot_stalled, .summary = "a snapshot shows who waits in a queue that is not served",
      .scheduler = KT_SCHEDULER_REF(snapshot_fault), .duration_ms = 500, SPINNERS(4),
      .steps = KT_STEPS({ .hold = KT_HOLD_MS(100) },
			{ KT_OPS(KT_WRITE_BPF_MAP("fault.bss", "stall", 1)),
			  .hold = KT_HOLD_MS(300) },
			{ KT_OPS(KT_CAPTURE_SNAPSHOT("stalled"), KT_DETACH_SCHEDULER()) }),
      .check = snapshot_stalled_check);

/* ---- Maps ---- */

static int snapshot_maps_check(struct kt_ctx *ctx)
{
	struct kt_view report = kt_snapshot(ctx, "maps"), cpus;
	uint64_t word = 0, n = 0;
	char text[300];

	cpus = kt_view_at(kt_view_map(report, "per_cpu"), 2);
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(kt_view_cpu(cpus, 1), "word"), &word));
	KT_ASSERT_EQ(ctx, word, 77);
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(kt_view_cpu(cpus, 0), "word"), &word));
	KT_ASSERT_EQ(ctx, word, 0);
	KT_ASSERT_EQ(ctx, kt_view_check(kt_view_get(cpus, "word"), KT_VIEW_AS_U64, NULL, 0),
		     KT_VIEW_NOT_NARROWED);
	KT_ASSERT_EQ(ctx, kt_view_check(kt_view_cpu(cpus, 9), KT_VIEW_AS_U64, NULL, 0),
		     KT_VIEW_NO_CPU);
	KT_ASSERT_OK(ctx, kt_as_count(kt_view_map(report, "per_cpu"), &n));
	KT_ASSERT_EQ(ctx, n, 4);
	KT_ASSERT_EQ(ctx,
		     kt_view_check(kt_view_variable(report, "stalll"), KT_VIEW_AS_U64, text,
				   sizeof(text)),
		     KT_VIEW_NO_VARIABLE);
	KT_ASSERT_CONTAINS(ctx, text, "stall");
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_variable(kt_view_map(kt_view_active(report), ".rodata"),
						     "slice_us"),
				    &n));
	KT_ASSERT_EQ(ctx, n, 20000);
	return 0;
}

KTEST(snapshot_maps, .summary = "per-CPU values, sections and the scheduler's own maps are there",
      .scheduler = KT_SCHEDULER_REF(snapshot_fault), .duration_ms = 200,
      .steps = KT_STEPS({ KT_OPS(KT_WRITE_BPF_MAP_AT(77, "per_cpu", .key = 2, .cpu = 1,
						     .field = "word"),
				 KT_CAPTURE_SNAPSHOT("maps")) }),
      .check = snapshot_maps_check);

/* ---- Periodic ones ---- */

static int snapshot_periodic_check(struct kt_ctx *ctx)
{
	struct kt_view all = kt_periodic(ctx);
	int64_t first = 0, last = 0;

	KT_ASSERT_SERIES(ctx, kt_view_variable(kt_view_active(all), "nr_queued"),
			 KT_STRICTLY_INCREASING);
	KT_ASSERT_SERIES(ctx, kt_view_get(all, "runqueues.0.nr_running"), KT_EACH_AT_LEAST(1));
	KT_ASSERT_SERIES(ctx, kt_view_get(all, "elapsed_ns"), KT_RATE_WITHIN(999999, 1000001));
	KT_ASSERT_SERIES(ctx, kt_view_get(all, "nodes.0.managed"), KT_STEADY_WITHIN(0, 0.001));
	KT_ASSERT_SERIES(ctx, kt_view_get(all, "kernel.cpus"), KT_CONVERGES_TO(2, 0, 5000));
	KT_ASSERT_SERIES(ctx, kt_view_get(all, "runqueues.1.clock"),
			 KT_RATIO_WITHIN(kt_view_get(all, "runqueues.0.clock"), 0.9, 1.1));
	/* The first and the last of seven over 1600 ms: 160 + 160, 160 + 7 * 160. */
	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(kt_snapshot(ctx, "periodic_000"), "elapsed_ns"),
				    &first));
	KT_ASSERT_OK(ctx,
		     kt_as_i64(kt_view_get(kt_snapshot(ctx, "periodic_006"), "elapsed_ns"), &last));
	KT_ASSERT_GE(ctx, last - first, 955000000);
	KT_ASSERT_LE(ctx, last - first, 965000000);
	return 0;
}

KTEST(snapshot_periodic, .summary = "periodic snapshots are on time, and series follow them",
      .scheduler = KT_SCHEDULER_REF(snapshot_fifo), .duration_ms = 1600, .num_snapshots = 7,
      SPINNERS(6), .steps = KT_STEPS({ .hold = KT_HOLD_FRAC(0.4) }, { .hold = KT_HOLD_LOOP(70) }),
      .check = snapshot_periodic_check);

/* ---- The end of a scheduler ---- */

/*
 * When the error is claimed, the scheduler's tasks still wait in its queue, and the CPU that has
 * found the error is where it did; the message comes later.
 */
static int snapshot_exit_check(struct kt_ctx *ctx)
{
	struct kt_view sched = kt_view_get(kt_snapshot(ctx, "exit-claimed"), "scx.schedulers.0");
	struct kt_view told = kt_view_get(kt_snapshot(ctx, "exit-told"), "scx.schedulers.0");
	struct kt_view cpus = kt_view_get(kt_snapshot(ctx, "exit-claimed"), "cpus");
	struct kt_view queue =
		kt_view_find(kt_view_get(kt_snapshot(ctx, "exit-claimed"), "scx.queues"), "id", 0);
	uint64_t nr = 0;
	char text[300];

	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(sched, "exit_kind"), text, sizeof(text)));
	KT_ASSERT_STREQ(ctx, text, "SCX_EXIT_ERROR_BPF");
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(queue, "nr"), &nr));
	KT_ASSERT_GE(ctx, nr, 1);
	KT_ASSERT(ctx, has_frame(kt_view_get(kt_view_at(cpus, 0), "stack"), "scx_bpf_error_bstr") ||
			       has_frame(kt_view_get(kt_view_at(cpus, 1), "stack"),
					 "scx_bpf_error_bstr"));
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(told, "exit_info.msg"), text, sizeof(text)));
	KT_ASSERT_CONTAINS(ctx, text, "the fault scheduler was told to fail with 7");
	return 0;
}

KTEST(snapshot_exit,
      .summary = "the machine is captured when a scheduler errs, and when it says so",
      .scheduler = KT_SCHEDULER_REF(snapshot_fault), .duration_ms = 400, SPINNERS(6),
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_BPF },
      .steps = KT_STEPS({ .hold = KT_HOLD_MS(100) },
			{ KT_OPS(KT_WRITE_BPF_MAP("fault.bss", "error", 7),
				 KT_AWAIT_SCHEDULER_EXIT(20000)),
			  .hold = KT_HOLD_MS(50) }),
      .check = snapshot_exit_check);
