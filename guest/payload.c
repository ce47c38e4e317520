/* SPDX-License-Identifier: MIT */
#include "guest/payload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/cgroup.h"
#include "guest/ctx.h"
#include "guest/reap.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define PAYLOAD_DIR      "/payloads" /* framework/payload.h packs them there */
#define OUTPUT_DIR       "/tmp"
#define DEATH_TIMEOUT_NS (3 * KT_NSEC_PER_SEC)

/*
 * Standard output and error are nameless files on a tmpfs. A pipe would have to be emptied, by a thread
 * that wakes up while the scheduler is measured and may be starved by it. The file system's own limit,
 * half of the RAM, ends a payload that writes for ever.
 */
struct kt_payload_run {
	const struct kt_payload *payload;
	pid_t pid; /* and process group; 0 once reaped */
	int pidfd;
	int out, err;
	uint64_t began_ns;
};

void kt_payload_outcome_deinit(struct kt_payload_outcome *outcome)
{
	free(outcome->out.data);
	free(outcome->err.data);
	kt_metrics_deinit(&outcome->metrics);
	*outcome = KT_PAYLOAD_OUTCOME_NULL;
}

/* ---- start -------------------------------------------------------------------------------------- */

static int make_argv(const struct kt_payload *payload, const char *const *args,
		     const char ***ret_argv)
{
	const char *slash = strrchr(payload->binary, '/');
	size_t n = 0, room = 2;
	const char **argv;

	for (const char *const *at = payload->args; at && *at; at++)
		room++;
	for (const char *const *at = args; at && *at; at++)
		room++;
	argv = calloc(room, sizeof(*argv));
	if (!argv)
		return -ENOMEM;
	argv[n++] = slash ? slash + 1 : payload->binary;
	for (const char *const *at = payload->args; at && *at; at++)
		argv[n++] = *at;
	for (const char *const *at = args; at && *at; at++)
		argv[n++] = *at;
	*ret_argv = argv;
	return 0;
}

/* What the child needs, made before the fork: PID 1 has threads, and their locks may be held. */
struct start {
	const char *cgroup;
	char *dir;
	char *path;
	char *search; /* PATH=... */
	const char **argv;
	const char **environment;
	int in, out, err, report;
};

static void start_deinit(struct start *start)
{
	free(start->dir);
	free(start->path);
	free(start->search);
	free(start->argv);
	free(start->environment);
	(void)kt_close(start->in);
}

static int make_environment(struct start *start)
{
	size_t n = 0, k = 0;

	while (environ[n])
		n++;
	start->environment = calloc(n + 2, sizeof(*start->environment));
	if (!start->environment)
		return -ENOMEM;
	start->environment[k++] = start->search;
	for (char **at = environ; *at; at++) {
		if (strncmp(*at, "PATH=", 5))
			start->environment[k++] = *at;
	}
	return 0;
}

static int prepare(struct start *start, const struct kt_payload *payload, const char *const *args)
{
	const char *path = getenv("PATH");

	if (make_argv(payload, args, &start->argv) < 0)
		return -ENOMEM;
	start->dir = kt_format(PAYLOAD_DIR "/%s", payload->name);
	start->path = kt_format(PAYLOAD_DIR "/%s/%s", payload->name, start->argv[0]);
	start->search = kt_format("PATH=" PAYLOAD_DIR "/%s%s%s", payload->name, path ? ":" : "",
				  path ?: "");
	if (!start->dir || !start->path || !start->search)
		return -ENOMEM;
	start->in = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return start->in < 0 ? -errno : make_environment(start);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Tells a failure through @report, which the exec closes. */
__attribute__((noreturn)) static void child_main(const struct start *start)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	(void)setpgid(0, 0);
	reset_signals();
	r = start->cgroup ? kt_cgroup_attach(start->cgroup, 0, &err) : 0;
	if (r == 0 && chdir(start->dir) < 0)
		(void)kt_err_set(&err, -errno,
				 "%s: %m; is the payload in the .payloads of the test?",
				 start->dir);
	else if (r == 0 &&
		 (dup2(start->in, 0) < 0 || dup2(start->out, 1) < 0 || dup2(start->err, 2) < 0))
		(void)kt_err_set(&err, -errno, "its standard streams: %m");
	else if (r == 0 && execve(start->path, (char *const *)start->argv,
				  (char *const *)start->environment) < 0)
		(void)kt_err_set(&err, -errno, "cannot execute %s: %m", start->path);
	(void)kt_write_full(start->report, &err, sizeof(err));
	_exit(127);
}

/* Waits until the child is the program. */
static int fork_child(struct kt_payload_run *run, struct start *start, struct kt_err *reterr)
{
	KT_CLOSE int report = -1;
	struct kt_err failure;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return kt_err_set(reterr, -errno, "pipe: %m");
	report = ends[0];
	start->report = ends[1];
	run->began_ns = kt_now_ns();
	run->pid = fork();
	if (run->pid == 0)
		child_main(start);
	(void)kt_close(ends[1]);
	if (run->pid < 0) {
		run->pid = 0;
		return kt_err_set(reterr, -errno, "fork: %m");
	}
	(void)setpgid(run->pid, run->pid); /* here too: who kills the group must not be too early */
	run->pidfd = (int)syscall(SYS_pidfd_open, run->pid, 0);
	if (run->pidfd < 0)
		return kt_err_set(reterr, -errno, "pidfd_open: %m");
	if (kt_read_full(report, &failure, sizeof(failure)) < 0)
		return 0;
	return kt_err_set(reterr, -ENOEXEC, "%s", failure.text);
}

static int open_output(int *ret_fd, struct kt_err *reterr)
{
	/* Appending: a shell's "> /dev/stderr" opens it anew, from the beginning. */
	*ret_fd = open(OUTPUT_DIR, O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
	return *ret_fd < 0 ? kt_err_set(reterr, -errno, "a file in " OUTPUT_DIR ": %m") : 0;
}

static int start_run(struct kt_payload_run *run, const char *const *args, const char *cgroup,
		     struct kt_err *reterr)
{
	KT_CLEANUP(start_deinit) struct start start = { .cgroup = cgroup, .in = -1 };
	int r = prepare(&start, run->payload, args);

	if (r < 0)
		return kt_err_set(reterr, r, "preparing it: %m");
	r = open_output(&run->out, reterr) ?: open_output(&run->err, reterr);
	if (r < 0)
		return r;
	start.out = run->out;
	start.err = run->err;
	return fork_child(run, &start, reterr);
}

int kt_payload_start(const struct kt_payload *payload, const char *const *args, const char *cgroup,
		     struct kt_payload_run **ret_run, struct kt_err *reterr)
{
	KT_CLEANUP(kt_payload_freep) struct kt_payload_run *run = calloc(1, sizeof(*run));
	int r;

	if (!run)
		return kt_err_oom(reterr);
	*run = (struct kt_payload_run){ .payload = payload, .pidfd = -1, .out = -1, .err = -1 };
	r = start_run(run, args, cgroup, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "payload %s", payload->name);
	*ret_run = kt_steal(run);
	return 0;
}

pid_t kt_payload_pid(const struct kt_payload_run *run)
{
	return run->pid;
}

int kt_payload_fd(const struct kt_payload_run *run)
{
	return run->pidfd;
}

const struct kt_payload *kt_payload_of(const struct kt_payload_run *run)
{
	return run->payload;
}

/* ---- end ---------------------------------------------------------------------------------------- */

/* The first @max bytes of the file, or the last. */
static int read_text(int fd, size_t max, bool tail, struct kt_payload_text *text)
{
	struct stat st;
	off_t at = 0;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return -errno;
	text->total = (uint64_t)st.st_size;
	text->len = (size_t)KT_MIN(text->total, (uint64_t)max);
	text->data = malloc(text->len + 1);
	if (!text->data)
		return -ENOMEM;
	if (tail)
		at = (off_t)(text->total - text->len);
	n = text->len ? pread(fd, text->data, text->len, at) : 0;
	if (n < 0)
		return -errno;
	text->len = (size_t)n;
	text->data[n] = '\0';
	return 0;
}

/* Standard error is looked at only when standard output has none. */
static int read_metrics(struct kt_payload_outcome *outcome)
{
	struct kt_err *fault = &outcome->metrics_fault;
	int r = kt_metrics_parse(outcome->out.data, outcome->out.len, &outcome->metrics, fault);

	if (r == -ENODATA &&
	    kt_metrics_parse(outcome->err.data, outcome->err.len, &outcome->metrics, NULL) == 0)
		r = 0;
	if (r == -ENODATA && outcome->out.total > outcome->out.len)
		(void)kt_err_prefix(fault, 0, "of %" PRIu64 " bytes only %zu are kept",
				    outcome->out.total, outcome->out.len);
	if (r == 0)
		fault->text[0] = '\0';
	return r == -ENODATA ? 0 : r;
}

static int read_outcome(const struct kt_payload_run *run, struct kt_payload_outcome *outcome)
{
	int r = read_text(run->out, KT_PAYLOAD_OUT_MAX, false, &outcome->out)
			?: read_text(run->err, KT_PAYLOAD_ERR_MAX, true, &outcome->err);

	if (r == 0 && (run->payload->output & KT_OUTPUT_JSON))
		r = read_metrics(outcome);
	return r;
}

/* The group is ended and reaped: nothing writes to its files any more that has not left it. */
static int finish(struct kt_payload_run *run, struct kt_payload_outcome *ret_outcome,
		  struct kt_err *reterr)
{
	KT_CLEANUP(kt_payload_outcome_deinit)
	struct kt_payload_outcome outcome = KT_PAYLOAD_OUTCOME_NULL;
	uint64_t now_ns = kt_now_ns();
	int r;

	r = kt_reap_group(run->pid, now_ns + DEATH_TIMEOUT_NS, &outcome.status, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "payload %s", run->payload->name);
	run->pid = 0;
	outcome.duration_ns = now_ns - run->began_ns;
	r = read_outcome(run, &outcome);
	if (r < 0)
		return kt_err_set(reterr, r, "payload %s: reading its output: %m",
				  run->payload->name);
	*ret_outcome = outcome;
	outcome = KT_PAYLOAD_OUTCOME_NULL;
	return 0;
}

static int check_alive(const struct kt_payload_run *run, struct kt_err *reterr)
{
	if (run->pid)
		return 0;
	return kt_err_set(reterr, -ECHILD, "payload %s has ended before", run->payload->name);
}

int kt_payload_wait(struct kt_payload_run *run, uint64_t deadline_ns,
		    struct kt_payload_outcome *ret_outcome, struct kt_err *reterr)
{
	struct pollfd waiting = { .fd = run->pidfd, .events = POLLIN };
	int r = check_alive(run, reterr);

	if (r < 0)
		return r;
	r = kt_poll(&waiting, 1, deadline_ns);
	if (r < 0)
		return kt_err_set(reterr, r, "payload %s: poll: %m", run->payload->name);
	if (r == 0)
		return kt_err_set(
			reterr, -ETIMEDOUT, "payload %s still runs after %.3g s (process %d)",
			run->payload->name, (double)(kt_now_ns() - run->began_ns) / KT_NSEC_PER_SEC,
			(int)run->pid);
	return finish(run, ret_outcome, reterr);
}

int kt_payload_kill(struct kt_payload_run *run, struct kt_payload_outcome *ret_outcome,
		    struct kt_err *reterr)
{
	return check_alive(run, reterr) ?: finish(run, ret_outcome, reterr);
}

struct kt_payload_run *kt_payload_free(struct kt_payload_run *run)
{
	if (!run)
		return NULL;
	if (run->pid)
		(void)kt_reap_group(run->pid, kt_now_ns() + DEATH_TIMEOUT_NS, NULL, NULL);
	(void)kt_close(run->pidfd);
	(void)kt_close(run->out);
	(void)kt_close(run->err);
	free(run);
	return NULL;
}

void kt_payload_freep(struct kt_payload_run **run)
{
	*run = kt_payload_free(*run);
}
