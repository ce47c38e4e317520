/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "framework/report/report.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * The report for programs that read TAP, like meson and prove. They agree on flat TAP 13: a line
 * "ok" or "not ok" for each test. All that is not a test line is written as a comment.
 */
struct tap {
	struct kt_reporter reporter;
	FILE *out;
	unsigned int n; /* test lines so far */
};

static int tap_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
		     struct kt_err *reterr)
{
	struct tap *tap = (struct tap *)reporter;

	(void)fputs("TAP version 13\n", tap->out);
	if (info->n_attempts) /* otherwise tap_end() writes the plan, as TAP permits */
		(void)fprintf(tap->out, "1..%u\n", info->n_attempts);
	(void)fprintf(tap->out, "# kernel %s, accel: %s, %s time, seed %" PRIu64,
		      info->kernels_text, info->host->accel_text, kt_time_name(info->time),
		      info->options->seed);
	if (info->time == KT_TIME_VIRTUAL && info->host->repeatable)
		(void)fprintf(tap->out, ", turns %s", kt_turns_policy_name(info->options->policy));
	(void)fputc('\n', tap->out);
	(void)reterr;
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

static int tap_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct tap *tap = (struct tap *)reporter;
	const struct kt_result *result = &outcome->result;
	bool skipped = result->verdict == KT_VERDICT_SKIP;
	/* ERROR and INCONCLUSIVE have no counterpart in TAP: both are "not ok". */
	bool ok = skipped || result->verdict == KT_VERDICT_PASS;

	(void)fprintf(tap->out, "%sok %u - %s", ok ? "" : "not ", ++tap->n, outcome->name);
	if (reporter->info->options->stress_count != 1)
		(void)fprintf(tap->out, " run %u", outcome->iteration);
	if (skipped) {
		(void)fputs(" # SKIP ", tap->out);
		put_reason(tap->out, result->reason ?: "");
	}
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
	return r < 0 ? kt_err_set(reterr, r, "standard output: %m") : 0;
}

static void tap_free(struct kt_reporter *reporter)
{
	free(reporter);
}

static const struct kt_reporter_ops tap_ops = {
	.begin = tap_begin,
	.outcome = tap_outcome,
	.end = tap_end,
	.free = tap_free,
};

int kt_report_tap_new(FILE *out, struct kt_reporter **ret_reporter)
{
	struct tap *tap = calloc(1, sizeof(*tap));

	if (!tap)
		return -ENOMEM;
	tap->reporter.ops = &tap_ops;
	tap->out = out;
	*ret_reporter = &tap->reporter;
	return 0;
}
