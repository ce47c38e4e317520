/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "framework/report/file.h"
#include "framework/report/report.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "wire/json.h"

/*
 * The time line of a run in the trace format of Chrome, for ui.perfetto.dev: a track for each slot,
 * on which attempts lie one after the other. A slice of an attempt holds slices of its phases, and
 * that of the phase "run" those of the steps. The clock is the host's, from the beginning of the
 * run, without the time for which the run was stopped.
 *
 * The guest tells the times of steps on its own clock. In virtual time, that clock is stretched
 * over the phase: the order and the proportions are right, and the arguments have the true times.
 */

#define TRACE_MAX ((size_t)64 << 20) /* bytes; what comes later is left out */
#define PID       1                  /* in the format: the run; the threads are the slots */

struct trace {
	struct kt_reporter reporter;
	const char *path; /* borrowed from the options */
	struct kt_report_file *file;
	char *events; /* belongs to @out until trace_free() */
	size_t events_len;
	FILE *out; /* a memory stream into @events */
	uint64_t began_ns;
	unsigned int n_slots, n_left; /* slots with a track; attempts for which there was no room */
	unsigned int running, passed, failed;
};

/* A slice in the making, on the clock of the trace. */
struct span {
	uint64_t begin_ns, end_ns;
};

/* Microseconds, in which the format counts. */
static double trace_us(const struct trace *trace, uint64_t ns)
{
	return (double)(ns - KT_MIN(ns, trace->began_ns)) / KT_NSEC_PER_USEC;
}

/* Writes @event, which is released, behind the others. Out of memory is seen at the end. */
static void put_event(struct trace *trace, json_t *event)
{
	KT_JSON json_t *owned = event;
	KT_FREE char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;

	if (text)
		(void)fprintf(trace->out, ",\n%s", text);
}

static json_t *text_json(const char *text)
{
	return text ? kt_json_text(text, strlen(text)) : NULL;
}

/* @args is taken over. */
static void put_slice(struct trace *trace, const struct kt_outcome *outcome, const char *category,
		      const char *name, struct span span, json_t *args)
{
	double begin_us = trace_us(trace, span.begin_ns);

	put_event(trace, json_pack("{ss so ss sf sf si si so*}", "ph", "X", "name", text_json(name),
				   "cat", category, "ts", begin_us, "dur",
				   trace_us(trace, span.end_ns) - begin_us, "pid", PID, "tid",
				   (int)outcome->slot, "args", args));
}

static void put_counters(struct trace *trace)
{
	put_event(trace, json_pack("{ss ss sf si s{si si si}}", "ph", "C", "name", "tests", "ts",
				   trace_us(trace, kt_now_ns()), "pid", PID, "args", "running",
				   (int)trace->running, "passed", (int)trace->passed, "failed",
				   (int)trace->failed));
}

static void put_name(struct trace *trace, const char *kind, int slot, const char *name)
{
	put_event(trace, json_pack("{ss ss si si s{ss}}", "ph", "M", "name", kind, "pid", PID,
				   "tid", slot, "args", "name", name));
}

/* Gives the slots up to @slot their names. */
static void name_slots(struct trace *trace, unsigned int slot)
{
	while (trace->n_slots <= slot) {
		char name[32];

		(void)snprintf(name, sizeof(name), "slot %u", trace->n_slots);
		put_name(trace, "thread_name", (int)trace->n_slots++, name);
	}
}

/* The point @guest_ns of a test that ran in @run. */
static uint64_t place(const struct kt_outcome *outcome, struct span run, json_int_t guest_ns)
{
	uint64_t whole_ns = outcome->result.duration_ns, at_ns = (uint64_t)KT_MAX(guest_ns, 0);

	if (outcome->mips && whole_ns)
		at_ns = (uint64_t)((double)(run.end_ns - run.begin_ns) * (double)at_ns /
				   (double)whole_ns);
	return KT_MIN(run.begin_ns + KT_MIN(at_ns, run.end_ns), run.end_ns);
}

static void put_steps(struct trace *trace, const struct kt_outcome *outcome, struct span run)
{
	const json_t *steps = json_object_get(outcome->result.scenario, "steps"), *step;
	uint64_t last_ns = run.begin_ns; /* slices of a track do not overlap */
	size_t i;

	json_array_foreach((json_t *)steps, i, step)
	{
		json_t *begin = json_object_get(step, "begin_ns");
		json_t *end = json_object_get(step, "end_ns");
		struct span span = { place(outcome, run, json_integer_value(begin)),
				     place(outcome, run, json_integer_value(end)) };
		const char *name = kt_json_str(step, "name");
		char number[32];

		(void)snprintf(number, sizeof(number), "step %zu", i);
		span.begin_ns = KT_MAX(span.begin_ns, last_ns);
		last_ns = span.end_ns = KT_MAX(span.begin_ns, span.end_ns);
		put_slice(trace, outcome, "step", *name ? name : number, span,
			  json_pack("{sO? sO?}", "guest_begin_ns", begin, "guest_end_ns", end));
	}
}

static void put_phases(struct trace *trace, const struct kt_outcome *outcome, struct span attempt)
{
	for (int i = 0; i < KT_N_PHASES; i++) {
		struct span span = { outcome->phase_began_ns[i],
				     outcome->phase_began_ns[i] + outcome->phase_ns[i] };

		if (!outcome->phase_began_ns[i])
			continue;
		span.begin_ns = KT_MAX(span.begin_ns, attempt.begin_ns);
		span.end_ns = KT_MAX(KT_MIN(span.end_ns, attempt.end_ns), span.begin_ns);
		put_slice(trace, outcome, "phase", kt_phase_name((enum kt_phase)i), span, NULL);
		if (i == KT_PHASE_RUN)
			put_steps(trace, outcome, span);
	}
}

/* An attempt that has ended now. */
static void put_attempt(struct trace *trace, const struct kt_outcome *outcome)
{
	struct span span = { outcome->began_ns, kt_now_ns() };

	trace->running -= trace->running > 0;
	if (fflush(trace->out) || trace->events_len > TRACE_MAX) {
		trace->n_left++;
		return;
	}
	name_slots(trace, outcome->slot);
	put_slice(trace, outcome, "attempt", outcome->name, span,
		  json_pack("{ss si si so so*}", "verdict",
			    kt_verdict_name(outcome->result.verdict), "iteration",
			    (int)outcome->iteration, "attempt", (int)outcome->attempt, "seed",
			    json_sprintf("%" PRIu64, outcome->seed), "reason",
			    text_json(outcome->result.reason)));
	put_phases(trace, outcome, span);
	put_counters(trace);
}

static int trace_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
		       struct kt_err *reterr)
{
	struct trace *trace = (struct trace *)reporter;

	(void)info;
	trace->began_ns = kt_now_ns();
	trace->out = open_memstream(&trace->events, &trace->events_len);
	if (!trace->out)
		return kt_err_oom(reterr);
	put_name(trace, "process_name", 0, "ktests");
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
	return ferror(trace->out) ? -ENOMEM : 0;
}

static int trace_retry(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct trace *trace = (struct trace *)reporter;

	put_attempt(trace, outcome);
	return ferror(trace->out) ? -ENOMEM : 0;
}

static int trace_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		     struct kt_err *reterr)
{
	struct trace *trace = (struct trace *)reporter;
	KT_FREE char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)counts;
	if (!out || fflush(trace->out)) {
		kt_fclosep(&out);
		return kt_err_oom(reterr);
	}
	/* The first event has a comma before it. */
	(void)fprintf(out,
		      "{\"displayTimeUnit\":\"ms\",\"otherData\":{\"attempts_left_out\":%u},"
		      "\"traceEvents\":[%s]}\n",
		      trace->n_left, trace->events + 1);
	if (fclose(out))
		return kt_err_oom(reterr);
	return kt_report_file_write(trace->file, text, len, reterr);
}

static void trace_free(struct kt_reporter *reporter)
{
	struct trace *trace = (struct trace *)reporter;

	kt_fclosep(&trace->out);
	free(trace->events);
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
