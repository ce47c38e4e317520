/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One run of a payload in the guest: start it, wait for it or kill it, judge what it leaves behind.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/payload.h>

#include "guest/payload/metrics.h"
#include "util/err.h"

/*
 * Bytes that are kept of the output: the beginning of standard output, the end of standard error.
 */
#define KT_PAYLOAD_OUT_MAX ((size_t)1 << 20)
#define KT_PAYLOAD_ERR_MAX ((size_t)64 << 10)

/* The kept part of one output stream. */
struct kt_payload_text {
	char *data;     /* owned; @len bytes and a NUL; NULL when nothing was read */
	size_t len;     /* bytes that are kept */
	uint64_t total; /* bytes that the payload has written */
	char *excerpt;  /* its beginning and its end, for reports; owned; NULL: not read */
	size_t excerpt_len;
};

/* What a payload has left behind. Owns its texts and metrics. */
struct kt_payload_outcome {
	int status;           /* of the group's leader, as from wait(2) */
	uint64_t duration_ns; /* from the fork until the end was noticed, or until the kill */
	struct kt_payload_text out;
	struct kt_payload_text err;
	struct kt_metrics metrics;   /* empty without KT_OUTPUT_JSON */
	struct kt_err metrics_fault; /* KT_OUTPUT_JSON, but no JSON: why; else empty */
};

#define KT_PAYLOAD_OUTCOME_NULL ((struct kt_payload_outcome){ .status = 0 })

/* Frees the texts and metrics, and leaves @outcome empty. */
void kt_payload_outcome_deinit(struct kt_payload_outcome *outcome);

struct kt_payload_run;

/*
 * Starts a payload with the arguments of its declaration followed by @args (NULL: none), in a
 * process group of its own, in @cgroup (NULL: the cgroup of PID 1). Its output goes to files in
 * memory, so that writing does not wake up another process.
 *
 * The exec has succeeded when this returns 0. Otherwise the errors are those of kt_program_start(),
 * kt_program_output() and -ENOMEM, and *@ret_run is untouched.
 */
int kt_payload_start(const struct kt_payload *payload, const char *const *args, const char *cgroup,
		     struct kt_payload_run **ret_run, struct kt_err *reterr);

/* Kills and reaps the process group if it still runs, and frees the run. Returns NULL. */
struct kt_payload_run *kt_payload_free(struct kt_payload_run *run);
void kt_payload_freep(struct kt_payload_run **run);

/*
 * The first process of the payload, 0 once it is reaped. It is a child of PID 1, and only the run
 * may reap it: code that reaps other children must leave it alone.
 */
pid_t kt_payload_pid(const struct kt_payload_run *run);

/*
 * Waits until the first process of the payload ends, kills the rest of its process group, and gives
 * out the outcome, which the caller owns.
 *
 * -ETIMEDOUT when the payload still runs at the deadline; it continues to run. -ECHILD when its
 * outcome has been given out before. Other errors when the output cannot be read.
 */
int kt_payload_wait(struct kt_payload_run *run, uint64_t deadline_ns,
		    struct kt_payload_outcome *ret_outcome, struct kt_err *reterr);

/*
 * Kills the process group with SIGKILL and gives out the outcome up to then. -ETIMEDOUT when the
 * group does not die within 3 s; other errors as for kt_payload_wait().
 */
int kt_payload_kill(struct kt_payload_run *run, struct kt_payload_outcome *ret_outcome,
		    struct kt_err *reterr);

/*
 * Judges an outcome by the checks of the payload's declaration. Calls @fail with one sentence for
 * each check that fails, and with @data. Returns the number of those calls.
 */
unsigned int kt_payload_check(const struct kt_payload *payload,
			      const struct kt_payload_outcome *outcome,
			      void (*fail)(void *data, const char *what), void *data);

/*
 * Whether the payload says by its TAP or its status that there was nothing to test: with
 * KT_OUTPUT_KSELFTEST the status 4, with that and with KT_OUTPUT_TAP a plan or results that are all
 * skipped. The reason, "payload NAME: ...", goes to *@ret_reason. For an outcome without failures.
 */
bool kt_payload_skips(const struct kt_payload *payload, const struct kt_payload_outcome *outcome,
		      struct kt_err *ret_reason);

/* Prints what the payload has written, the beginning and the end of it, to standard output. */
void kt_payload_print(const struct kt_payload *payload, const struct kt_payload_outcome *outcome);

/* Prints the metrics that the declaration lists in .metrics, and that exist, to standard output. */
void kt_payload_show(const struct kt_payload *payload, const struct kt_payload_outcome *outcome);
