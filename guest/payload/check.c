/* SPDX-License-Identifier: MIT */
/*
 * Judges the outcome of a payload by the checks of its declaration.
 *
 * This file only compares and words: it neither waits for a process nor records a failure. Each
 * violation becomes one sentence, which goes to the callback of the caller. exec.c and set.c pass
 * callbacks that record a failure of the test.
 */
#include "guest/payload/payload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "guest/payload/tap.h"
#include "util/cleanup.h"

#define RESULTS_TOLD  8u  /* results of TAP that failed, each of which is a failure of its own */
#define SKIPPED       4   /* KSFT_SKIP of tools/testing/selftests/kselftest.h */
#define LAST_LINE_MAX 200 /* characters of the payload's last line that a failure quotes */

struct judge {
	const struct kt_payload *payload;
	const struct kt_payload_outcome *outcome;
	void (*fail)(void *data, const char *what);
	void *data;             /* for @fail */
	unsigned int n;         /* violations so far */
	unsigned int n_results; /* of them, results of TAP that failed */
};

static void tell(struct judge *judge, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Passes one violation to the caller, as "payload NAME: SENTENCE". */
static void tell(struct judge *judge, const char *format, ...)
{
	struct kt_err text;
	va_list ap;

	va_start(ap, format);
	(void)kt_err_vset(&text, 0, format, ap);
	va_end(ap);
	(void)kt_err_prefix(&text, 0, "payload %s", judge->payload->name);
	judge->fail(judge->data, text.text);
	judge->n++;
}

/*
 * Finds the last line of @text that is not blank. *@ret_line points into @text and has no NUL of
 * its own; its length, at most LAST_LINE_MAX, is returned. 0 when the text is blank.
 */
static int last_line(const struct kt_payload_text *text, const char **ret_line)
{
	const char *end = text->data ? text->data + text->len : NULL, *at;

	while (end && end > text->data && strchr(" \t\r\n", end[-1]))
		end--;
	at = end;
	while (at && at > text->data && at[-1] != '\n')
		at--;
	*ret_line = at ?: "";
	return (int)KT_MIN(end - at, (ptrdiff_t)LAST_LINE_MAX);
}

/* A complaint is on standard error, where there is any. */
static int last_words(const struct kt_payload_outcome *outcome, const char **ret_line)
{
	return last_line(&outcome->err, ret_line) ?: last_line(&outcome->out, ret_line);
}

/* The message quotes the payload's last line, because a program usually ends with its complaint. */
static void check_exit(struct judge *judge, int want)
{
	int status = judge->outcome->status, len;
	const char *line;

	if (WIFEXITED(status) && WEXITSTATUS(status) == want)
		return;
	len = last_words(judge->outcome, &line);
	if (WIFSIGNALED(status))
		tell(judge, "it was ended by signal %d (%s), and was to exit with status %d%s%.*s",
		     WTERMSIG(status), strsignal(WTERMSIG(status)), want,
		     len ? "; its last words: " : "", len, line);
	else
		tell(judge, "it exited with status %d, not %d%s%.*s", WEXITSTATUS(status), want,
		     len ? "; its last words: " : "", len, line);
}

/* The unit that the declaration gives to @metric, "" when it gives none. */
static const char *unit_of(const struct kt_payload *payload, const char *metric)
{
	for (const struct kt_metric_def *at = payload->metrics; at && !at->end; at++) {
		if (!strcmp(at->name, metric))
			return at->unit ?: "";
	}
	return "";
}

/*
 * Reports a metric that the output lacks, with the metrics that it has. When the output has no JSON
 * at all, kt_payload_check() reports that once, and nothing is said here for each metric.
 */
static void tell_missing(struct judge *judge, const char *name)
{
	const struct kt_metrics *metrics = &judge->outcome->metrics;

	if (judge->outcome->metrics_fault.text[0])
		return;
	if (!metrics->n)
		tell(judge, "there is no '%s' in its output, whose JSON holds no number", name);
	else if (metrics->n == 1)
		tell(judge, "there is no '%s' in its output, only '%s'", name, metrics->at[0].name);
	else
		tell(judge, "there is no '%s' among the %zu numbers of its output, '%s' to '%s'%s",
		     name, metrics->n, metrics->at[0].name, metrics->at[metrics->n - 1].name,
		     metrics->n_dropped ? "; more were dropped" : "");
}

/*
 * The limits themselves are allowed values. KT_CHECK_METRIC_EXISTS has no limit: it only needs the
 * metric to be there.
 */
static void check_metric(struct judge *judge, const struct kt_check *check)
{
	const struct kt_metrics *metrics = &judge->outcome->metrics;
	const struct kt_metric_value *metric =
		kt_metrics_find(metrics->at, metrics->n, check->metric);
	const char *unit = unit_of(judge->payload, check->metric), *space = *unit ? " " : "";

	if (!metric)
		tell_missing(judge, check->metric);
	else if (check->kind == KT_CHECK_METRIC_MIN && !(metric->value >= check->min))
		tell(judge, "%s is %g%s%s, and must be at least %g", metric->name, metric->value,
		     space, unit, check->min);
	else if (check->kind == KT_CHECK_METRIC_MAX && !(metric->value <= check->max))
		tell(judge, "%s is %g%s%s, and must be at most %g", metric->name, metric->value,
		     space, unit, check->max);
	else if (check->kind == KT_CHECK_METRIC_RANGE &&
		 !(metric->value >= check->min && metric->value <= check->max))
		tell(judge, "%s is %g%s%s, and must be within %g..%g", metric->name, metric->value,
		     space, unit, check->min, check->max);
}

/* ---- TAP ------------------------------------------------------------------------------------- */

static void on_failed_result(void *data, const char *line, size_t len)
{
	struct judge *judge = data;

	if (judge->n_results++ < RESULTS_TOLD)
		tell(judge, "%.*s", (int)len, line);
}

/*
 * A kernel selftest may print no TAP at all, and its status tells whether it came to its end. Other
 * programs must have a plan: without one, a program that ended too early would seem complete.
 */
static void check_plan(struct judge *judge, const struct kt_tap *tap)
{
	bool is_kselftest = judge->payload->output & KT_OUTPUT_KSELFTEST;

	if (tap->bails_out)
		tell(judge, "it bailed out%s%s", *tap->reason ? ": " : "", tap->reason);
	else if (tap->has_plan && tap->planned != tap->n_results)
		tell(judge, "its plan is 1..%u, and it reported %u results", tap->planned,
		     tap->n_results);
	else if (!tap->has_plan && !is_kselftest)
		tell(judge, tap->n_results ? "its output has results, but no plan (1..N)"
					   : "there is no TAP in its output");
}

static void check_tap(struct judge *judge)
{
	const struct kt_payload_text *out = &judge->outcome->out;
	struct kt_tap tap;

	kt_tap_read(out->data ?: "", out->len, &tap, on_failed_result, judge);
	if (tap.n_failed > RESULTS_TOLD)
		tell(judge, "%u more results are \"not ok\"", tap.n_failed - RESULTS_TOLD);
	if (out->total > out->len)
		tell(judge, "of %" PRIu64 " bytes of output %zu were kept; TAP after them is lost",
		     out->total, out->len);
	else
		check_plan(judge, &tap);
}

bool kt_payload_skips(const struct kt_payload *payload, const struct kt_payload_outcome *outcome,
		      struct kt_err *ret_reason)
{
	const struct kt_payload_text *out = &outcome->out;
	const char *words = "";
	bool has_status;
	struct kt_tap tap;
	int len = 0;

	if (!(payload->output & (KT_OUTPUT_TAP | KT_OUTPUT_KSELFTEST)))
		return false;
	kt_tap_read(out->data ?: "", out->len, &tap, NULL, NULL);
	has_status = payload->output & KT_OUTPUT_KSELFTEST && WIFEXITED(outcome->status) &&
		     WEXITSTATUS(outcome->status) == SKIPPED;
	if (!has_status && !tap.skips_all && (!tap.n_results || tap.n_skipped < tap.n_results))
		return false;
	if (!*tap.reason)
		len = last_words(outcome, &words);
	(void)kt_err_set(ret_reason, 0, "payload %s: %s%.*s", payload->name,
			 *tap.reason ? tap.reason
			 : len       ? ""
				     : "it has skipped everything",
			 len, words);
	return true;
}

/* ---- all checks ------------------------------------------------------------------------------ */

/* With KT_OUTPUT_KSELFTEST, the status for "skipped" is not a failure. */
static void check_status(struct judge *judge)
{
	unsigned int output = judge->payload->output;
	int status = judge->outcome->status;

	if (output & KT_OUTPUT_KSELFTEST && WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		return;
	if (output & (KT_OUTPUT_EXIT_CODE | KT_OUTPUT_KSELFTEST))
		check_exit(judge, 0);
}

unsigned int kt_payload_check(const struct kt_payload *payload,
			      const struct kt_payload_outcome *outcome,
			      void (*fail)(void *data, const char *what), void *data)
{
	struct judge judge = {
		.payload = payload,
		.outcome = outcome,
		.fail = fail,
		.data = data,
	};
	bool said_which = false;

	/* The exit status comes first: it is often the cause of all other failures. */
	for (const struct kt_check *at = payload->checks; at && !at->end; at++) {
		if (at->kind != KT_CHECK_EXIT_CODE)
			continue;
		said_which = true;
		check_exit(&judge, at->exit_code);
	}
	if (!said_which)
		check_status(&judge);
	if (payload->output & (KT_OUTPUT_TAP | KT_OUTPUT_KSELFTEST))
		check_tap(&judge);
	if (outcome->metrics_fault.text[0])
		tell(&judge, "there is no JSON in its output: %s", outcome->metrics_fault.text);
	for (const struct kt_check *at = payload->checks; at && !at->end; at++) {
		if (at->metric)
			check_metric(&judge, at);
	}
	return judge.n;
}

void kt_payload_show(const struct kt_payload *payload, const struct kt_payload_outcome *outcome)
{
	static const char *const better[] = { "", ", lower is better", ", higher is better" };

	for (const struct kt_metric_def *at = payload->metrics; at && !at->end; at++) {
		const struct kt_metric_value *metric =
			kt_metrics_find(outcome->metrics.at, outcome->metrics.n, at->name);

		if (metric)
			(void)printf("payload %s: %s %g%s%s%s\n", payload->name, at->name,
				     metric->value, at->unit ? " " : "", at->unit ?: "",
				     at->better <= KT_HIGHER ? better[at->better] : "");
	}
}

static void print_text(const struct kt_payload *payload, const struct kt_payload_text *text,
		       const char *stream)
{
	if (!text->excerpt || !text->excerpt_len)
		return;
	(void)printf("payload %s, standard %s:\n", payload->name, stream);
	(void)fwrite(text->excerpt, 1, text->excerpt_len, stdout);
	if (text->excerpt[text->excerpt_len - 1] != '\n')
		(void)putchar('\n');
}

void kt_payload_print(const struct kt_payload *payload, const struct kt_payload_outcome *outcome)
{
	print_text(payload, &outcome->out, "output");
	print_text(payload, &outcome->err, "error");
}
