/* SPDX-License-Identifier: MIT */
#include "framework/report/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/io.h"

/*
 * The list of reporters, and the texts that several forms share. A reporter that fails does not
 * keep the others from theirs: all are called, and the first error is returned.
 */

int kt_reporters_begin(struct kt_reporter *first, const struct kt_run_info *info)
{
	int r = 0;

	for (struct kt_reporter *at = first; at; at = at->next) {
		int r2;

		/* The other functions of a reporter read it. */
		at->info = info;
		r2 = at->ops->begin(at, info);
		r = r ?: r2;
	}
	return r;
}

int kt_reporters_outcome(struct kt_reporter *first, const struct kt_outcome *outcome)
{
	int r = 0;

	for (struct kt_reporter *at = first; at; at = at->next) {
		int r2 = at->ops->outcome(at, outcome);

		r = r ?: r2;
	}
	return r;
}

int kt_reporters_retry(struct kt_reporter *first, const struct kt_outcome *outcome)
{
	int r = 0;

	for (struct kt_reporter *at = first; at; at = at->next) {
		int r2 = at->ops->retry ? at->ops->retry(at, outcome) : 0;

		r = r ?: r2;
	}
	return r;
}

int kt_reporters_end(struct kt_reporter *first, const struct kt_counts *counts,
		     struct kt_err *reterr)
{
	int r = 0;

	for (struct kt_reporter *at = first; at; at = at->next) {
		/* The text of the first error is kept. */
		int r2 = at->ops->end(at, counts, r ? NULL : reterr);

		r = r ?: r2;
	}
	return r;
}

void kt_reporters_free(struct kt_reporter *first)
{
	while (first) {
		struct kt_reporter *next = first->next;

		first->ops->free(first);
		first = next;
	}
}

char *kt_report_rerun_command(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	const struct kt_options *options = info->options;
	const char *spec = outcome->kernel ? outcome->kernel->spec : NULL;

	/*
	 * Only options that change what the test does are repeated. The seed is that of the
	 * attempt.
	 */
	return kt_format("%s --exact -t %s --seed %" PRIu64 "%s%s%s%s%s", info->program,
			 outcome->test->name, outcome->seed,
			 options->boot == KT_BOOT_COLD ? " --boot cold" : "",
			 spec ? " --kernel " : "", spec ?: "", options->append ? " --append " : "",
			 options->append ?: "");
}

/*
 * Names the step of a failure. The index comes from the guest, so it is checked against the steps
 * that the test has.
 */
static void put_place(FILE *out, const struct kt_test *test, const struct kt_failure *failure)
{
	const struct kt_step *step = test->steps;
	int i = 0;

	if (failure->step < 0 || !step)
		return;
	while (i < failure->step && !step->end)
		step++, i++;
	(void)fprintf(out, "\nin step %d%s%s%s, %.3f s into the test", failure->step,
		      step->name ? " (" : "", step->name ?: "", step->name ? ")" : "",
		      (double)failure->elapsed_ns / KT_NSEC_PER_SEC);
}

char *kt_report_failure_text(const struct kt_test *test, const struct kt_failure *failure)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	if (failure->file)
		(void)fprintf(out, "%s:%u: ", failure->file, failure->line);
	(void)fputs(failure->what, out);
	if (failure->expected)
		(void)fprintf(out, "\n  expected: %s", failure->expected);
	if (failure->got)
		(void)fprintf(out, "\n       got: %s", failure->got);
	put_place(out, test, failure);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	kt_text_sanitize(text);
	return text;
}

char *kt_report_capture_text(const struct kt_capture *capture)
{
	char *text = kt_capture_text(capture);

	if (text)
		kt_text_sanitize(text);
	return text;
}
