/* SPDX-License-Identifier: MIT */
/*
 * The public functions about payloads, for the .run and .check functions of a test: run one payload
 * to its end, and find a metric in its result.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/payload/set.h"
#include "guest/scenario/state.h"
#include "util/cleanup.h"

/* What on_failure() needs to record a failure of the test at the line of the payload. */
struct failing {
	struct kt_ctx *ctx;
	const struct kt_payload *payload;
};

static void on_failure(void *data, const char *what)
{
	const struct failing *failing = data;

	(void)kt_fail(failing->ctx,
		      (struct kt_where){ failing->payload->file, failing->payload->line }, "%s",
		      what);
}

/*
 * Moves the outcome into the public structure. Its buffers are never freed: the test may use them
 * until it ends, and the machine ends with the test.
 */
static struct kt_payload_result result_of(struct kt_payload_outcome *outcome)
{
	struct kt_payload_result result = {
		.status = outcome->status,
		.duration_ns = outcome->duration_ns,
		.out = outcome->out.data,
		.out_len = outcome->out.len,
		.out_total = outcome->out.total,
		.err = outcome->err.data,
		.metrics = outcome->metrics.at,
		.n_metrics = outcome->metrics.n,
	};

	free(outcome->out.excerpt);
	free(outcome->err.excerpt);
	*outcome = KT_PAYLOAD_OUTCOME_NULL;
	return result;
}

/* A payload that misses its deadline is killed. Only a kill that fails replaces the error text. */
static int run_to_end(const struct kt_ctx *ctx, struct kt_payload_run *run, unsigned int timeout_ms,
		      struct kt_payload_outcome *outcome, struct kt_err *reterr)
{
	struct kt_err death = KT_ERR_NULL;
	int r = kt_payload_wait(run, kt_ctx_deadline_ns(ctx, timeout_ms), outcome, reterr);

	if (r == -ETIMEDOUT && kt_payload_kill(run, outcome, &death) < 0)
		(void)kt_err_set(reterr, r, "%s", death.text);
	return r;
}

int kt_payload_exec(struct kt_ctx *ctx, const struct kt_payload *payload, const char *const *args,
		    const char *cgroup, unsigned int timeout_ms, struct kt_payload_result *ret)
{
	KT_CLEANUP(kt_payload_outcome_deinit)
	struct kt_payload_outcome outcome = KT_PAYLOAD_OUTCOME_NULL;
	KT_CLEANUP(kt_payload_freep) struct kt_payload_run *run = NULL;
	struct failing failing = { .ctx = ctx, .payload = payload };
	struct kt_payload_set *set;
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (!ctx->scenario) {
		on_failure(&failing, "the guest has ended before .post_vm");
		return KT_FAILED;
	}
	set = &ctx->scenario->payloads;
	r = kt_payload_start(payload, args, cgroup, &run, &err);
	if (r < 0) {
		on_failure(&failing, err.text);
		return KT_FAILED;
	}
	r = run_to_end(ctx, run, timeout_ms, &outcome, &err);
	if (r < 0) {
		on_failure(&failing, err.text);
		kt_payload_set_note(set, payload, cgroup, &outcome, true);
		return KT_FAILED;
	}
	kt_payload_show(payload, &outcome);
	if (kt_payload_check(payload, &outcome, on_failure, &failing))
		r = KT_FAILED;
	kt_payload_set_note(set, payload, cgroup, &outcome, r);
	if (!r && kt_payload_skips(payload, &outcome, &err))
		r = kt_skip(ctx, "%s", err.text);
	if (ret)
		*ret = result_of(&outcome);
	return r;
}

bool kt_metric(const struct kt_payload_result *result, const char *name, double *ret_value)
{
	const struct kt_metric_value *metric =
		kt_metrics_find(result->metrics, result->n_metrics, name);

	if (metric)
		*ret_value = metric->value;
	return metric != NULL;
}
