/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "framework/report/report.h"
#include "framework/report/stream.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * The report for programs that read TAP, like meson and prove. They agree on flat TAP 13: a line
 * "ok" or "not ok" for each test. All that is not a test line is written as a comment.
 *
 * KTAP is the dialect of the kernel's own tools (Documentation/dev-tools/ktap.rst): a test has its
 * steps nested before its line, and the line says more of the verdict.
 */
struct tap {
	struct kt_reporter reporter;
	bool ktap;
	const char *path; /* of KTAP; NULL: @out is not ours */
	FILE *out;
	unsigned int n; /* test lines so far */
};

static int tap_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
		     struct kt_err *reterr)
{
	struct tap *tap = (struct tap *)reporter;
	int r = tap->path ? kt_report_stream_open(tap->path, &tap->out, reterr) : 0;

	if (r < 0)
		return r;
	(void)fputs(tap->ktap ? "KTAP version 1\n" : "TAP version 13\n", tap->out);
	if (info->n_attempts) /* otherwise tap_end() writes the plan, as TAP permits */
		(void)fprintf(tap->out, "1..%u\n", info->n_attempts);
	(void)fprintf(tap->out, "# kernel %s, accel: %s, %s time, seed %" PRIu64,
		      info->kernels_text, info->host->accel_text, kt_time_name(info->time),
		      info->options->seed);
	if (info->time == KT_TIME_VIRTUAL && info->host->repeatable)
		(void)fprintf(tap->out, ", turns %s", kt_turns_policy_name(info->options->policy));
	(void)fputc('\n', tap->out);
	return kt_report_flush(tap->out);
}

/* Writes every line of @text as a comment. */
static void put_comment(FILE *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		(void)fprintf(out, "#   %.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* Writes @text on one line. A '#' would begin a directive, so it becomes a space. */
static void put_reason(FILE *out, const char *text)
{
	for (; *text; text++)
		(void)fputc(*text == '#' || *text == '\n' ? ' ' : *text, out);
}

static void put_capsule(const struct tap *tap, const struct kt_outcome *outcome)
{
	KT_FREE char *text = kt_report_capsule_text(tap->reporter.info, outcome);

	if (text)
		put_comment(tap->out, text);
}

/* ---- KTAP: the steps of a test ---- */

/* The first failure in step @index, -1: in any; NULL when there is none. */
static const struct kt_failure *failure_in(const struct kt_result *result, int index)
{
	for (size_t i = 0; i < result->n_failures; i++) {
		if (index < 0 || result->failures[i].step == index)
			return &result->failures[i];
	}
	return NULL;
}

/* A test that passed has done all its steps. A guest that died tells no step after its failure. */
static bool is_reached(const struct kt_result *result, int index)
{
	const json_t *steps = json_object_get(result->scenario, "steps");
	bool reached = result->verdict == KT_VERDICT_PASS || index < (int)json_array_size(steps);

	for (size_t i = 0; i < result->n_failures; i++)
		reached |= index <= result->failures[i].step;
	return reached;
}

static bool is_timeout(const struct kt_failure *failure)
{
	return failure && !strncmp(failure->what, "test timeout: ", 14);
}

static void put_step(FILE *out, const struct kt_result *result, const struct kt_step *step,
		     int index)
{
	const struct kt_failure *failure = failure_in(result, index);

	(void)fprintf(out, "  %sok %d ", failure ? "not " : "", index + 1);
	if (step->name)
		put_reason(out, step->name);
	else
		(void)fprintf(out, "step %d", index);
	if (is_timeout(failure))
		(void)fputs(" # TIMEOUT", out);
	else if (!failure && !is_reached(result, index))
		(void)fputs(" # SKIP not reached", out);
	(void)fputc('\n', out);
}

/* Nothing of a test without steps, or that was not begun. */
static void put_steps(FILE *out, const struct kt_outcome *outcome)
{
	const struct kt_step *steps = outcome->test->steps;
	int n = 0;

	while (steps && !steps[n].end)
		n++;
	if (!n || outcome->result.verdict == KT_VERDICT_SKIP)
		return;
	(void)fprintf(out, "  KTAP version 1\n  1..%d\n", n);
	for (int i = 0; i < n; i++)
		put_step(out, &outcome->result, &steps[i], i);
}

/* What follows the name of a test that did not pass: a directive, and why. */
static void put_directive(FILE *out, const struct kt_result *result)
{
	const struct kt_failure *failure = failure_in(result, -1);

	if (is_timeout(failure))
		(void)fputs(" # TIMEOUT ", out);
	else if (result->verdict == KT_VERDICT_ERROR)
		(void)fputs(" # ERROR ", out);
	else if (result->verdict == KT_VERDICT_INCONCLUSIVE)
		(void)fputs(" # ERROR inconclusive: ", out);
	else
		return;
	put_reason(out, is_timeout(failure) ? failure->what : result->reason ?: "");
}

/* ---- Both ---- */

static int tap_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct tap *tap = (struct tap *)reporter;
	const struct kt_result *result = &outcome->result;
	bool skipped = result->verdict == KT_VERDICT_SKIP;
	/* ERROR and INCONCLUSIVE have no counterpart in TAP: both are "not ok". */
	bool ok = skipped || result->verdict == KT_VERDICT_PASS;

	if (tap->ktap)
		put_steps(tap->out, outcome);
	(void)fprintf(tap->out, "%sok %u %s%s", ok ? "" : "not ", ++tap->n, tap->ktap ? "" : "- ",
		      outcome->name);
	if (reporter->info->options->stress_count != 1)
		(void)fprintf(tap->out, " run %u", outcome->iteration);
	if (skipped) {
		(void)fputs(" # SKIP ", tap->out);
		put_reason(tap->out, result->reason ?: "");
	}
	if (!ok && tap->ktap)
		put_directive(tap->out, result);
	(void)fputc('\n', tap->out);
	if (ok && outcome->previous)
		(void)fprintf(tap->out, "# flaky: passed in attempt %u\n", outcome->attempt);
	if (!ok)
		(void)fprintf(tap->out, "# %s, %.3f s\n", kt_verdict_name(result->verdict),
			      (double)outcome->total_ns / KT_NSEC_PER_SEC);
	if (!ok && result->reason)
		put_comment(tap->out, result->reason);
	for (size_t i = 0; i < result->n_failures; i++) {
		KT_FREE char *text = kt_report_failure_text(outcome->test, &result->failures[i]);

		put_comment(tap->out, text ?: "");
	}
	put_capsule(tap, outcome);
	return kt_report_flush(tap->out);
}

static int tap_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		   struct kt_err *reterr)
{
	struct tap *tap = (struct tap *)reporter;
	int r;

	if (!reporter->info->n_attempts)
		(void)fprintf(tap->out, "1..%u\n", tap->n);
	if (counts->interrupted)
		(void)fputs("Bail out! interrupted\n", tap->out);
	r = kt_report_flush(tap->out);
	return r < 0 ? kt_err_set(reterr, r, "%s: %m", tap->path ?: "standard output") : 0;
}

static void tap_free(struct kt_reporter *reporter)
{
	struct tap *tap = (struct tap *)reporter;

	if (tap->path)
		kt_fclosep(&tap->out);
	free(tap);
}

static const struct kt_reporter_ops tap_ops = {
	.begin = tap_begin,
	.outcome = tap_outcome,
	.end = tap_end,
	.free = tap_free,
};

static int tap_new(struct tap form, struct kt_reporter **ret_reporter)
{
	struct tap *tap = malloc(sizeof(*tap));

	if (!tap)
		return -ENOMEM;
	*tap = form;
	tap->reporter.ops = &tap_ops;
	*ret_reporter = &tap->reporter;
	return 0;
}

int kt_report_tap_new(FILE *out, struct kt_reporter **ret_reporter)
{
	return tap_new((struct tap){ .out = out }, ret_reporter);
}

int kt_report_ktap_new(const char *path, struct kt_reporter **ret_reporter)
{
	return tap_new((struct tap){ .ktap = true, .path = path }, ret_reporter);
}
