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

#include "util/cleanup.h"

#define LAST_LINE_MAX 200 /* characters of the payload's last line that a failure quotes */

struct judge {
	const struct kt_payload *payload;
	const struct kt_payload_outcome *outcome;
	void (*fail)(void *data, const char *what);
	void *data;     /* for @fail */
	unsigned int n; /* violations so far */
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

/* The message quotes the payload's last line, because a program usually ends with its complaint. */
static void check_exit(struct judge *judge, int want)
{
	int status = judge->outcome->status, len;
	const char *line;

	if (WIFEXITED(status) && WEXITSTATUS(status) == want)
		return;
	len = last_line(&judge->outcome->err, &line);
	if (!len)
		len = last_line(&judge->outcome->out, &line);
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
	if (!said_which && (payload->output & KT_OUTPUT_EXIT_CODE))
		check_exit(&judge, 0);
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
