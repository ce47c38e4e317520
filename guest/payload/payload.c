/* SPDX-License-Identifier: MIT */
/*
 * One run of a payload: a process group of the guest, and two files that collect its output.
 *
 * A run is started, then waited for or killed once, then freed. In each case the whole process
 * group is killed and reaped before the output is read, so the output does not change any more. The
 * exception is a descendant that has left the process group; the guest kills it at the end of the
 * test.
 *
 * exec.c and set.c call this, from the thread that runs the test.
 */
#include "guest/payload/payload.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/payload/excerpt.h"
#include "guest/port/activity.h"
#include "guest/process/program.h"
#include "guest/process/reap.h"
#include "guest/test/ctx.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define PAYLOAD_DIR      "/payloads" /* framework/setup/cargo.h packs them there */
#define DEATH_TIMEOUT_NS (3 * KT_NSEC_PER_SEC)

/*
 * Standard output and error are nameless files on a tmpfs. A pipe would need a thread that empties
 * it; that thread would disturb the scheduler under test, and might be starved by it. The size
 * limit of the tmpfs, half of the RAM, stops a payload that writes without end.
 */
struct kt_payload_run {
	const struct kt_payload *payload;
	pid_t pid; /* of the process and of its group; 0 once reaped */
	int pidfd;
	int out, err;      /* the files for standard output and error */
	uint64_t began_ns; /* CLOCK_MONOTONIC, just before the fork */
};

void kt_payload_outcome_deinit(struct kt_payload_outcome *outcome)
{
	free(outcome->out.data);
	free(outcome->out.excerpt);
	free(outcome->err.data);
	free(outcome->err.excerpt);
	kt_metrics_deinit(&outcome->metrics);
	*outcome = KT_PAYLOAD_OUTCOME_NULL;
}

/* ---- start ----------------------------------------------------------------------------------- */

/* On failure the caller frees the run; kt_payload_free() copes with one that is half set up. */
static int start_run(struct kt_payload_run *run, const char *const *args, const char *cgroup,
		     struct kt_err *reterr)
{
	const struct kt_payload *payload = run->payload;
	const char *slash = strrchr(payload->binary, '/');
	KT_FREE char *dir = kt_format(PAYLOAD_DIR "/%s", payload->name);
	struct kt_program program = {
		.dir = dir,
		.binary = slash ? slash + 1 : payload->binary,
		.args = payload->args,
		.more_args = args,
		.cgroup = cgroup,
	};
	int r;

	if (!dir)
		return kt_err_oom(reterr);
	r = kt_program_output(&run->out, reterr) ?: kt_program_output(&run->err, reterr);
	if (r < 0)
		return r;
	program.out = run->out;
	program.err = run->err;
	run->began_ns = kt_now_ns();
	return kt_program_start(&program, &run->pid, &run->pidfd, reterr);
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

/* ---- end ------------------------------------------------------------------------------------- */

/*
 * Reads the first @max bytes of the file into @text, or with @tail the last @max bytes. On failure
 * @text owns the allocated memory all the same.
 */
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
	text->excerpt = kt_excerpt_read(fd, &text->excerpt_len);
	return 0;
}

/*
 * Looks for JSON in standard output, and in standard error when standard output has none. When both
 * have none, metrics_fault says why standard output has none; that is not an error of this
 * function.
 */
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

/*
 * Kills and reaps the process group, then reads what it has left behind. The leader may have ended
 * long ago: the SIGKILL is for its descendants.
 */
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

/* An outcome is given out once: -ECHILD for a run that has been waited for or killed before. */
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
	kt_activity_await("the end of payload", run->payload->name);
	r = kt_poll(&waiting, 1, deadline_ns);
	kt_activity_await(NULL, NULL);
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
