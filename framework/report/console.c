/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/report/report.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * The report for people, written while the run goes on: a heading line for each test, details below
 * it for those that did not pass, a summary at the end. --status-level decides which tests appear.
 * Output of the guest is indented and cleaned of terminal control, so that it can neither be taken
 * for a line of the report nor act on the terminal. Every function that writes a block ends with a
 * flush, because the progress line (framework/run/progress.c) is drawn on the same terminal.
 */

#define CONSOLE_LINES 20u  /* last lines of the guest's console that are shown */
#define OUTPUT_LINES  200u /* last lines of every other capture */

struct console {
	struct kt_reporter reporter;
	FILE *out;
	bool color;
};

/* How a verdict is shown, and the lowest --status-level at which it is. */
static const struct {
	const char *label;
	const char *color;
	enum kt_status_level level;
} looks[KT_N_VERDICTS] = {
	[KT_VERDICT_SKIP] = { "SKIP", "\033[1;33m", KT_STATUS_SKIP },
	[KT_VERDICT_PASS] = { "PASS", "\033[1;32m", KT_STATUS_PASS },
	[KT_VERDICT_INCONCLUSIVE] = { "INCONCLUSIVE", "\033[1;35m", KT_STATUS_FAIL },
	[KT_VERDICT_ERROR] = { "ERROR", "\033[1;31m", KT_STATUS_FAIL },
	[KT_VERDICT_FAIL] = { "FAIL", "\033[1;31m", KT_STATUS_FAIL },
};

/* The escape sequence, or nothing where colors are not wanted. */
static const char *paint(const struct console *console, const char *sequence)
{
	return console->color ? sequence : "";
}

static int console_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
			 struct kt_err *reterr)
{
	struct console *console = (struct console *)reporter;

	(void)fprintf(console->out, "kernel%s %s, accel: %s%s", info->n_kernels > 1 ? "s" : "",
		      info->kernels_text, info->host->accel_text,
		      info->time == KT_TIME_VIRTUAL ? ", virtual time" : "");
	if (!info->is_merged)
		(void)fprintf(console->out, ", %ld CPUs", sysconf(_SC_NPROCESSORS_ONLN));
	(void)fprintf(console->out, ", seed %" PRIu64, info->options->seed);
	if (info->time == KT_TIME_VIRTUAL && info->host->repeatable)
		(void)fprintf(console->out, ", turns %s",
			      kt_turns_policy_name(info->options->policy));
	(void)fprintf(console->out, ", %u test%s", info->n_tests, info->n_tests == 1 ? "" : "s");
	if (info->options->stress_count > 1)
		(void)fprintf(console->out, " x %u", info->options->stress_count);
	else if (!info->options->stress_count)
		(void)fputs(", again and again", console->out);
	if (info->n_filtered)
		(void)fprintf(console->out, " (%u filtered out)", info->n_filtered);
	(void)fputc('\n', console->out);
	if (info->host->note[0])
		(void)fprintf(console->out, "%swarning:%s %s\n", paint(console, "\033[1;33m"),
			      paint(console, "\033[0m"), info->host->note);
	(void)reterr;
	return kt_report_flush(console->out);
}

/* Writes every line of @text, indented. */
static void put_block(const struct console *console, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		kt_report_put_line(console->out, text, len);
		text += len + (text[len] == '\n');
	}
}

/* Writes the last @lines of @capture under @title; nothing when it is empty. */
static void put_capture(const struct console *console, const char *title,
			const struct kt_capture *capture, unsigned int lines)
{
	KT_FREE char *text = kt_report_capture_text(capture);
	const char *tail;

	if (!text || !*text)
		return;
	tail = kt_text_tail(text, lines);
	(void)fprintf(console->out, "  %s%s:\n", title, tail == text ? "" : ", last lines");
	put_block(console, tail);
}

static void put_failures(const struct console *console, const struct kt_outcome *outcome)
{
	const struct kt_result *result = &outcome->result;

	if (result->reason && *result->reason)
		(void)fprintf(console->out, "  %s\n", result->reason);
	for (size_t i = 0; i < result->n_failures; i++) {
		KT_FREE char *text = kt_report_failure_text(outcome->test, &result->failures[i]);

		for (char *save, *line = text ? strtok_r(text, "\n", &save) : NULL; line;
		     line = strtok_r(NULL, "\n", &save))
			(void)fprintf(console->out, "  %s\n", line);
	}
	if (result->n_failures_lost)
		(void)fprintf(console->out, "  and %u more failures\n", result->n_failures_lost);
	if (result->shed)
		(void)fprintf(console->out, "  left out, as the result was too large: %s\n",
			      result->shed);
}

static void put_capsule(const struct console *console, const struct kt_outcome *outcome)
{
	KT_FREE char *text = kt_report_capsule_text(console->reporter.info, outcome);

	if (text)
		(void)fprintf(console->out, "  %s\n", text);
}

/*
 * Everything that helps to explain an attempt. With --no-capture the guest's output was shown
 * already. A test that passed, whose details --verbose asks for, is not explained by the kernel
 * log.
 */
static void put_details(const struct console *console, const struct kt_outcome *outcome)
{
	bool passed = outcome->result.verdict == KT_VERDICT_PASS;
	KT_FREE char *command = NULL;

	if (!passed)
		kt_report_put_story(console->out, console->reporter.info, outcome);
	put_failures(console, outcome);
	if (!console->reporter.info->options->no_capture) {
		put_capture(console, "stdout", &outcome->out, OUTPUT_LINES);
		put_capture(console, "stderr", &outcome->err, OUTPUT_LINES);
	}
	put_capture(console, "host", &outcome->host, OUTPUT_LINES);
	if (passed) {
		put_capsule(console, outcome);
		return;
	}
	kt_report_put_workers(console->out, &outcome->result);
	kt_report_put_kernel(console->out, &outcome->result);
	kt_report_put_scheduler(console->out, outcome, console->reporter.info->options->output_dir);
	put_capture(console, "kernel log of the test", &outcome->dmesg, OUTPUT_LINES);
	put_capture(console, "console", &outcome->console, CONSOLE_LINES);
	command = kt_report_rerun_command(console->reporter.info, outcome);
	if (command)
		(void)fprintf(console->out, "  rerun: %s\n", command);
	put_capsule(console, outcome);
}

/* Where the time of the attempt went. */
static void put_phases(const struct console *console, const struct kt_outcome *outcome)
{
	(void)fputs("   ", console->out);
	for (int i = 0; i < KT_N_PHASES; i++)
		(void)fprintf(console->out, " %s %.3f s%s", kt_phase_name((enum kt_phase)i),
			      (double)outcome->phase_ns[i] / KT_NSEC_PER_SEC,
			      i < KT_N_PHASES - 1 ? "," : "");
	if (outcome->begin_ns)
		(void)fprintf(console->out, "; first instruction after %.3f s",
			      (double)outcome->begin_ns / KT_NSEC_PER_SEC);
	if (outcome->result.turns.insns)
		(void)fprintf(console->out, "; at %u MIPS %" PRIu64 " turns, %" PRIu64 " switches",
			      outcome->mips, outcome->result.turns.ended,
			      outcome->result.turns.switches);
	(void)fputc('\n', console->out);
}

/* "    exits: port 812, memory 40; parts_us: ram 20, ..." */
static void put_machine(const struct console *console, json_t *groups)
{
	const char *group, *name, *before = "   ";
	json_t *members, *value;

	json_object_foreach(groups, group, members)
	{
		(void)fprintf(console->out, "%s %s:", before, group);
		before = ";";
		json_object_foreach(members, name, value)(void) fprintf(
			console->out, " %s %" JSON_INTEGER_FORMAT, name, json_integer_value(value));
	}
	if (json_object_size(groups))
		(void)fputc('\n', console->out);
}

static void put_measures(const struct console *console, const struct kt_outcome *outcome)
{
	put_phases(console, outcome);
	put_machine(console, outcome->machine);
}

/*
 * "PASS" for a test with one attempt; with several, "TRY 2 FAIL" for each that did not pass, and
 * "FLAKY 2/3" for the one that passed.
 */
static void put_label(const struct console *console, const struct kt_outcome *outcome,
		      bool is_attempt)
{
	enum kt_verdict verdict = outcome->result.verdict;
	bool flaky = outcome->previous && verdict == KT_VERDICT_PASS;
	const char *color = looks[flaky ? KT_VERDICT_SKIP : verdict].color;
	char label[64];

	(void)snprintf(label, sizeof(label), "%s", looks[verdict].label);
	if (is_attempt || (outcome->previous && !flaky))
		(void)snprintf(label, sizeof(label), "TRY %u %s", outcome->attempt,
			       looks[verdict].label);
	else if (flaky)
		(void)snprintf(label, sizeof(label), "FLAKY %u/%u", outcome->attempt,
			       console->reporter.info->options->retries + 1);
	(void)fprintf(console->out, "%s%12s%s", paint(console, color), label,
		      paint(console, "\033[0m"));
}

static void put_heading(const struct console *console, const struct kt_outcome *outcome,
			bool is_attempt)
{
	const struct kt_options *options = console->reporter.info->options;

	put_label(console, outcome, is_attempt);
	(void)fprintf(console->out, " [%8.3fs] %s", (double)outcome->total_ns / KT_NSEC_PER_SEC,
		      outcome->name);
	if (options->stress_count > 1)
		(void)fprintf(console->out, " (run %u of %u)", outcome->iteration,
			      options->stress_count);
	else if (!options->stress_count)
		(void)fprintf(console->out, " (run %u)", outcome->iteration);
	if (outcome->result.verdict == KT_VERDICT_SKIP)
		(void)fprintf(console->out, ": %s", outcome->result.reason ?: "no reason given");
	(void)fputc('\n', console->out);
}

/* An attempt that another attempt follows. */
static int console_retry(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct console *console = (struct console *)reporter;

	if (reporter->info->options->status_level < KT_STATUS_RETRY)
		return 0;
	put_heading(console, outcome, true);
	put_details(console, outcome);
	return kt_report_flush(console->out);
}

static int console_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct console *console = (struct console *)reporter;
	const struct kt_options *options = reporter->info->options;
	enum kt_verdict verdict = outcome->result.verdict;
	bool skipped = verdict == KT_VERDICT_SKIP;
	enum kt_status_level level = looks[verdict].level;

	if (outcome->previous) /* where the earlier attempts are shown, the last one is too */
		level = KT_MIN(level, KT_STATUS_RETRY);
	if (level > options->status_level)
		return 0;
	put_heading(console, outcome, false);
	if (!skipped && verdict != KT_VERDICT_PASS)
		put_details(console, outcome);
	else if (!skipped && options->verbose)
		put_details(console, outcome);
	else if (!skipped)
		put_capsule(console, outcome);
	if (!skipped && options->verbose)
		put_measures(console, outcome);
	return kt_report_flush(console->out);
}

static int console_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		       struct kt_err *reterr)
{
	static const struct {
		enum kt_verdict verdict;
		const char *text;
		bool always;
	} parts[] = {
		{ KT_VERDICT_PASS, "passed", true },
		{ KT_VERDICT_FAIL, "failed", true },
		{ KT_VERDICT_ERROR, "errors", false },
		{ KT_VERDICT_INCONCLUSIVE, "inconclusive", false },
		{ KT_VERDICT_SKIP, "skipped", true },
	};
	struct console *console = (struct console *)reporter;
	int r;

	(void)fprintf(console->out, "%12s [%8.3fs] %u run", "Summary",
		      (double)counts->elapsed_ns / KT_NSEC_PER_SEC, counts->total);
	for (size_t i = 0; i < KT_ARRAY_LEN(parts); i++) {
		unsigned int n = counts->by_verdict[parts[i].verdict];

		if (n || parts[i].always)
			(void)fprintf(console->out, "%s %u %s", i ? "," : ":", n, parts[i].text);
		if (parts[i].verdict == KT_VERDICT_PASS && counts->n_flaky)
			(void)fprintf(console->out, " (%u flaky)", counts->n_flaky);
	}
	if (counts->n_not_run)
		(void)fprintf(console->out, "; %u not run", counts->n_not_run);
	if (counts->interrupted)
		(void)fputs("; interrupted", console->out);
	(void)fputc('\n', console->out);
	r = kt_report_flush(console->out);
	return r < 0 ? kt_err_set(reterr, r, "standard output: %m") : 0;
}

static void console_free(struct kt_reporter *reporter)
{
	free(reporter);
}

static const struct kt_reporter_ops console_ops = {
	.begin = console_begin,
	.outcome = console_outcome,
	.retry = console_retry,
	.end = console_end,
	.free = console_free,
};

int kt_report_console_new(FILE *out, bool color, struct kt_reporter **ret_reporter)
{
	struct console *console = calloc(1, sizeof(*console));

	if (!console)
		return -ENOMEM;
	console->reporter.ops = &console_ops;
	console->out = out;
	console->color = color;
	*ret_reporter = &console->reporter;
	return 0;
}
