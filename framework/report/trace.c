/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "framework/report/file.h"
#include "framework/report/guest_trace.h"
#include "framework/report/report.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * The time line of a run in the trace format of Chrome, for ui.perfetto.dev: a track for each slot,
 * on which attempts lie one after the other. A slice of an attempt holds slices of its phases, and
 * that of the phase "run" those of the steps. The guest's own trace of an attempt, if it has sent
 * one, is a process of its own beside them.
 *
 * The one clock is the host's, from the beginning of the run, without the time for which the run
 * was stopped; guest_clock.h says where a guest's time lies on it. An attempt whose guest has sent
 * a trace says so in numbers, from which the true times of everything follow.
 *
 * The file is made in memory, so it is bounded. The guests' traces have to leave room for the time
 * line.
 */

#define TRACE_MAX  ((size_t)64 << 20) /* bytes; attempts that come later are left out */
#define GUESTS_MAX ((size_t)48 << 20) /* from there on, what the guests have traced is */
#define RUN        1                  /* the process of the slots; their numbers are threads */

struct trace {
	struct kt_reporter reporter;
	const char *path; /* borrowed from the options */
	struct kt_report_file *file;
	struct kt_tracks tracks;
	unsigned int n_slots, n_left; /* slots with a track; attempts for which there was no room */
	unsigned int n_machines;      /* that have tracks */
	unsigned int running, passed, failed;
};

/* What an attempt's guest has traced. */
struct traced {
	struct kt_guest_trace text;
	bool is_there;
	int n_left; /* events for which there was no room */
};

static json_t *text_json(const char *text)
{
	return text ? kt_json_text(text, strlen(text)) : NULL;
}

/* @args is taken over. */
static void put_slice(struct trace *trace, const struct kt_outcome *outcome, const char *category,
		      const char *name, struct kt_span span, json_t *args)
{
	kt_tracks_put_slice(&trace->tracks, (struct kt_track){ RUN, (int)outcome->slot }, category,
			    text_json(name), span, json_pack("{so*}", "args", args));
}

static void put_counters(struct trace *trace)
{
	kt_tracks_put(&trace->tracks,
		      json_pack("{ss ss sf si s{si si si}}", "ph", "C", "name", "tests", "ts",
				kt_tracks_us(&trace->tracks, kt_now_ns()), "pid", RUN, "args",
				"running", (int)trace->running, "passed", (int)trace->passed,
				"failed", (int)trace->failed));
}

/* Gives the slots up to @slot their names. */
static void name_slots(struct trace *trace, unsigned int slot)
{
	while (trace->n_slots <= slot) {
		char name[32];

		(void)snprintf(name, sizeof(name), "slot %u", trace->n_slots);
		kt_tracks_put_name(&trace->tracks, "thread_name",
				   (struct kt_track){ RUN, (int)trace->n_slots++ }, name);
	}
}

/* A phase, or the end of the attempt if it was not begun. */
static struct kt_span phase_span(const struct kt_outcome *outcome, enum kt_phase phase,
				 struct kt_span attempt)
{
	uint64_t began_ns = outcome->phase_began_ns[phase] ?: attempt.end_ns;
	struct kt_span span = { KT_MAX(began_ns, attempt.begin_ns),
				KT_MIN(began_ns + outcome->phase_ns[phase], attempt.end_ns) };

	span.end_ns = KT_MAX(span.end_ns, span.begin_ns);
	return span;
}

static void put_steps(struct trace *trace, const struct kt_outcome *outcome,
		      const struct kt_guest_clock *clock)
{
	const json_t *steps = json_object_get(outcome->result.scenario, "steps"), *step;
	uint64_t last_ns = clock->run.begin_ns; /* slices of a track do not overlap */
	size_t i;

	json_array_foreach((json_t *)steps, i, step)
	{
		json_t *begin = json_object_get(step, "begin_ns");
		json_t *end = json_object_get(step, "end_ns");
		struct kt_span span = {
			kt_guest_clock_place(clock, KT_MAX(json_integer_value(begin), 0)),
			kt_guest_clock_place(clock, KT_MAX(json_integer_value(end), 0)),
		};
		const char *name = kt_json_str(step, "name");
		char number[32];

		(void)snprintf(number, sizeof(number), "step %zu", i);
		span.begin_ns = KT_MAX(span.begin_ns, last_ns);
		last_ns = span.end_ns = KT_MAX(span.begin_ns, span.end_ns);
		put_slice(trace, outcome, "step", *name ? name : number, span,
			  json_pack("{sO? sO?}", "guest_begin_ns", begin, "guest_end_ns", end));
	}
}

static void put_phases(struct trace *trace, const struct kt_outcome *outcome,
		       struct kt_span attempt, const struct kt_guest_clock *clock)
{
	for (int i = 0; i < KT_N_PHASES; i++) {
		struct kt_span span = phase_span(outcome, (enum kt_phase)i, attempt);

		if (!outcome->phase_began_ns[i])
			continue;
		put_slice(trace, outcome, "phase", kt_phase_name((enum kt_phase)i), span, NULL);
		if (i == KT_PHASE_RUN)
			put_steps(trace, outcome, clock);
	}
}

/* The process of a machine, which is named after the attempt. */
static void put_guest(struct trace *trace, const struct kt_outcome *outcome,
		      const struct kt_guest_clock *clock, struct traced *traced)
{
	int process = RUN + (int)++trace->n_machines;
	KT_FREE char *name = outcome->attempt > 1 || outcome->iteration > 1
				     ? kt_format("%s, round %u, attempt %u", outcome->name,
						 outcome->iteration, outcome->attempt)
				     : strdup(outcome->name);

	if (name)
		kt_tracks_put_name(&trace->tracks, "process_name", (struct kt_track){ process, 0 },
				   name);
	traced->n_left =
		kt_guest_trace_put(&traced->text, clock, process, GUESTS_MAX, &trace->tracks);
}

/* How the guest's clock lies on that of the file; NULL without a trace of the guest. */
static json_t *clock_json(const struct trace *trace, const struct kt_guest_clock *clock,
			  const struct traced *traced)
{
	if (!traced->is_there)
		return NULL;
	return json_pack("{sI sf sf si}", "test_began_guest_ns", (json_int_t)traced->text.began_ns,
			 "test_began_us", kt_tracks_us(&trace->tracks, clock->zero_ns),
			 "host_ns_in_guest_ns", clock->scale, "events_left_out", traced->n_left);
}

static void put_all(struct trace *trace, const struct kt_outcome *outcome, struct kt_span span,
		    struct traced *traced)
{
	struct kt_span run = phase_span(outcome, KT_PHASE_RUN, span);
	struct kt_guest_clock clock = kt_guest_clock_of(outcome, run, traced->text.lead_ns);

	if (traced->is_there)
		put_guest(trace, outcome, &clock, traced);
	put_slice(trace, outcome, "attempt", outcome->name, span,
		  json_pack("{ss si si so so* so*}", "verdict",
			    kt_verdict_name(outcome->result.verdict), "iteration",
			    (int)outcome->iteration, "attempt", (int)outcome->attempt, "seed",
			    json_sprintf("%" PRIu64, outcome->seed), "reason",
			    text_json(outcome->result.reason), "guest_clock",
			    clock_json(trace, &clock, traced)));
	put_phases(trace, outcome, span, &clock);
}

/* An attempt that has ended now. */
static void put_attempt(struct trace *trace, const struct kt_outcome *outcome)
{
	struct kt_span span = { outcome->began_ns, kt_now_ns() };
	struct traced traced = { .text = KT_GUEST_TRACE_NULL };
	size_t len;
	char *text;

	trace->running -= trace->running > 0;
	if (trace->tracks.n_bytes > TRACE_MAX) {
		trace->n_left++;
		return;
	}
	text = kt_capture_read(&outcome->trace, &len);
	if (text)
		traced.is_there = kt_guest_trace_init(&traced.text, text, len) == 0;
	name_slots(trace, outcome->slot);
	put_all(trace, outcome, span, &traced);
	put_counters(trace);
	kt_guest_trace_deinit(&traced.text);
}

static int trace_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
		       struct kt_err *reterr)
{
	struct trace *trace = (struct trace *)reporter;

	(void)info;
	if (kt_tracks_init(&trace->tracks) < 0)
		return kt_err_oom(reterr);
	kt_tracks_put_name(&trace->tracks, "process_name", (struct kt_track){ RUN, 0 }, "ktests");
	return kt_report_file_open(trace->path, &trace->file, reterr);
}

static int trace_start(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct trace *trace = (struct trace *)reporter;

	(void)outcome;
	trace->running++;
	put_counters(trace);
	return 0;
}

static int trace_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct trace *trace = (struct trace *)reporter;

	trace->passed += outcome->result.verdict == KT_VERDICT_PASS;
	trace->failed += kt_outcome_is_failure(outcome);
	if (outcome->began_ns)
		put_attempt(trace, outcome);
	return ferror(trace->tracks.out) ? -ENOMEM : 0;
}

static int trace_retry(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct trace *trace = (struct trace *)reporter;

	put_attempt(trace, outcome);
	return ferror(trace->tracks.out) ? -ENOMEM : 0;
}

static int trace_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		     struct kt_err *reterr)
{
	struct trace *trace = (struct trace *)reporter;
	size_t len;
	KT_FREE char *text = kt_tracks_text(
		&trace->tracks, json_pack("{si}", "attempts_left_out", (int)trace->n_left), &len);

	(void)counts;
	return text ? kt_report_file_write(trace->file, text, len, reterr) : kt_err_oom(reterr);
}

static void trace_free(struct kt_reporter *reporter)
{
	struct trace *trace = (struct trace *)reporter;

	kt_tracks_deinit(&trace->tracks);
	trace->file = kt_report_file_free(trace->file);
	free(trace);
}

static const struct kt_reporter_ops trace_ops = {
	.begin = trace_begin,
	.start = trace_start,
	.outcome = trace_outcome,
	.retry = trace_retry,
	.end = trace_end,
	.free = trace_free,
};

int kt_report_trace_new(const char *path, struct kt_reporter **ret_reporter)
{
	struct trace *trace = calloc(1, sizeof(*trace));

	if (!trace)
		return -ENOMEM;
	trace->reporter.ops = &trace_ops;
	trace->path = path;
	*ret_reporter = &trace->reporter;
	return 0;
}
