/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "framework/report/report.h"
#include "framework/report/stream.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "wire/json.h"

/*
 * The report for programs that follow a run: a line for each event, written when it happens. What
 * an event has is in docs/results.md. Statistics and output are not in it: -o has them.
 */

/* To be raised when a member changes its meaning; docs/results.md describes the members. */
#define STREAM_VERSION 1

struct stream {
	struct kt_reporter reporter;
	const char *path; /* borrowed from the options */
	FILE *out;        /* NULL: not open */
	uint64_t began_ns;
};

/* Writes @event, which is released, on a line of its own. */
static int put_event(const struct stream *stream, json_t *event)
{
	KT_JSON json_t *owned = event;
	KT_FREE char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;

	if (!text)
		return -ENOMEM;
	(void)fprintf(stream->out, "%s\n", text);
	return kt_report_flush(stream->out);
}

/* Nanoseconds from the beginning of the run. */
static json_int_t since(const struct stream *stream, uint64_t ns)
{
	return (json_int_t)(ns - KT_MIN(ns, stream->began_ns));
}

static json_t *text_json(const char *text)
{
	return text ? kt_json_text(text, strlen(text)) : NULL;
}

static int stream_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
			struct kt_err *reterr)
{
	struct stream *stream = (struct stream *)reporter;
	int r = kt_report_stream_open(stream->path, &stream->out, reterr);
	time_t now = time(NULL);
	char date[32];
	struct tm tm;

	if (r < 0)
		return r;
	stream->began_ns = kt_now_ns();
	(void)strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	r = put_event(stream,
		      json_pack("{ss si ss so ss so ss so si si si}", "event", "run-begins",
				"version", STREAM_VERSION, "date", date, "program",
				text_json(info->program), "kernels", info->kernels_text, "accel",
				text_json(info->host->accel_text), "time", kt_time_name(info->time),
				"seed", json_sprintf("%" PRIu64, info->options->seed), "n_tests",
				(int)info->n_tests, "n_attempts", (int)info->n_attempts,
				"n_filtered", (int)info->n_filtered));
	return r < 0 ? kt_err_set(reterr, r, "'%s': %m", stream->path) : 0;
}

static int stream_start(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	const struct stream *stream = (struct stream *)reporter;

	return put_event(stream,
			 json_pack("{ss sI ss si si si so}", "event", "attempt-begins", "at_ns",
				   since(stream, kt_now_ns()), "test", outcome->name, "iteration",
				   (int)outcome->iteration, "attempt", (int)outcome->attempt,
				   "slot", (int)outcome->slot, "seed",
				   json_sprintf("%" PRIu64, outcome->seed)));
}

static int stream_slow(struct kt_reporter *reporter, const struct kt_outcome *outcome,
		       uint64_t elapsed_ns)
{
	const struct stream *stream = (struct stream *)reporter;

	return put_event(
		stream, json_pack("{ss sI ss si si si sI}", "event", "attempt-is-slow", "at_ns",
				  since(stream, kt_now_ns()), "test", outcome->name, "iteration",
				  (int)outcome->iteration, "attempt", (int)outcome->attempt, "slot",
				  (int)outcome->slot, "elapsed_ns", (json_int_t)elapsed_ns));
}

static json_t *phases_json(const struct kt_outcome *outcome)
{
	json_t *phases = json_object();

	for (int i = 0; phases && i < KT_N_PHASES; i++)
		(void)json_object_set_new(phases, kt_phase_name((enum kt_phase)i),
					  json_integer((json_int_t)outcome->phase_ns[i]));
	return phases;
}

/* The failures as the sidecar has them. */
static json_t *failures_json(const struct kt_result *result)
{
	KT_JSON json_t *json = kt_result_to_json(result);

	return json_incref(json_object_get(json, "failures"));
}

static int put_end(const struct stream *stream, const struct kt_outcome *outcome, bool is_last)
{
	const struct kt_run_info *info = stream->reporter.info;
	const struct kt_result *result = &outcome->result;
	bool failed = kt_outcome_is_failure(outcome);
	KT_FREE char *rerun = failed ? kt_report_rerun_command(info, outcome) : NULL;

	return put_event(stream,
			 json_pack("{ss sI ss si si si sb ss so* sI so so* so*}", "event",
				   "attempt-ends", "at_ns", since(stream, kt_now_ns()), "test",
				   outcome->name, "iteration", (int)outcome->iteration, "attempt",
				   (int)outcome->attempt, "slot", (int)outcome->slot, "last",
				   is_last, "verdict", kt_verdict_name(result->verdict), "reason",
				   text_json(result->reason), "total_ns",
				   (json_int_t)outcome->total_ns, "phases_ns", phases_json(outcome),
				   "failures", failures_json(result), "rerun", text_json(rerun)));
}

static int stream_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	return put_end((struct stream *)reporter, outcome, true);
}

static int stream_retry(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	return put_end((struct stream *)reporter, outcome, false);
}

static int stream_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		      struct kt_err *reterr)
{
	const struct stream *stream = (struct stream *)reporter;
	json_t *event = json_pack("{ss sI si si si sb}", "event", "run-ends", "at_ns",
				  since(stream, kt_now_ns()), "total", (int)counts->total, "flaky",
				  (int)counts->n_flaky, "not_run", (int)counts->n_not_run,
				  "interrupted", counts->interrupted);
	int r;

	for (int i = 0; event && i < KT_N_VERDICTS; i++)
		(void)json_object_set_new(event, kt_verdict_name((enum kt_verdict)i),
					  json_integer(counts->by_verdict[i]));
	r = put_event(stream, event);
	return r < 0 ? kt_err_set(reterr, r, "'%s': %m", stream->path) : 0;
}

static void stream_free(struct kt_reporter *reporter)
{
	struct stream *stream = (struct stream *)reporter;

	kt_fclosep(&stream->out);
	free(stream);
}

static const struct kt_reporter_ops stream_ops = {
	.begin = stream_begin,
	.start = stream_start,
	.slow = stream_slow,
	.outcome = stream_outcome,
	.retry = stream_retry,
	.end = stream_end,
	.free = stream_free,
};

int kt_report_json_new(const char *path, struct kt_reporter **ret_reporter)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return -ENOMEM;
	stream->reporter.ops = &stream_ops;
	stream->path = path;
	*ret_reporter = &stream->reporter;
	return 0;
}
