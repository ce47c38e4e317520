/* SPDX-License-Identifier: MIT */
/*
 * The story of each fault of the scheduler "fault": the culprit, its queue and its CPU are what the
 * test knows them to be.
 */
#include "tests/suites/schedulers.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/suites/look.h"
#include "tests/suites/watchdog.h"

#define TWO_CPUS .topology = { .llcs = 1, .cores = 2, .threads = 1 }
#define AWAIT_MS 20000

#define QUEUE        0 /* queues of fault.bpf.c */
#define NEVER_SERVED 1
#define STARVED      2
#define WATCHDOG_MS  1000
#define MSEC         INT64_C(1000000)

KT_SCHEDULER(story_fault, .object = FIXTURE("fault"));
KT_SCHEDULER(story_starves, .object = FIXTURE("fault"), .args = KT_ARGS("starve_ms=100000"));

#define TELL(field, number) KT_WRITE_BPF_MAP("fault.bss", field, number)

static struct kt_view story_of(struct kt_ctx *ctx, const char *snapshot)
{
	return kt_view_get(kt_snapshot(ctx, snapshot), "story");
}

/* Expects a text or a number at a path of a story. */
#define EXPECT_TEXT(story, path, expected)                                                         \
	do {                                                                                       \
		char text_[300];                                                                   \
		KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(story, path), text_, sizeof(text_)));     \
		KT_EXPECT_STREQ(ctx, text_, expected);                                             \
	} while (0)
#define EXPECT_NUMBER(story, path, expected)                                                       \
	do {                                                                                       \
		int64_t number_ = 0;                                                               \
		KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(story, path), &number_));                  \
		KT_EXPECT_EQ(ctx, number_, expected);                                              \
	} while (0)
#define EXPECT_NULL(story, path)                                                                   \
	KT_EXPECT(ctx, kt_view_check(kt_view_get(story, path), KT_VIEW_AS_I64, NULL, 0) != 0)

/* ---- Starvation ---- */

/* The tasks of a cgroup on CPU 1, which nothing else uses, wait in a queue that is not served. */
static int starve(struct kt_ctx *ctx)
{
	const pid_t *pids;
	struct stat st;
	int64_t pid = 0, waited_ns = 0, watchdog_ns = 0;
	size_t n;

	KT_ASSERT_OK(ctx,
		     kt_apply(ctx, KT_ADD_CGROUP_DEF("a", .cpuset = KT_CPUSET_EXACT("1"),
						     .work = KT_WORK(KT_SPIN_WAIT, .workers = 1))));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_CAPTURE_CGROUP_THREADS("starved", "a")));
	pids = kt_captured(ctx, "starved", &n);
	KT_ASSERT_EQ(ctx, n, 1);
	KT_ASSERT_EQ(ctx, stat(LOOK_ROOT "a", &st), 0);
	KT_ASSERT_OK(ctx, kt_apply(ctx, TELL("starve_cgroup", st.st_ino)));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)));
	KT_ASSERT_OK(ctx,
		     kt_as_i64(kt_view_get(story_of(ctx, "exit-claimed"), "culprit.pid"), &pid));
	KT_EXPECT_EQ(ctx, pid, (int64_t)pids[0]);
	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(story_of(ctx, "exit-claimed"), "culprit.waited_ns"),
				    &waited_ns));
	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(story_of(ctx, "exit-claimed"), "watchdog_ns"),
				    &watchdog_ns));
	KT_EXPECT_EQ(ctx, watchdog_ns, scaled_watchdog_ms(ctx, WATCHDOG_MS) * MSEC);
	KT_EXPECT_GE(ctx, waited_ns, watchdog_ns);
	KT_EXPECT_LT(ctx, waited_ns, 3 * watchdog_ns);
	return 0;
}

static int starved_run(struct kt_ctx *ctx)
{
	struct kt_view claimed = story_of(ctx, "exit-claimed"), told = story_of(ctx, "exit-told");

	KT_ASSERT_OK(ctx, starve(ctx));
	EXPECT_TEXT(claimed, "scheduler", "fault");
	EXPECT_TEXT(claimed, "kind", "SCX_EXIT_ERROR_STALL");
	EXPECT_TEXT(claimed, "culprit.comm", "SpinWait");
	EXPECT_TEXT(claimed, "culprit.class", "ext");
	EXPECT_NUMBER(claimed, "culprit.cpu", 1);
	EXPECT_TEXT(claimed, "culprit.queue.kind", "user");
	EXPECT_NUMBER(claimed, "culprit.queue.id", STARVED);
	EXPECT_NUMBER(claimed, "culprit.queue.nr", 1);
	/* Its cause depends on what has just come to CPU 1; sample story_task_is_starved has it. */
	EXPECT_TEXT(claimed, "found_in.0", "scx_watchdog_workfn");
	/* The kernel names the same task. */
	EXPECT_TEXT(told, "reason", "runnable task stall");
	EXPECT_TEXT(told, "culprit.comm", "SpinWait");
	EXPECT_NUMBER(told, "culprit.queue.id", STARVED);
	return 0;
}

KTEST(story_starved, .summary = "the story of a starved task: who, how long, in which queue",
      TWO_CPUS, .scheduler = KT_SCHEDULER_REF(story_starves), .watchdog_ms = WATCHDOG_MS,
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_STALL }, .run = starved_run);

/* ---- A stall of all ---- */

/*
 * The culprit is in the queue that the story says, at that place. Tasks that were queued before the
 * stall began wait in QUEUE, the others in NEVER_SERVED.
 */
static int check_place(struct kt_ctx *ctx, struct kt_view story)
{
	struct kt_view queues = kt_view_get(kt_snapshot(ctx, "exit-claimed"), "scx.queues");
	int64_t id = -1, place = -1, pid = -1;
	char path[32];

	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(story, "culprit.pid"), &pid));
	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(story, "culprit.queue.id"), &id));
	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(story, "culprit.queue.place"), &place));
	KT_ASSERT(ctx, id == QUEUE || id == NEVER_SERVED);
	(void)snprintf(path, sizeof(path), "tasks.%d.pid", (int)place);
	EXPECT_NUMBER(kt_view_find(queues, "id", id), path, pid);
	return 0;
}

static int stalled_check(struct kt_ctx *ctx)
{
	struct kt_view claimed = story_of(ctx, "exit-claimed");
	int64_t jiffies = 0, longest = 0;

	EXPECT_TEXT(claimed, "kind", "SCX_EXIT_ERROR_STALL");
	EXPECT_TEXT(story_of(ctx, "exit-told"), "reason", "runnable task stall");
	EXPECT_TEXT(claimed, "culprit.queue.kind", "user");
	KT_ASSERT_EQ(ctx, check_place(ctx, claimed), 0);
	EXPECT_TEXT(claimed, "culprit.cause", "forgotten");
	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(claimed, "culprit.waited_jiffies"), &jiffies));
	KT_ASSERT_OK(ctx,
		     kt_as_i64(kt_view_get(kt_view_max(kt_view_get(kt_snapshot(ctx, "exit-claimed"),
								   "tasks"),
						       "runnable_for"),
					   "runnable_for"),
			       &longest));
	KT_EXPECT_EQ(ctx, jiffies, longest);
	return 0;
}

KTEST(story_stalled, .summary = "the story of a scheduler that dispatches nothing", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(story_fault), .duration_ms = 400, .watchdog_ms = 500,
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_STALL },
      .steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_MIXED, .workers = 3) }),
			  .hold = KT_HOLD_MS(50) },
			{ KT_OPS(TELL("stall", 1), KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)) }),
      .check = stalled_check);

/* ---- A task of another class ---- */

static int taken_check(struct kt_ctx *ctx)
{
	struct kt_view claimed = story_of(ctx, "exit-claimed");
	struct kt_view cpu = kt_view_find(kt_view_get(claimed, "cpus"), "cpu", 1);

	EXPECT_TEXT(claimed, "culprit.comm", "SpinWait");
	EXPECT_NUMBER(claimed, "culprit.cpu", 1);
	EXPECT_TEXT(claimed, "culprit.cause", "rt");
	EXPECT_TEXT(cpu, "class", "rt");
	EXPECT_TEXT(cpu, "comm", "AluHot");
	return 0;
}

/*
 * The kernel gives tasks of sched_ext 50 ms of each second in spite of a real-time task (ext_server
 * in kernel/sched/ext.c), which ends the stall. The watchdog must find it earlier, also under TCG
 * in real time, where its timeout is three times as long.
 */
#define WATCHDOG_TAKEN_MS 250

KTEST(story_taken, .summary = "that a real-time task has the CPU is not the scheduler's fault",
      TWO_CPUS, .scheduler = KT_SCHEDULER_REF(story_fault), .watchdog_ms = WATCHDOG_TAKEN_MS,
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_STALL },
      .backdrop = { KT_SETUP({ .name = "w",
			       .cpuset = KT_CPUSET_EXACT("1"),
			       .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) }) },
      .steps = KT_STEPS({ .hold = KT_HOLD_MS(50) },
			{ KT_SETUP({ .name = "hog",
				     .cpuset = KT_CPUSET_EXACT("1"),
				     .work = KT_WORK(KT_ALU_HOT, .workers = 1,
						     .sched = { KT_SCHED_FIFO, .priority = 10 }) }),
			  KT_OPS(KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)) }),
      .check = taken_check);

/* ---- Errors ---- */

/* The CPU that the machine stopped on ran a program of the scheduler. */
static int error_check(struct kt_ctx *ctx)
{
	struct kt_view claimed = story_of(ctx, "exit-claimed"), told = story_of(ctx, "exit-told");
	struct kt_view cpu;
	int64_t vcpu = -1, pid = -1;
	char text[128];

	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(kt_snapshot(ctx, "exit-claimed"), "vcpu"), &vcpu));
	EXPECT_NUMBER(claimed, "cpu", vcpu);
	cpu = kt_view_find(kt_view_get(kt_snapshot(ctx, "exit-claimed"), "cpus"), "cpu", vcpu);
	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(cpu, "task.pid"), &pid));
	EXPECT_NUMBER(claimed, "running.pid", pid);
	EXPECT_TEXT(claimed, "kind", "SCX_EXIT_ERROR_BPF");
	EXPECT_TEXT(claimed, "found_in.0", "scx_bpf_error_bstr");
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(claimed, "found_in.1"), text, sizeof(text)));
	KT_EXPECT_CONTAINS(ctx, text, "fault_");
	EXPECT_NULL(claimed, "culprit.pid"); /* nobody has waited */
	EXPECT_TEXT(told, "message", "the fault scheduler was told to fail with 7");
	return 0;
}

#define SPINNERS(n) KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = (n)) })

KTEST(story_error, .summary = "the story of scx_bpf_error(): on which CPU, and in which program",
      TWO_CPUS, .scheduler = KT_SCHEDULER_REF(story_fault), .duration_ms = 400,
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_BPF },
      .steps = KT_STEPS({ SPINNERS(4), .hold = KT_HOLD_MS(50) },
			{ KT_OPS(TELL("error", 7), KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)) }),
      .check = error_check);

/*
 * The first task that may use one CPU alone is sent to the other: a worker, or one of the kernel's
 * threads that are bound to a CPU.
 */
static int forbidden_check(struct kt_ctx *ctx)
{
	struct kt_view told = story_of(ctx, "exit-told"), task;
	int64_t pid = 0, cpu = 0;

	EXPECT_TEXT(told, "kind", "SCX_EXIT_ERROR");
	EXPECT_TEXT(told, "reason", "runtime error");
	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(told, "culprit.cpu"), &cpu));
	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(told, "culprit.pid"), &pid));
	EXPECT_NUMBER(told, "culprit.target_cpu", 1 - cpu);
	task = kt_view_find(kt_view_get(kt_snapshot(ctx, "exit-claimed"), "tasks"), "pid", pid);
	EXPECT_TEXT(task, "cpus", cpu ? "0x2" : "0x1");
	return 0;
}

KTEST(story_forbidden, .summary = "the story of a task that is sent to a CPU it may not use",
      TWO_CPUS, .scheduler = KT_SCHEDULER_REF(story_fault), .duration_ms = 400,
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR },
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .cpuset = KT_CPUSET_EXACT("1"),
				     .work = KT_WORK(KT_YIELD_HEAVY, .workers = 3) }),
			  .hold = KT_HOLD_MS(50) },
			{ KT_OPS(TELL("wrong_cpu", 1), KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)) }),
      .check = forbidden_check);

/* ---- Ends without an error, and while a scheduler ends ---- */

static pid_t find_process(const char *name)
{
	char text[LOOK_LEN];

	for (pid_t pid = 2; pid < 4096; pid++)
		if (!strcmp(look(text, "/proc/%d/comm", pid), name))
			return pid;
	return -1;
}

/*
 * A killed program takes its scheduler along: no error is told, as there was none, but who was
 * killed, and where, while all tasks still are in the scheduler's queues.
 */
static int check_killed(struct kt_ctx *ctx, pid_t pid)
{
	struct kt_view report = kt_snapshot(ctx, "program-killed"), task;
	struct kt_view story = kt_view_get(report, "story");
	int64_t vcpu = -1;

	KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(report, "vcpu"), &vcpu));
	EXPECT_TEXT(report, "reason", "program-killed");
	EXPECT_TEXT(story, "scheduler", "fault");
	EXPECT_TEXT(story, "kind", "SCX_EXIT_UNREG");
	EXPECT_NUMBER(story, "cpu", vcpu);
	EXPECT_NUMBER(story, "running.pid", pid);
	EXPECT_TEXT(story, "found_in.0", "bpf_scx_unreg");
	EXPECT_NUMBER(story, "culprit.pid", pid);
	EXPECT_TEXT(story, "culprit.comm", "story_fault");
	EXPECT_NUMBER(story, "culprit.cpu", vcpu);
	EXPECT_TEXT(story, "culprit.queue.kind", "running");
	EXPECT_TEXT(story, "culprit.cause", "killed");
	task = kt_view_find_text(kt_view_get(report, "tasks"), "comm", "SpinWait");
	EXPECT_TEXT(task, "class", "ext");
	return 0;
}

static int killed_run(struct kt_ctx *ctx)
{
	pid_t pid = find_process("story_fault");

	KT_ASSERT_GT(ctx, pid, 0);
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_ADD_CGROUP_DEF(
						"w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 4))));
	KT_ASSERT_EQ(ctx, kill(pid, SIGKILL), 0);
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)));
	KT_ASSERT_EQ(ctx, kt_scheduler_ended(ctx)->kind, KT_SCX_EXIT_UNREG);
	KT_EXPECT_EQ(ctx,
		     kt_view_check(kt_snapshot(ctx, "exit-claimed"), KT_VIEW_AS_COUNT, NULL, 0),
		     KT_VIEW_NO_SNAPSHOT);
	KT_ASSERT_EQ(ctx, check_killed(ctx, pid), 0);
	KT_ASSERT_OK(ctx, kt_capture(ctx, "after"));
	KT_EXPECT_NE(ctx,
		     kt_view_check(kt_view_get(story_of(ctx, "after"), "scheduler"),
				   KT_VIEW_AS_TEXT, NULL, 0),
		     KT_VIEW_OK);
	return 0;
}

KTEST(story_killed, .summary = "a scheduler whose program is killed has made no error", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(story_fault),
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_UNREG }, .run = killed_run);

/*
 * The error comes while the scheduler's process is about to detach it, or the other way round: the
 * kernel takes the first as the end. If it was the error, the story is its.
 */
static int detached_run(struct kt_ctx *ctx)
{
	pid_t pid = find_process("story_fault");
	const struct kt_scheduler_end *end;

	KT_ASSERT_GT(ctx, pid, 0);
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_ADD_CGROUP_DEF(
						"w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 4))));
	KT_ASSERT_OK(ctx, kt_apply(ctx, TELL("error", 7)));
	KT_ASSERT_EQ(ctx, kill(pid, SIGTERM), 0);
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)));
	end = kt_scheduler_ended(ctx);
	KT_ASSERT(ctx, end);
	if (end->kind != KT_SCX_EXIT_ERROR_BPF) {
		KT_EXPECT_EQ(ctx, end->kind, KT_SCX_EXIT_UNREG);
		KT_EXPECT_EQ(
			ctx,
			kt_view_check(kt_snapshot(ctx, "exit-claimed"), KT_VIEW_AS_COUNT, NULL, 0),
			KT_VIEW_NO_SNAPSHOT);
		return 0;
	}
	return error_check(ctx);
}

KTEST(story_detached, .summary = "the story of an error in the midst of a detach", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(story_fault),
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ANY }, .run = detached_run);
