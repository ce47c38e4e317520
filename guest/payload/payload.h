/* SPDX-License-Identifier: MIT */
#pragma once
/* A payload that runs in the guest, and what it leaves behind. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/payload.h>

#include "guest/payload/metrics.h"
#include "util/err.h"

#define KT_PAYLOAD_OUT_MAX ((size_t)1 << 20)  /* of standard output, its beginning */
#define KT_PAYLOAD_ERR_MAX ((size_t)64 << 10) /* of standard error, its end */

/* Bytes that were written, of which some are kept, with a NUL behind them. */
struct kt_payload_text {
	char *data;
	size_t len;
	uint64_t total;
};

struct kt_payload_outcome {
	int status; /* as wait(2) */
	uint64_t duration_ns;
	struct kt_payload_text out;
	struct kt_payload_text err;
	struct kt_metrics metrics;   /* with KT_OUTPUT_JSON */
	struct kt_err metrics_fault; /* why there are none; else empty */
};

#define KT_PAYLOAD_OUTCOME_NULL ((struct kt_payload_outcome){ .status = 0 })

void kt_payload_outcome_deinit(struct kt_payload_outcome *outcome);

struct kt_payload_run;

/*
 * Starts a payload with its own arguments and @args (NULL: none), in a process group of its own, in
 * @cgroup (NULL: where PID 1 is). It has been replaced by the program when this returns, so that one
 * which cannot be run is an error here. Its output goes to files in memory, of which nobody is woken up.
 */
int kt_payload_start(const struct kt_payload *payload, const char *const *args, const char *cgroup,
		     struct kt_payload_run **ret_run, struct kt_err *reterr);

/* Kills what is left of it, without waiting for its outcome, and frees. */
struct kt_payload_run *kt_payload_free(struct kt_payload_run *run);
void kt_payload_freep(struct kt_payload_run **run);

/* Its first process: a child of PID 1 that nobody else may reap. 0 once it is reaped. */
pid_t kt_payload_pid(const struct kt_payload_run *run);

/*
 * Waits for its end. What it has left behind in its process group is killed then. -ETIMEDOUT when it
 * still runs at the deadline, and goes on. An outcome is given once.
 */
int kt_payload_wait(struct kt_payload_run *run, uint64_t deadline_ns,
		    struct kt_payload_outcome *ret_outcome, struct kt_err *reterr);

/* SIGKILL for its process group, and the outcome until then. */
int kt_payload_kill(struct kt_payload_run *run, struct kt_payload_outcome *ret_outcome,
		    struct kt_err *reterr);

/*
 * Judges an outcome: each thing that is not as the payload says is told to @fail as a sentence. Returns
 * how many there are.
 */
unsigned int kt_payload_check(const struct kt_payload *payload,
			      const struct kt_payload_outcome *outcome,
			      void (*fail)(void *data, const char *what), void *data);

/* Prints the payload's metrics that people want to see to standard output. */
void kt_payload_show(const struct kt_payload *payload, const struct kt_payload_outcome *outcome);
