/* SPDX-License-Identifier: MIT */
#include "framework/cli/reporters.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/cleanup.h"

static bool is_colorful(FILE *out)
{
	const char *terminal = getenv("TERM");

	return isatty(fileno(out)) && !(terminal && !strcmp(terminal, "dumb"));
}

/* --color overrides NO_COLOR, which overrides CLICOLOR_FORCE, which overrides the terminal. */
static bool wants_color(const struct kt_options *options, FILE *out)
{
	const char *no = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE");

	if (options->color != KT_COLOR_AUTO)
		return options->color == KT_COLOR_ALWAYS;
	if (no && *no)
		return false;
	return (force && strcmp(force, "0")) || is_colorful(out);
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
	const char *files[] = { options->ktap, options->json, options->junit, options->trace,
				options->html, options->gtest_output };
	bool taken = options->tap || options->command == KT_COMMAND_INSPECT;

	for (size_t i = 0; i < KT_ARRAY_LEN(files); i++)
		taken |= files[i] && !strcmp(files[i], "-");
	return taken;
}

FILE *kt_reporters_text_stream(const struct kt_options *options)
{
	return stdout_is_taken(options) ? stderr : stdout;
}

static bool wants_github(const struct kt_options *options)
{
	const char *github = getenv("GITHUB_ACTIONS");

	if (options->github != KT_GITHUB_AUTO)
		return options->github == KT_GITHUB_ON;
	return github && !strcmp(github, "true");
}

/* The report for people, and what GitHub puts around it. */
static int make_console(const struct kt_options *options, struct kt_reporter **ret_reporter)
{
	FILE *out = kt_reporters_text_stream(options);
	struct kt_reporter *console = NULL;
	int r = kt_report_console_new(out, wants_color(options, out), &console);

	if (r == 0 && wants_github(options))
		r = kt_report_github_new(out, console, getenv("GITHUB_STEP_SUMMARY"), &console);
	*ret_reporter = console;
	return r;
}

int kt_reporters_make(const struct kt_options *options, struct kt_reporter **list)
{
	const struct {
		const char *path; /* NULL: not wanted */
		int (*make)(const char *path, struct kt_reporter **ret_reporter);
	} reports[] = {
		{ options->ktap, kt_report_ktap_new },
		{ options->json, kt_report_json_new },
		{ options->junit, kt_report_junit_new },
		{ options->gtest_output, kt_report_gtest_new },
		{ options->html, kt_report_html_new },
		{ options->trace, kt_report_trace_new },
	};
	int r = make_console(options, kt_reporters_end_link(list));

	if (r == 0 && options->tap)
		r = kt_report_tap_new(stdout, kt_reporters_end_link(list));
	for (size_t i = 0; r == 0 && i < KT_ARRAY_LEN(reports); i++) {
		if (reports[i].path)
			r = reports[i].make(reports[i].path, kt_reporters_end_link(list));
	}
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

int kt_bisect_status(int status)
{
	switch (status) {
	case KT_EXIT_STATUS_OK:
		return KT_EXIT_STATUS_BISECT_GOOD;
	case KT_EXIT_STATUS_FAILED:
		return KT_EXIT_STATUS_BISECT_BAD;
	default:
		return status > KT_EXIT_STATUS_SIGNAL ? status : KT_EXIT_STATUS_BISECT_SKIP;
	}
}
