/* SPDX-License-Identifier: MIT */
/*
 * The process that loads a scheduler and keeps it attached: a fork of PID 1 that runs ktest's
 * loader for an object file, or a program of the scheduler's own.
 *
 * The scheduler exists twice, as a process and in the kernel, and either can end first: the kernel
 * disables a scheduler that misbehaves, and a process can die. This file starts and ends both
 * together. Only set.c calls it, and decides what an end means for the test.
 *
 * At most one scheduler is attached at a time. A process that has ended is reaped before its run is
 * freed.
 */
#include "guest/scheduler/scheduler.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/process/program.h"
#include "guest/process/reap.h"
#include "guest/scheduler/ops_hook.h"
#include "schedulers/loader.h"
#include "schedulers/scx.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define SCHEDULER_DIR   "/schedulers" /* framework/setup/cargo.h packs them there */
#define KILL_TIMEOUT_NS (3 * KT_NSEC_PER_SEC)
#define LAST_WORDS_LEN  4096u /* bytes at the end of the log in which the last line is searched */

struct kt_scheduler_run {
	const struct kt_scheduler *scheduler;
	pid_t pid; /* of the process and of its group; 0: not started, or reaped */
	int pidfd;
	int out, err;             /* files with its standard output and error; -1: none */
	int status;               /* as from wait(2), once reaped */
	struct kt_ops_hook *hook; /* sets the watchdog of a program; NULL: not needed */
};

/* ---- start ----------------------------------------------------------------------------------- */

/* What the forked process needs to load an object file. */
struct load {
	struct kt_loader loader;
	const char *comm;
};

static int load_body(const struct kt_program *program)
{
	const struct load *load = program->data;

	(void)prctl(PR_SET_NAME, load->comm);
	return kt_loader_run(&load->loader);
}

/* Joins two lists. The loader lets the last assignment to a variable win: that of @b. */
static const char **join(const char *const *a, const char *const *b)
{
	size_t n = 0, room = 1;
	const char **list;

	for (const char *const *at = a; at && *at; at++)
		room++;
	for (const char *const *at = b; at && *at; at++)
		room++;
	list = calloc(room, sizeof(*list));
	for (const char *const *at = a; list && at && *at; at++)
		list[n++] = *at;
	for (const char *const *at = b; list && at && *at; at++)
		list[n++] = *at;
	return list;
}

/*
 * An object file is loaded by the body of the fork, with the arguments as variables. A program is
 * executed with the arguments; if a watchdog timeout is asked for, the ops hook has to set it.
 */
static int start_process(struct kt_scheduler_run *run, const struct kt_scheduler_start *start,
			 struct kt_err *reterr)
{
	const struct kt_scheduler *scheduler = run->scheduler;
	const char *path = scheduler->object ?: scheduler->binary, *slash = strrchr(path, '/');
	KT_FREE char *dir = kt_format(SCHEDULER_DIR "/%s", scheduler->name);
	KT_FREE const char **variables = join(scheduler->args, start->args);
	struct load load = {
		.loader = { .object = slash ? slash + 1 : path,
			    .variables = variables,
			    .watchdog_ms = start->watchdog_ms,
			    .watchdog_default_ms = start->watchdog_default_ms,
			    .hurry = true,
			    .dump_kib = kt_scheduler_dump_kib(scheduler) },
		.comm = scheduler->name,
	};
	struct kt_program program = {
		.dir = dir,
		.binary = slash ? slash + 1 : path,
		.args = scheduler->args,
		.more_args = start->args,
		.out = run->out,
		.err = run->err,
		.body = scheduler->object ? load_body : NULL,
		.data = &load,
	};

	int handed = -1, r;

	if (!dir || !variables)
		return kt_err_oom(reterr);
	if (scheduler->binary && start->watchdog_ms) {
		program.hand_over = kt_ops_hook_install;
		program.ret_handed = &handed;
	}
	r = kt_program_start(&program, &run->pid, &run->pidfd, reterr);
	if (r < 0 || handed < 0) {
		(void)kt_close(handed);
		return r;
	}
	return kt_ops_hook_start(run->pidfd, handed, start->watchdog_ms, &run->hook, reterr);
}

static uint64_t file_len(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 ? (uint64_t)st.st_size : 0;
}

/* The last line of the file that is not blank, to be freed; NULL when there is none. */
static char *last_line(int fd)
{
	char text[LAST_WORDS_LEN + 1], *at;
	uint64_t len = file_len(fd);
	off_t from = len > LAST_WORDS_LEN ? (off_t)(len - LAST_WORDS_LEN) : 0;
	ssize_t n = fd >= 0 ? pread(fd, text, LAST_WORDS_LEN, from) : -1;

	while (n > 0 && strchr(" \n\t", text[n - 1]))
		n--;
	if (n <= 0)
		return NULL;
	text[n] = '\0';
	at = strrchr(text, '\n');
	return strdup(at ? at + 1 : text);
}

/* A complaint goes to standard error; standard output may end with a banner. */
char *kt_scheduler_last_words(const struct kt_scheduler_run *run)
{
	return last_line(run->err) ?: last_line(run->out);
}

/* Sets the error text for a process that ended before the kernel enabled its scheduler. */
static int explain_end(struct kt_scheduler_run *run, struct kt_err *reterr)
{
	KT_FREE char *words = NULL;

	kt_scheduler_bury(run, kt_now_ns(), 0);
	words = kt_scheduler_last_words(run);
	if (WIFSIGNALED(run->status))
		return kt_err_set(reterr, -ECHILD, "it was killed by signal %d (%s)%s%s",
				  WTERMSIG(run->status), strsignal(WTERMSIG(run->status)),
				  words ? ": " : "", words ?: "");
	return kt_err_set(reterr, -ECHILD, "it ended with status %d%s%s", WEXITSTATUS(run->status),
			  words ? ": " : "", words ?: "");
}

/* Sets the error text for a scheduler that the kernel did not enable before the deadline. */
static int explain_wait(struct kt_scheduler_run *run, const struct kt_scheduler_start *start,
			uint64_t began_ns, struct kt_err *reterr)
{
	uint64_t waited_ns = kt_now_ns() - began_ns;
	KT_FREE char *words = NULL;

	kt_scheduler_bury(run, 0, start->grace_ns);
	words = kt_scheduler_last_words(run);
	return kt_err_set(reterr, -ETIMEDOUT,
			  "attaching: the kernel has not enabled it within %.3g s; its process was "
			  "killed%s%s",
			  (double)waited_ns / KT_NSEC_PER_SEC, words ? ": " : "", words ?: "");
}

/* Whether the kernel has reported the end of the scheduler. */
static bool is_disabled(struct kt_scx_log *log)
{
	struct kt_scx_exit_info info;

	if (kt_scx_exit_parse(kt_scx_log_read(log), &info) < 0)
		return false;
	kt_scx_exit_deinit(&info);
	return true;
}

/*
 * Waits until the kernel has enabled the scheduler, which a uevent announces. The wait also ends
 * when the process ends, and when the kernel reports that it has disabled the scheduler: an error
 * can follow so fast that the enabled state is never seen, and the process may stay.
 */
static int await_enabled(struct kt_scheduler_run *run, const struct kt_scheduler_start *start,
			 struct kt_err *reterr)
{
	struct pollfd fds[] = {
		{ .fd = start->watch_fd, .events = POLLIN },
		{ .fd = run->pidfd, .events = POLLIN },
		{ .fd = kt_kmsg_fd(start->log->kmsg), .events = POLLIN },
	};
	uint64_t began_ns = kt_now_ns();

	for (;;) {
		int r;

		if (kt_scx_state() == KT_SCX_ENABLED)
			return 0;
		if (is_disabled(start->log)) {
			kt_scheduler_bury(run, kt_now_ns() + start->grace_ns, start->grace_ns);
			return kt_err_set(reterr, -ESHUTDOWN, "the kernel has disabled it");
		}
		r = kt_poll(fds, KT_ARRAY_LEN(fds), start->deadline_ns);
		if (r < 0)
			return kt_err_set(reterr, r, "poll: %m");
		if (r == 0)
			break;
		if (fds[1].revents)
			return explain_end(run, reterr);
		kt_scx_watch_drain(start->watch_fd);
	}
	return explain_wait(run, start, began_ns, reterr);
}

/* A scheduler can be attached only if the kernel has sched_ext and no scheduler is attached. */
static int check_nothing_is_there(struct kt_err *reterr)
{
	char name[KT_SCX_OPS_NAME_LEN];

	if (kt_scx_state() == KT_SCX_DISABLED)
		return 0;
	if (kt_scx_state() == KT_SCX_NONE)
		return kt_err_set(reterr, -ENOTSUP,
				  "this kernel has no sched_ext (CONFIG_SCHED_CLASS_EXT)");
	kt_scx_ops(name, sizeof(name));
	return kt_err_set(reterr, -EBUSY, "the scheduler '%s' is attached already", name);
}

int kt_scheduler_start(const struct kt_scheduler_start *start, struct kt_scheduler_run **ret_run,
		       struct kt_err *reterr)
{
	struct kt_scheduler_run *run;
	int r = check_nothing_is_there(reterr);

	if (r < 0)
		return kt_err_prefix(reterr, r, "scheduler %s", start->scheduler->name);
	run = calloc(1, sizeof(*run));
	if (!run)
		return kt_err_oom(reterr);
	*run = (struct kt_scheduler_run){
		.scheduler = start->scheduler,
		.pidfd = -1,
		.out = -1,
		.err = -1,
	};
	*ret_run = run; /* from here on also on failure: the caller reports the log */
	r = kt_program_output(&run->out, reterr) ?: kt_program_output(&run->err, reterr) ?:
	    start_process(run, start, reterr) ?: await_enabled(run, start, reterr);
	/* The program passed its ops without the hook seeing it: the timeout is not set. */
	if (r == 0 && run->hook && !kt_ops_hook_count(run->hook)) {
		kt_scheduler_bury(run, 0, start->grace_ns);
		r = kt_err_set(reterr, -ENOTSUP, "its watchdog could not be set");
	}
	return r < 0 ? kt_err_prefix(reterr, r, "scheduler %s", start->scheduler->name) : 0;
}

/* ---- while it runs --------------------------------------------------------------------------- */

int kt_scheduler_fd(const struct kt_scheduler_run *run)
{
	return run->pidfd;
}

pid_t kt_scheduler_pid(const struct kt_scheduler_run *run)
{
	return run->pid;
}

/*
 * Waits for the end of the process until @deadline_ns; does not wait if it is 0. If poll fails, the
 * process counts as ended.
 */
static bool has_exited(const struct kt_scheduler_run *run, uint64_t deadline_ns)
{
	struct pollfd waiting = { .fd = run->pidfd, .events = POLLIN };

	return !run->pid || kt_poll(&waiting, 1, deadline_ns) != 0;
}

bool kt_scheduler_has_ended(const struct kt_scheduler_run *run)
{
	return kt_scx_has_gone() || has_exited(run, 0);
}

/* ---- the end --------------------------------------------------------------------------------- */

/* Kills the process group if it still runs, and reaps it; only then may the hook's thread end. */
static void reap(struct kt_scheduler_run *run)
{
	if (run->pid)
		(void)kt_reap_group(run->pid, kt_now_ns() + KILL_TIMEOUT_NS, &run->status, NULL);
	run->pid = 0;
	run->hook = kt_ops_hook_free(run->hook);
}

/* The letter of the state of process @pid, as in proc(5); '?' when it is not known. */
static char state_of(pid_t pid)
{
	KT_FREE char *path = kt_format("/proc/%d/stat", (int)pid), *text = NULL;
	char *end = path && kt_file_read(path, 4096, &text, NULL) == 0 ? strrchr(text, ')') : NULL;

	return end && end[1] == ' ' && end[2] ? end[2] : '?';
}

/* Sets an error text if a process that was asked to end was killed by another signal. */
static int explain_stop(const struct kt_scheduler_run *run, struct kt_err *reterr)
{
	KT_FREE char *words = kt_scheduler_last_words(run);
	int signal = WIFSIGNALED(run->status) ? WTERMSIG(run->status) : 0;

	if (!signal || signal == SIGTERM)
		return 0;
	return kt_err_set(reterr, -ECHILD,
			  "scheduler %s: detaching: its process was killed by signal %d (%s)%s%s",
			  run->scheduler->name, signal, strsignal(signal), words ? ": " : "",
			  words ?: "");
}

int kt_scheduler_stop(struct kt_scheduler_run *run, uint64_t deadline_ns, struct kt_err *reterr)
{
	uint64_t began_ns = kt_now_ns();
	bool in_time;
	char state;
	int r;

	/* sysrq-S detaches the scheduler even if its process is starved or hangs. */
	if (!kt_scx_has_gone())
		(void)kt_file_write("/proc/sysrq-trigger", "S");
	if (run->pid)
		(void)kill(run->pid, SIGTERM);
	in_time = has_exited(run, deadline_ns);
	state = in_time ? '?' : state_of(run->pid);
	reap(run);
	if (!in_time)
		return kt_err_set(reterr, -ETIMEDOUT,
				  "scheduler %s: detaching: its process (in state %c) has not "
				  "ended within %.3g s after SIGTERM; it was killed",
				  run->scheduler->name, state,
				  (double)(kt_now_ns() - began_ns) / KT_NSEC_PER_SEC);
	r = explain_stop(run, reterr);
	if (r < 0)
		return r;
	/*
	 * No wait is needed here: when a process closes its BPF link, the kernel disables the
	 * scheduler before the process can end (kernel/sched/ext.c, bpf_scx_unreg()).
	 */
	if (kt_scx_state() != KT_SCX_DISABLED)
		return kt_err_set(reterr, -EBUSY,
				  "scheduler %s: its process has ended, but the kernel has not let "
				  "go of it",
				  run->scheduler->name);
	return 0;
}

void kt_scheduler_bury(struct kt_scheduler_run *run, uint64_t deadline_ns, uint64_t grace_ns)
{
	if (!has_exited(run, deadline_ns)) {
		(void)kill(run->pid, SIGTERM);
		(void)has_exited(run, kt_now_ns() + grace_ns);
	}
	reap(run);
}

int kt_scheduler_status(const struct kt_scheduler_run *run)
{
	return run->status;
}

struct kt_scheduler_run *kt_scheduler_free(struct kt_scheduler_run *run)
{
	if (!run)
		return NULL;
	reap(run);
	(void)kt_close(run->pidfd);
	(void)kt_close(run->out);
	(void)kt_close(run->err);
	free(run);
	return NULL;
}

/* ---- what it has printed --------------------------------------------------------------------- */

int kt_scheduler_out(const struct kt_scheduler_run *run, uint64_t *ret_len)
{
	*ret_len = file_len(run->out);
	return run->out;
}

int kt_scheduler_err(const struct kt_scheduler_run *run, uint64_t *ret_len)
{
	*ret_len = file_len(run->err);
	return run->err;
}
