/* SPDX-License-Identifier: MIT */
/*
 * The scheduler of a scenario from the test's point of view. It owns the run that is attached, the
 * history of all runs, the trace buffer for dumps, and the BPF maps and numbers that the test has
 * asked to keep.
 *
 * The operations of guest/scenario/op.c attach, detach and replace; holds (guest/scenario/hold.c)
 * look by kt_scheduler_set_check() whether the scheduler has ended by itself. All calls come from
 * the thread that runs the test.
 *
 * An end by itself is handled once, in on_end(): the host gets the log and the dump, the history
 * gets the reason, and the test fails unless it expects the end. Every error that ends a scheduler
 * must reach on_end(), also one that happens while it is being detached.
 */
#include "guest/scheduler/set.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/scheduler/bpf_map.h"
#include "guest/test/trace.h"
#include "guest/test/watch.h"
#include "schedulers/scx.h"
#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define ATTACH_TIMEOUT_MS 30000u
#define DETACH_TIMEOUT_MS 10000u

/* Some programs only poll whether the kernel has disabled their scheduler, about once a second. */
#define BURY_TIMEOUT_MS 3000u

/* Shorter than the kernel's 30 s: a stall must be reported before the test times out. */
#define WATCHDOG_DEFAULT_MS 5000u
#define WATCHDOG_MAX_MS     30000u /* SCX_WATCHDOG_MAX_TIMEOUT of kernel/sched/ext.c */
#define LOG_MAX             (UINT64_C(16) << 20) /* bytes of output that are sent whole */
#define LOG_END             (UINT64_C(4) << 20)  /* bytes of either end of a longer one */
#define FRAME_BYTES         ((size_t)128 << 10)

void kt_scheduler_set_init(struct kt_scheduler_set *set, struct kt_ctx *ctx, struct kt_port *port)
{
	*set = (struct kt_scheduler_set){
		.ctx = ctx,
		.port = port,
		.watch_fd = -1,
		.log = KT_SCX_LOG_NULL,
		.history = json_array(),
	};
}

static void free_args(char **args)
{
	for (char **at = args; at && *at; at++)
		free(*at);
	free(args);
}

/* A restart needs the arguments again, when those of the operation may be gone: hence a copy. */
static char **copy_args(const char *const *args)
{
	size_t n = 0;
	char **copy;

	while (args && args[n])
		n++;
	copy = calloc(n + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(args[i]);
		if (!copy[i]) {
			free_args(copy);
			return NULL;
		}
	}
	return copy;
}

void kt_scheduler_set_deinit(struct kt_scheduler_set *set)
{
	if (set->run)
		(void)kt_scheduler_stop(set->run, kt_ctx_deadline_ns(set->ctx, DETACH_TIMEOUT_MS),
					NULL);
	set->run = kt_scheduler_free(set->run);
	while (set->pins) {
		struct kt_pinned_map *pin = set->pins;

		set->pins = pin->next;
		(void)kt_close(pin->fd);
		free(pin->name);
		free(pin);
	}
	while (set->numbers) {
		struct kt_bpf_number *number = set->numbers;

		set->numbers = number->next;
		free(number->tag);
		free(number);
	}
	free_args(set->args);
	kt_scx_exit_deinit(&set->exit);
	set->dump = kt_scx_dump_close(set->dump);
	kt_scx_log_close(&set->log);
	set->watch_fd = kt_close(set->watch_fd);
	json_decref(set->history);
}

/* Failures of the scheduler are reported at the line of the test. */
static struct kt_where where_of(const struct kt_scheduler_set *set)
{
	return (struct kt_where){ set->ctx->test->file, set->ctx->test->line };
}

/* ---- what the host is told ------------------------------------------------------------------- */

static void send_text(const struct kt_scheduler_set *set, const char *text)
{
	if (set->port)
		(void)kt_port_send(set->port, KT_MSG_SCX_LOG, text, strlen(text));
}

static void send_range(const struct kt_scheduler_set *set, int fd, uint64_t from, uint64_t to)
{
	KT_FREE char *bytes = malloc(FRAME_BYTES);

	while (bytes && from < to) {
		ssize_t n = pread(fd, bytes, KT_MIN(FRAME_BYTES, (size_t)(to - from)), (off_t)from);

		if (n <= 0)
			return;
		(void)kt_port_send(set->port, KT_MSG_SCX_LOG, bytes, (size_t)n);
		from += (uint64_t)n;
	}
}

/* A file that is too long to be sent in time is sent without its middle, as the host would keep. */
static void send_file(const struct kt_scheduler_set *set, int fd, uint64_t len)
{
	KT_FREE char *mark = NULL;

	if (len <= LOG_MAX) {
		send_range(set, fd, 0, len);
		return;
	}
	mark = kt_format("\n[... %" PRIu64 " bytes left out ...]\n", len - 2 * LOG_END);
	send_range(set, fd, 0, LOG_END);
	send_text(set, mark ?: "");
	send_range(set, fd, len - LOG_END, len);
}

/*
 * Sends all that the process has printed to the host, after a heading with the scheduler's name.
 * Standard error comes last: the end of the log is what a report shows.
 */
static void send_log(const struct kt_scheduler_set *set, const struct kt_scheduler_run *run,
		     const char *name)
{
	KT_FREE char *heading = kt_format("scheduler %s:\n", name);
	uint64_t out_len, err_len;
	int out = kt_scheduler_out(run, &out_len), err = kt_scheduler_err(run, &err_len);

	if (!heading || !set->port || (!out_len && !err_len))
		return;
	send_text(set, heading);
	if (out_len)
		send_file(set, out, out_len);
	if (out_len && err_len)
		send_text(set, "standard error:\n");
	if (err_len)
		send_file(set, err, err_len);
}

/* Sends the kernel's dump, and notes its length and its losses in the history. */
static void send_dump(const struct kt_scheduler_set *set, json_t *entry)
{
	struct kt_err err = KT_ERR_NULL;
	uint64_t bytes = 0, lost = 0;

	if (!set->dump)
		return;
	if (kt_scx_dump_send(set->dump, set->port, &bytes, &lost, &err) < 0)
		send_text(set, err.text);
	(void)json_object_set_new(entry, "dump_bytes", json_integer((json_int_t)bytes));
	(void)json_object_set_new(entry, "dump_lines_lost", json_integer((json_int_t)lost));
}

/* ---- the history ----------------------------------------------------------------------------- */

/* The entry of the scheduler that was attached last; NULL when none was. */
static json_t *last_entry(const struct kt_scheduler_set *set)
{
	size_t n = json_array_size(set->history);

	return n ? json_array_get(set->history, n - 1) : NULL;
}

/* Notes the present time as @what in the last entry, in ns since the test began. */
static void note_time(const struct kt_scheduler_set *set, const char *what)
{
	json_t *entry = last_entry(set);

	if (entry)
		(void)json_object_set_new(entry, what,
					  json_integer((json_int_t)kt_elapsed_ns(set->ctx)));
}

/*
 * Appends an entry for a scheduler that the kernel has taken. @began_ns is when that was asked for.
 * @replaces is the scheduler that was detached for it, NULL if there was none.
 */
static void note_start(const struct kt_scheduler_set *set, const struct kt_scheduler *scheduler,
		       const struct kt_scheduler *replaces, uint64_t began_ns)
{
	char name[KT_SCX_OPS_NAME_LEN];

	kt_scx_ops(name, sizeof(name));
	(void)json_array_append_new(set->history,
				    json_pack("{ss ss si ss* sI}", "name", scheduler->name, "ops",
					      name, "step", set->ctx->step, "replaces",
					      replaces ? replaces->name : NULL, "asked_ns",
					      (json_int_t)began_ns));
}

/* ---- an end by itself ------------------------------------------------------------------------ */

/*
 * Finds the kernel's report of the end in its log since the scheduler was started. -ENODATA when
 * there is none.
 */
static int read_reason(struct kt_scheduler_set *set, struct kt_scx_exit_info *ret_exit)
{
	return kt_scx_exit_parse(kt_scx_log_read(&set->log), ret_exit);
}

/* Describes the end by the status of the process, for when the kernel log has no report. */
static struct kt_scx_exit_info explain_process(const struct kt_scheduler_run *run)
{
	int status = kt_scheduler_status(run);

	return (struct kt_scx_exit_info){
		.kind = KT_SCX_EXIT_OTHER,
		.reason = WIFSIGNALED(status) ? kt_format("its process was killed by signal %d",
							  WTERMSIG(status))
					      : kt_format("its process ended with status %d",
							  WEXITSTATUS(status)),
		.message = strdup("the kernel's log says nothing of it"),
		.backtrace = strdup(""),
	};
}

/*
 * Notes an end in the set and in the history. Takes @exit over. The texts of the end before become
 * invalid, as kt_scheduler_ended() says.
 */
static void note_end(struct kt_scheduler_set *set, const struct kt_scheduler *scheduler,
		     const struct kt_scx_exit_info *exit)
{
	json_t *entry = last_entry(set);

	kt_scx_exit_deinit(&set->exit);
	set->exit = *exit;
	set->end = (struct kt_scheduler_end){
		.scheduler = scheduler,
		.kind = exit->kind,
		.reason = exit->reason ?: "",
		.message = exit->message ?: "",
		.backtrace = exit->backtrace ?: "",
		.elapsed_ns = kt_elapsed_ns(set->ctx),
	};
	note_time(set, "ended_ns");
	kt_trace_mark("scheduler ended:", scheduler->name);
	(void)json_object_set_new(entry, "exit",
				  json_pack("{ss si ss ss ss}", "kind",
					    kt_scx_exit_name(exit->kind), "number", (int)exit->kind,
					    "reason", set->end.reason, "message", set->end.message,
					    "backtrace", set->end.backtrace));
}

/* Whether the last end is the one that the test declares in .expect_scheduler_exit. */
static bool is_expected(const struct kt_scheduler_set *set)
{
	const struct kt_expected_exit *expected = &set->ctx->test->expect_scheduler_exit;
	const char *part = expected->reason_contains;

	if (!expected->kind && !part)
		return false;
	if (expected->kind && expected->kind != KT_SCX_EXIT_ANY && expected->kind != set->end.kind)
		return false;
	return !part || strstr(set->end.reason, part) || strstr(set->end.message, part);
}

/* The backtrace on one line, "inner < outer". NULL without memory; to be freed. */
static char *backtrace_line(const char *backtrace)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer line = KT_BUFFER_NULL;

	for (size_t len; (len = strcspn(backtrace, "\n"));
	     backtrace += len + (backtrace[len] == '\n')) {
		if ((line.len && kt_buffer_append(&line, " < ", 3) < 0) ||
		    kt_buffer_append(&line, backtrace, len) < 0)
			return NULL;
	}
	return kt_buffer_append(&line, "", 1) < 0 ? NULL : kt_steal(line.data);
}

/* @phase is "", or " while it was ...". */
static int fail_for_end(const struct kt_scheduler_set *set, const char *phase)
{
	const struct kt_scheduler_end *end = &set->end;
	const struct kt_expected_exit *expected = &set->ctx->test->expect_scheduler_exit;
	KT_FREE char *trace = backtrace_line(end->backtrace);
	KT_FREE char *other =
		expected->kind || expected->reason_contains
			? kt_format("; expected was %s%s%s", kt_scx_exit_name(expected->kind),
				    expected->reason_contains ? " with " : "",
				    expected->reason_contains ?: "")
			: NULL;

	return kt_fail(set->ctx, where_of(set), "scheduler %s has ended%s: %s (%s, %d)%s%s%s%s%s",
		       end->scheduler->name, phase, end->reason, kt_scx_exit_name(end->kind),
		       (int)end->kind, *end->message ? ": " : "", end->message, other ?: "",
		       trace && *trace ? "; kernel backtrace: " : "", trace ?: "");
}

/*
 * Handles an end by itself: sends the dump and the log to the host, and records a failure unless
 * the test expects this end. Takes @run and @exit over. Returns 0 for an expected end, else
 * KT_FAILED.
 */
static int on_end(struct kt_scheduler_set *set, struct kt_scheduler_run *run,
		  const struct kt_scheduler *scheduler, const struct kt_scx_exit_info *exit,
		  const char *phase)
{
	note_end(set, scheduler, exit);
	send_dump(set, last_entry(set));
	send_log(set, run, scheduler->name);
	(void)kt_scheduler_free(run);
	set->has_ended = true;
	if (!is_expected(set))
		return fail_for_end(set, phase);
	set->was_expected = true;
	return 0;
}

/*
 * Whether the kernel has reported an error of the scheduler while it was being detached. Such an
 * error is reported as an end by itself, although a detach was in progress.
 * *@ret_exit is owned by the caller if this returns true.
 */
static bool has_failed_meanwhile(struct kt_scheduler_set *set, struct kt_scx_exit_info *ret_exit)
{
	if (read_reason(set, ret_exit) < 0)
		return false;
	if (kt_scx_exit_is_error(ret_exit))
		return true;
	kt_scx_exit_deinit(ret_exit);
	return false;
}

/* ---- attach and detach ----------------------------------------------------------------------- */

/*
 * Makes the trace buffer at least @kib KiB large. A larger one replaces it; that loses no text,
 * because the dump of an earlier scheduler has been sent when that scheduler ended. A kernel
 * without the tracepoint only gets a line in the log: the test runs without dumps.
 */
static void make_room(struct kt_scheduler_set *set, unsigned int kib)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (kib <= set->dump_kib)
		return;
	set->dump = kt_scx_dump_close(set->dump);
	set->dump_kib = kib;
	r = kt_scx_dump_open(kib, &set->dump, &err);
	if (r < 0) {
		KT_FREE char *text = kt_format("no dumps by tracepoint: %s\n", err.text);

		send_text(set, text ?: "");
	}
}

/* Opens what is needed to watch a scheduler: uevents, the kernel log and the trace buffer. Once. */
static int watch(struct kt_scheduler_set *set, const struct kt_scheduler *scheduler,
		 struct kt_err *reterr)
{
	int r;

	if (set->watch_fd < 0) {
		set->watch_fd = kt_scx_watch(reterr);
		if (set->watch_fd < 0)
			return set->watch_fd;
	}
	r = kt_scx_log_open(&set->log, reterr);
	if (r < 0)
		return r;
	make_room(set, kt_scheduler_dump_kib(scheduler));
	return 0;
}

/*
 * Scales a watchdog timeout, because a slow machine needs more time for the same work. 0 stays 0.
 */
static unsigned int scale_watchdog(const struct kt_scheduler_set *set, unsigned int watchdog_ms)
{
	uint64_t ms = (uint64_t)watchdog_ms * set->ctx->time_scale_percent / 100;

	return (unsigned int)KT_MIN(ms, (uint64_t)WATCHDOG_MAX_MS);
}

/*
 * Handles a start that has failed after its process was started. If the kernel has reported that it
 * has disabled the scheduler, that is an end by itself, of its own kind and perhaps an expected
 * one. Otherwise the test is an ERROR, with what the process has said and what the kernel has. @err
 * is the error of kt_scheduler_start(). Takes @run over.
 */
static int on_not_attached(struct kt_scheduler_set *set, struct kt_scheduler_run *run,
			   const struct kt_scheduler *scheduler, int r, struct kt_err *err)
{
	KT_FREE char *complaint = NULL;
	struct kt_scx_exit_info exit;

	if (read_reason(set, &exit) == 0) {
		/* A process that was killed at the deadline lets its scheduler go. */
		if (r != -ETIMEDOUT || kt_scx_exit_is_error(&exit))
			return on_end(set, run, scheduler, &exit, " while it was being attached");
		kt_scx_exit_deinit(&exit);
	}
	complaint = kt_scx_exit_complaint(kt_scx_log_read(&set->log));
	if (complaint)
		(void)kt_err_set(err, r, "%.*s; the kernel says: %s", 700, strdupa(err->text),
				 complaint);
	send_log(set, run, scheduler->name);
	set->has_failed = true;
	kt_result_merge(&set->ctx->result, KT_VERDICT_ERROR,
			err->text[0] ? err->text : "a scheduler was not attached");
	(void)kt_scheduler_free(run);
	return KT_FAILED;
}

/*
 * Starts a scheduler. If its process was started but no scheduler is there, on_not_attached() says
 * what that means; earlier failures are returned as they are.
 */
static int attach(struct kt_scheduler_set *set, const struct kt_scheduler *scheduler,
		  const char *const *args, const struct kt_scheduler *replaces, uint64_t began_ns,
		  struct kt_err *reterr)
{
	const struct kt_scheduler_start start = {
		.scheduler = scheduler,
		.args = args,
		.watchdog_ms = scale_watchdog(set, set->ctx->test->watchdog_ms),
		.watchdog_default_ms = scale_watchdog(set, WATCHDOG_DEFAULT_MS),
		.watch_fd = set->watch_fd,
		.log = &set->log,
		.deadline_ns = kt_ctx_patient_deadline_ns(set->ctx, ATTACH_TIMEOUT_MS),
		.grace_ns = kt_ctx_grace_ns(set->ctx),
	};
	struct kt_scheduler_run *run = NULL;
	struct kt_err err = KT_ERR_NULL;
	char **kept = copy_args(args);
	int r;

	kt_scx_log_clear(&set->log);
	kt_freeze_look(set->ctx);
	r = kept ? kt_scheduler_start(&start, &run, &err) : kt_err_oom(&err);
	kt_freeze_look(set->ctx);
	if (r < 0 && !run) {
		free_args(kept);
		return kt_err_set(reterr, r, "%s", err.text);
	}
	note_start(set, scheduler, replaces, began_ns);
	if (r < 0) {
		free_args(kept);
		return on_not_attached(set, run, scheduler, r, &err);
	}
	note_time(set, "enabled_ns");
	kt_trace_mark("scheduler enabled:", scheduler->name);
	set->run = run;
	set->scheduler = scheduler;
	free_args(set->args);
	set->args = kept;
	return 0;
}

int kt_scheduler_set_attach(struct kt_scheduler_set *set, const struct kt_scheduler *scheduler,
			    const char *const *args, struct kt_err *reterr)
{
	uint64_t began_ns = kt_elapsed_ns(set->ctx);

	if (set->run)
		return kt_err_set(reterr, -EBUSY,
				  "scheduler %s is attached already; detach it, or replace it",
				  set->scheduler->name);
	return watch(set, scheduler, reterr)
		       ?: attach(set, scheduler, args, NULL, began_ns, reterr);
}

/* Takes the run out of the set, so that its end is not taken for an end by itself any more. */
static struct kt_scheduler_run *let_go(struct kt_scheduler_set *set)
{
	set->scheduler = NULL;
	return kt_steal(set->run);
}

/* Notes how the process has ended, as from wait(2), in the last entry. */
static void note_status(const struct kt_scheduler_set *set, const struct kt_scheduler_run *run)
{
	json_t *entry = last_entry(set);

	if (entry)
		(void)json_object_set_new(entry, "status", json_integer(kt_scheduler_status(run)));
}

/* A status other than 0 after SIGTERM fails nothing: many programs end so. It gets a line. */
static void tell_status(const struct kt_scheduler_run *run, const char *name)
{
	int status = kt_scheduler_status(run);
	KT_FREE char *words = NULL;

	if (!WIFEXITED(status) || !WEXITSTATUS(status))
		return;
	words = kt_scheduler_last_words(run);
	(void)printf("scheduler %s: detaching: its process ended with status %d%s%s\n", name,
		     WEXITSTATUS(status), words ? ": " : "", words ?: "");
}

int kt_scheduler_set_detach(struct kt_scheduler_set *set, struct kt_err *reterr)
{
	const struct kt_scheduler *scheduler = set->scheduler;
	struct kt_scx_exit_info exit;
	struct kt_scheduler_run *run;
	int r;

	if (!set->run)
		return kt_err_set(reterr, -ESRCH, "no scheduler is attached");
	/* It may have ended by itself already, which the test may or may not expect. */
	if (kt_scheduler_set_check(set) < 0)
		return KT_FAILED;
	run = let_go(set);
	if (!run)
		return kt_err_set(reterr, -ESRCH, "scheduler %s has ended by itself before",
				  scheduler->name);
	r = kt_scheduler_stop(run, kt_ctx_deadline_ns(set->ctx, DETACH_TIMEOUT_MS), reterr);
	kt_freeze_look(set->ctx);
	note_time(set, "detached_ns");
	kt_trace_mark("scheduler detached:", scheduler->name);
	note_status(set, run);
	if (has_failed_meanwhile(set, &exit))
		return on_end(set, run, scheduler, &exit, " while it was being detached");
	tell_status(run, scheduler->name);
	send_log(set, run, scheduler->name);
	(void)kt_scheduler_free(run);
	return r;
}

int kt_scheduler_set_replace(struct kt_scheduler_set *set, const struct kt_scheduler *scheduler,
			     const char *const *args, struct kt_err *reterr)
{
	const struct kt_scheduler *old = set->scheduler;
	uint64_t began_ns = kt_elapsed_ns(set->ctx);

	return kt_scheduler_set_detach(set, reterr)
		       ?: attach(set, scheduler, args, old, began_ns, reterr);
}

int kt_scheduler_set_restart(struct kt_scheduler_set *set, struct kt_err *reterr)
{
	if (!set->run)
		return kt_err_set(reterr, -ESRCH, "no scheduler is attached");
	return kt_scheduler_set_replace(set, set->scheduler, (const char *const *)set->args,
					reterr);
}

/* ---- watching -------------------------------------------------------------------------------- */

int kt_scheduler_set_check(struct kt_scheduler_set *set)
{
	const struct kt_scheduler *scheduler = set->scheduler;
	struct kt_scx_exit_info exit;
	struct kt_scheduler_run *run;

	/* Drain before looking: an event that comes after the look wakes up the next wait. */
	if (set->watch_fd >= 0)
		kt_scx_watch_drain(set->watch_fd);
	if (!set->run || !kt_scheduler_has_ended(set->run))
		return 0;
	run = let_go(set);
	/* Let the process end first: its status explains the end when the kernel log does not. */
	kt_scheduler_bury(run, kt_ctx_deadline_ns(set->ctx, BURY_TIMEOUT_MS),
			  kt_ctx_grace_ns(set->ctx));
	if (read_reason(set, &exit) < 0)
		exit = explain_process(run);
	return on_end(set, run, scheduler, &exit, "");
}

int kt_scheduler_set_await_end(struct kt_scheduler_set *set, unsigned int timeout_ms,
			       struct kt_err *reterr)
{
	uint64_t deadline_ns = kt_ctx_deadline_ns(set->ctx, timeout_ms);

	if (set->has_ended && !set->run)
		return 0;
	if (!set->run)
		return kt_err_set(reterr, -ESRCH, "no scheduler is attached");
	for (;;) {
		struct pollfd waiting[2] = { { .fd = -1 }, { .fd = -1 } };
		int fds[2], r = kt_scheduler_set_check(set);
		size_t n = kt_scheduler_set_fds(set, fds);

		if (r < 0 || !set->run)
			return r;
		for (size_t i = 0; i < n; i++)
			waiting[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
		r = kt_poll(waiting, n, deadline_ns);
		if (r < 0)
			return kt_err_set(reterr, r, "poll: %m");
		if (r == 0)
			return kt_err_set(reterr, -ETIMEDOUT,
					  "scheduler %s has not ended by itself in time",
					  set->scheduler->name);
	}
}

size_t kt_scheduler_set_fds(const struct kt_scheduler_set *set, int fds[2])
{
	if (!set->run)
		return 0;
	fds[0] = set->watch_fd;
	fds[1] = kt_scheduler_fd(set->run);
	return 2;
}

bool kt_scheduler_set_has(const struct kt_scheduler_set *set, pid_t pid)
{
	return set->run && kt_scheduler_pid(set->run) == pid;
}

/* ---- the end of the test --------------------------------------------------------------------- */

void kt_scheduler_set_finish(struct kt_scheduler_set *set)
{
	const struct kt_expected_exit *expected = &set->ctx->test->expect_scheduler_exit;
	struct kt_err err = KT_ERR_NULL;
	int r = kt_scheduler_set_check(set);

	if (r == 0 && set->run && kt_scheduler_set_detach(set, &err) < 0 && err.text[0])
		(void)kt_fail(set->ctx, where_of(set), "%s", err.text);
	if ((expected->kind || expected->reason_contains) && !set->was_expected &&
	    !set->has_ended && !set->has_failed)
		(void)kt_fail_values(set->ctx, where_of(set), "the scheduler ends by itself",
				     expected->reason_contains ?: kt_scx_exit_name(expected->kind),
				     "it has not");
}

/* ---- maps ------------------------------------------------------------------------------------ */

/* A pinned map is held by a descriptor. So it outlives the scheduler that has created it. */
static const struct kt_pinned_map *find_pin(const struct kt_scheduler_set *set, const char *name)
{
	const struct kt_pinned_map *at = set->pins;

	while (at && strcmp(at->name, name))
		at = at->next;
	return at;
}

int kt_scheduler_set_pin(struct kt_scheduler_set *set, const char *map, struct kt_err *reterr)
{
	struct kt_pinned_map *pin;
	int fd = -1, r;

	if (find_pin(set, map))
		return 0;
	r = kt_bpf_map_open(map, false, &fd, reterr);
	if (r < 0)
		return r;
	pin = calloc(1, sizeof(*pin));
	if (pin)
		*pin = (struct kt_pinned_map){ set->pins, strdup(map), fd };
	if (!pin || !pin->name) {
		free(pin);
		(void)kt_close(fd);
		return kt_err_oom(reterr);
	}
	set->pins = pin;
	return 0;
}

int kt_scheduler_set_open_map(const struct kt_scheduler_set *set, const struct kt_bpf_ref *ref,
			      int *ret_fd, struct kt_err *reterr)
{
	const struct kt_pinned_map *pin = ref->map ? find_pin(set, ref->map) : NULL;

	if (!ref->map)
		return kt_err_set(reterr, -EINVAL, "it names no map");
	if (!ref->pinned)
		return kt_bpf_map_open(ref->map, true, ret_fd, reterr);
	if (!pin)
		return kt_err_set(reterr, -ENOENT, "no BPF map '%s' is pinned", ref->map);
	*ret_fd = fcntl(pin->fd, F_DUPFD_CLOEXEC, 0);
	return *ret_fd < 0 ? kt_err_set(reterr, -errno, "BPF map '%s': %m", ref->map) : 0;
}

int kt_scheduler_set_remember(struct kt_scheduler_set *set, const char *tag, uint64_t value,
			      struct kt_err *reterr)
{
	struct kt_bpf_number *number = calloc(1, sizeof(*number));

	if (number)
		*number = (struct kt_bpf_number){ set->numbers, strdup(tag), value };
	if (!number || !number->tag) {
		free(number);
		return kt_err_oom(reterr);
	}
	set->numbers = number;
	return 0;
}
