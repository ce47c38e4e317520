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

KT_SCHEDULER(snapshot_global, .object = FIXTURE("global"));
KT_SCHEDULER(snapshot_fifo, .object = FIXTURE("fifo"));

/* ---- The machine without a scheduler ---- */

static int snapshot_machine_run(struct kt_ctx *ctx)
{
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
	/* This task makes the request: it runs, and in user space. */
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(task, "state"), text, sizeof(text)));
	KT_ASSERT_STREQ(ctx, text, "R");
	task = kt_view_find(kt_view_get(report, "cpus"), "task.pid", getpid());
	KT_ASSERT_OK(ctx, kt_as_text(kt_view_get(task, "mode"), text, sizeof(text)));
	KT_ASSERT_STREQ(ctx, text, "user");
	KT_ASSERT_OK(ctx, kt_as_count(kt_view_get(task, "stack"), &n));
	KT_ASSERT_EQ(ctx, n, 0);
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
