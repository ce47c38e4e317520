/* SPDX-License-Identifier: MIT */
#include "framework/cli/reporters.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* --color overrides NO_COLOR, which overrides CLICOLOR_FORCE, which overrides isatty(). */
static bool wants_color(const struct kt_options *options)
{
	const char *no = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE");

	if (options->color != KT_COLOR_AUTO)
		return options->color == KT_COLOR_ALWAYS;
	if (no && *no)
		return false;
	return (force && strcmp(force, "0")) || isatty(STDOUT_FILENO);
}

struct kt_reporter **kt_reporters_end_link(struct kt_reporter **list)
{
	while (*list)
		list = &(*list)->next;
	return list;
}

/* Whether a report other than the console's goes to standard output; the console's moves then. */
static bool stdout_is_taken(const struct kt_options *options)
{
	return options->tap || options->command == KT_COMMAND_INSPECT ||
	       (options->junit && !strcmp(options->junit, "-")) ||
	       (options->html && !strcmp(options->html, "-")) ||
	       (options->gtest_output && !strcmp(options->gtest_output, "-"));
}

FILE *kt_reporters_text_stream(const struct kt_options *options)
{
	return stdout_is_taken(options) ? stderr : stdout;
}

int kt_reporters_make(const struct kt_options *options, struct kt_reporter **list)
{
	FILE *out = kt_reporters_text_stream(options);
	int r = kt_report_console_new(out, wants_color(options), kt_reporters_end_link(list));

	if (r == 0 && options->tap)
		r = kt_report_tap_new(stdout, kt_reporters_end_link(list));
	if (r == 0 && options->junit)
		r = kt_report_junit_new(options->junit, kt_reporters_end_link(list));
	if (r == 0 && options->gtest_output)
		r = kt_report_gtest_new(options->gtest_output, kt_reporters_end_link(list));
	if (r == 0 && options->html)
		r = kt_report_html_new(options->html, kt_reporters_end_link(list));
	return r;
}

int kt_reporters_exit_status(const struct kt_options *options, const struct kt_counts *counts,
			     int signal, bool report_failed)
{
	const unsigned int *by = counts->by_verdict;

	if (signal)
		return KT_EXIT_STATUS_SIGNAL + signal;
	/* Meson takes the verdicts from TAP; another status than 0 is an error of the program. */
	if (options->meson)
		return counts->interrupted || counts->n_not_run || report_failed
			       ? KT_EXIT_STATUS_HARNESS
			       : KT_EXIT_STATUS_OK;
	if (by[KT_VERDICT_FAIL] || (options->flaky_fails && counts->n_flaky))
		return KT_EXIT_STATUS_FAILED;
	if (by[KT_VERDICT_ERROR] || by[KT_VERDICT_INCONCLUSIVE] || counts->interrupted)
		return KT_EXIT_STATUS_HARNESS;
	if (report_failed)
		return KT_EXIT_STATUS_REPORT;
	return counts->total && by[KT_VERDICT_SKIP] == counts->total ? KT_EXIT_STATUS_SKIPPED
								     : KT_EXIT_STATUS_OK;
}
