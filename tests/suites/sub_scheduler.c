/* SPDX-License-Identifier: MIT */
/*
 * Sub-schedulers: a scheduler that has the tasks of a cgroup, below the root scheduler (Linux 7.3).
 * Walks list both, and an error of the lower one is captured and told as its own, while the upper
 * one goes on.
 */
#include "tests/suites/schedulers.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schedulers/loader.h"
#include "tests/suites/look.h"

#define TWO_CPUS     .topology = { .llcs = 1, .cores = 2, .threads = 1 }
#define END_MS       20000
#define HOLD_MS      100
#define WATCHDOG_MS  1000
#define NEVER_SERVED 1 /* a queue of child.bpf.c */

KT_SCHEDULER(sub_parent, .object = FIXTURE("parent"));
KT_SCHEDULER(sub_child, .object = FIXTURE("child"));

#define FAMILY                                                                                     \
	TWO_CPUS, .scheduler = KT_SCHEDULER_REF(sub_parent),                                       \
		  .schedulers = KT_SCHEDULERS(KT_SCHEDULER_REF(sub_child))

/* ---- The child ---- */

static int load(const char *cgroup, int err)
{
	const char *const variables[] = { cgroup, NULL };
	const struct kt_loader loader = { .object = "/schedulers/sub_child/child.bpf.o",
					  .variables = variables,
					  .watchdog_ms = WATCHDOG_MS,
					  .hurry = true };

	(void)dup2(err, STDERR_FILENO);
	(void)close(err);
	return kt_loader_run(&loader);
}

/* What the loader says until it has attached the scheduler, or until it has ended. */
static void read_until_attached(int fd, char *text, size_t room)
{
	size_t len = 0;
	ssize_t n;

	do {
		n = read(fd, text + len, room - 1 - len);
		len += n > 0 ? (size_t)n : 0;
		text[len] = '\0';
	} while (n > 0 && len < room - 1 && !strstr(text, "is attached\n"));
}

/* Attaches the child to the cgroup "sub"; its process holds it there. */
static int attach_child(struct kt_ctx *ctx, pid_t *ret_pid)
{
	char cgroup[64], text[4096];
	struct stat st;
	int fds[2];

	KT_ASSERT_EQ(ctx, stat(LOOK_ROOT "sub", &st), 0);
	(void)snprintf(cgroup, sizeof(cgroup), "ops.sub_cgroup_id=%" PRIu64, (uint64_t)st.st_ino);
	KT_ASSERT_EQ(ctx, pipe2(fds, O_CLOEXEC), 0);
	*ret_pid = fork();
	if (*ret_pid == 0)
		_exit(load(cgroup, fds[1]));
	(void)close(fds[1]);
	KT_ASSERT_GT(ctx, *ret_pid, 0);
	read_until_attached(fds[0], text, sizeof(text));
	KT_ASSERT_CONTAINS(ctx, text, "scheduler child is attached");
	return 0; /* the pipe stays open: what the loader says at the end is not of interest */
}

/* How the child's process has ended: enum kt_loader_status, or -1. */
static int await_end(pid_t pid)
{
	struct pollfd end = { .fd = pidfd_open(pid, 0), .events = POLLIN };
	int status = -1;

	if (end.fd >= 0 && poll(&end, 1, END_MS) == 1)
		(void)waitpid(pid, &status, 0);
	(void)close(end.fd);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int attach_to_spinners(struct kt_ctx *ctx, pid_t *ret_pid)
{
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_ADD_CGROUP_DEF("sub", .work = KT_WORK(KT_SPIN_WAIT,
										 .workers = 3))));
	KT_ASSERT_EQ(ctx, attach_child(ctx, ret_pid), 0);
	return kt_hold_ms(ctx, HOLD_MS);
}

static int read_counter(struct kt_ctx *ctx, const char *map, const char *field, uint64_t *ret)
{
	return kt_bpf_read(ctx, KT_BPF(map, .field = field), ret);
}

/* ---- What is listed ---- */

#define EXPECT_TEXT(view, path, expected)                                                          \
	do {                                                                                       \
		char text_[300] = "";                                                              \
		KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(view, path), text_, sizeof(text_)));      \
		KT_EXPECT_STREQ(ctx, text_, expected);                                             \
	} while (0)
#define EXPECT_NUMBER(view, path, expected)                                                        \
	do {                                                                                       \
		int64_t number_ = 0;                                                               \
		KT_ASSERT_OK(ctx, kt_as_i64(kt_view_get(view, path), &number_));                   \
		KT_EXPECT_EQ(ctx, number_, expected);                                              \
	} while (0)

static struct kt_view scheduler_of(struct kt_ctx *ctx, const char *snapshot, const char *name)
{
	return kt_view_find_text(kt_view_get(kt_snapshot(ctx, snapshot), "scx.schedulers"), "name",
				 name);
}

/* The worker has the child as its scheduler, PID 1 the parent; the child has queues of its own. */
static int check_both(struct kt_ctx *ctx)
{
	struct kt_view report = kt_snapshot(ctx, "both"), tasks = kt_view_get(report, "tasks");
	struct kt_view parent = scheduler_of(ctx, "both", "parent");
	struct kt_view child = scheduler_of(ctx, "both", "child");
	struct kt_view queue;
	char parent_at[32], child_at[32];

	EXPECT_NUMBER(parent, "level", 0);
	EXPECT_NUMBER(child, "level", 1);
	EXPECT_TEXT(child, "cgroup", "/ktest/sub");
	EXPECT_TEXT(child, "exit_kind", "SCX_EXIT_NONE");
	EXPECT_NUMBER(kt_view_get(report, "scx.schedulers"), "0.root", 1);
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(parent, "address"), parent_at, sizeof(parent_at)));
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(child, "address"), child_at, sizeof(child_at)));
	KT_EXPECT(ctx, strcmp(parent_at, child_at) != 0);
	EXPECT_TEXT(kt_view_find_text(tasks, "comm", "SpinWait"), "scx.sched", child_at);
	EXPECT_TEXT(kt_view_find(tasks, "pid", 1), "scx.sched", parent_at);
	queue = kt_view_find_text(kt_view_get(report, "scx.queues"), "sched", child_at);
	EXPECT_TEXT(queue, "kind", "bypass"); /* the first of them */
	return 0;
}

static int listed_run(struct kt_ctx *ctx)
{
	uint64_t queued = 0, given = 0;
	pid_t pid;

	KT_ASSERT_EQ(ctx, attach_to_spinners(ctx, &pid), 0);
	KT_ASSERT_OK(ctx, read_counter(ctx, "child.bss", "nr_queued", &queued));
	KT_ASSERT_OK(ctx, read_counter(ctx, "parent.bss", "nr_given", &given));
	KT_EXPECT_GT(ctx, queued, 0);
	KT_EXPECT_GT(ctx, given, 0);
	KT_ASSERT_OK(ctx, kt_capture(ctx, "both"));
	KT_ASSERT_EQ(ctx, check_both(ctx), 0);
	KT_ASSERT_EQ(ctx, kill(pid, SIGTERM), 0);
	KT_ASSERT_EQ(ctx, await_end(pid), KT_LOADER_ENDED);
	KT_ASSERT_OK(ctx, kt_capture(ctx, "after"));
	EXPECT_TEXT(scheduler_of(ctx, "after", "parent"), "exit_kind", "SCX_EXIT_NONE");
	KT_EXPECT_EQ(ctx,
		     kt_view_check(kt_view_get(scheduler_of(ctx, "after", "child"), "level"),
				   KT_VIEW_AS_I64, NULL, 0),
		     KT_VIEW_NO_MATCH);
	return 0;
}

static int no_hits_post(struct kt_ctx *ctx)
{
	size_t n = 1;

	if (kt_vm_failed(ctx))
		return 0;
	(void)kt_freeze_hits(ctx, &n);
	KT_EXPECT_EQ(ctx, n, 0);
	return 0;
}

KTEST(freeze_sub_listed, .summary = "a sub-scheduler is listed below its parent, and leaves it",
      FAMILY, .run = listed_run, .post_vm = no_hits_post);

/* ---- Errors ---- */

/* The error is the child's alone: the parent takes its tasks, and goes on. */
static int check_parent_goes_on(struct kt_ctx *ctx)
{
	uint64_t before = 0, after = 0;
	char text[LOOK_LEN];

	KT_EXPECT_STREQ(ctx, look(text, "/sys/kernel/sched_ext/state"), "enabled");
	KT_EXPECT_STREQ(ctx, look(text, "/sys/kernel/sched_ext/root/ops"), "parent");
	KT_ASSERT_OK(ctx, read_counter(ctx, "parent.bss", "nr_queued", &before));
	KT_ASSERT_OK(ctx, kt_hold_ms(ctx, HOLD_MS));
	KT_ASSERT_OK(ctx, read_counter(ctx, "parent.bss", "nr_queued", &after));
	KT_EXPECT_GT(ctx, after, before);
	return 0;
}

static int error_run(struct kt_ctx *ctx)
{
	struct kt_view claimed = kt_snapshot(ctx, "exit-claimed");
	struct kt_view told = kt_snapshot(ctx, "exit-told");
	pid_t pid;

	KT_ASSERT_EQ(ctx, attach_to_spinners(ctx, &pid), 0);
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_BPF_MAP("child.bss", "error", 7)));
	KT_ASSERT_EQ(ctx, await_end(pid), KT_LOADER_DISABLED);
	EXPECT_TEXT(claimed, "story.scheduler", "child");
	EXPECT_TEXT(claimed, "story.kind", "SCX_EXIT_ERROR_BPF");
	EXPECT_TEXT(claimed, "story.found_in.0", "scx_bpf_error_bstr");
	EXPECT_TEXT(told, "story.scheduler", "child");
	EXPECT_TEXT(told, "story.message", "the child was told to fail with 7");
	EXPECT_TEXT(scheduler_of(ctx, "exit-claimed", "parent"), "exit_kind", "SCX_EXIT_NONE");
	EXPECT_TEXT(scheduler_of(ctx, "exit-claimed", "child"), "exit_kind", "SCX_EXIT_ERROR_BPF");
	return check_parent_goes_on(ctx);
}

/* All hits are the child's, one for each of @reasons, in this order. */
static int check_hits(struct kt_ctx *ctx, const char *const *reasons, size_t n_reasons,
		      const char *kind)
{
	size_t n = 0;
	const struct kt_freeze_hit *hits = kt_freeze_hits(ctx, &n);

	KT_ASSERT_EQ(ctx, n, n_reasons);
	for (size_t i = 0; i < n; i++) {
		KT_EXPECT_STREQ(ctx, hits[i].reason, reasons[i]);
		KT_EXPECT_STREQ(ctx, hits[i].name, "child");
		KT_EXPECT_STREQ(ctx, hits[i].kind, strcmp(reasons[i], "half-watchdog") ? kind : "");
	}
	return 0;
}

static int error_post(struct kt_ctx *ctx)
{
	static const char *const REASONS[] = { "exit-claimed", "exit-told" };

	return kt_vm_failed(ctx) ? 0 : check_hits(ctx, REASONS, 2, "SCX_EXIT_ERROR_BPF");
}

KTEST(story_sub_error, .summary = "an error of a sub-scheduler is captured and told as its own",
      FAMILY, .run = error_run, .post_vm = error_post);

static int stall_run(struct kt_ctx *ctx)
{
	struct kt_view early = kt_snapshot(ctx, "half-watchdog");
	struct kt_view claimed = kt_snapshot(ctx, "exit-claimed");
	struct kt_view told = kt_snapshot(ctx, "exit-told");
	pid_t pid;

	KT_ASSERT_EQ(ctx, attach_to_spinners(ctx, &pid), 0);
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_BPF_MAP("child.bss", "stall", 1)));
	KT_ASSERT_EQ(ctx, await_end(pid), KT_LOADER_DISABLED);
	EXPECT_TEXT(early, "story.culprit.comm", "SpinWait");
	EXPECT_TEXT(scheduler_of(ctx, "half-watchdog", "child"), "exit_kind", "SCX_EXIT_NONE");
	EXPECT_NUMBER(early, "story.culprit.queue.id", NEVER_SERVED);
	EXPECT_TEXT(claimed, "story.scheduler", "child");
	EXPECT_TEXT(claimed, "story.kind", "SCX_EXIT_ERROR_STALL");
	EXPECT_NUMBER(claimed, "story.watchdog_ns", WATCHDOG_MS * INT64_C(1000000));
	EXPECT_TEXT(claimed, "story.culprit.comm", "SpinWait");
	EXPECT_TEXT(claimed, "story.culprit.queue.kind", "user");
	EXPECT_NUMBER(claimed, "story.culprit.queue.id", NEVER_SERVED);
	EXPECT_TEXT(told, "story.scheduler", "child");
	EXPECT_TEXT(told, "story.reason", "runnable task stall");
	return check_parent_goes_on(ctx);
}

static int stall_post(struct kt_ctx *ctx)
{
	static const char *const REASONS[] = { "half-watchdog", "exit-claimed", "exit-told" };

	return kt_vm_failed(ctx) ? 0 : check_hits(ctx, REASONS, 3, "SCX_EXIT_ERROR_STALL");
}

KTEST(story_sub_stall, .summary = "a stall of a sub-scheduler: early, at the error, and its text",
      FAMILY, .run = stall_run, .post_vm = stall_post);
