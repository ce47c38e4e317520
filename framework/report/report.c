/* SPDX-License-Identifier: MIT */
#include "framework/report/report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "guest/worker/type.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * The list of reporters, and the texts that several forms share. All reporters are called, also
 * after one has failed; the first error is returned.
 */

int kt_reporters_begin(struct kt_reporter *first, const struct kt_run_info *info,
		       struct kt_err *reterr)
{
	int r = 0;

	for (struct kt_reporter *at = first; at; at = at->next) {
		int r2;

		/* The other functions of a reporter read it. */
		at->info = info;
		r2 = at->ops->begin(at, info, r ? NULL : reterr);
		r = r ?: r2;
	}
	return r;
}

int kt_reporters_start(struct kt_reporter *first, const struct kt_outcome *outcome)
{
	int r = 0;

	for (struct kt_reporter *at = first; at; at = at->next) {
		int r2 = at->ops->start ? at->ops->start(at, outcome) : 0;

		r = r ?: r2;
	}
	return r;
}

int kt_reporters_slow(struct kt_reporter *first, const struct kt_outcome *outcome,
		      uint64_t elapsed_ns)
{
	int r = 0;

	for (struct kt_reporter *at = first; at; at = at->next) {
		int r2 = at->ops->slow ? at->ops->slow(at, outcome, elapsed_ns) : 0;

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

int kt_report_flush(FILE *out)
{
	errno = 0;
	return fflush(out) == 0 && !ferror(out) ? 0 : errno ? -errno : -EIO;
}

/* Appends @word as a POSIX shell reads it back: in single quotes unless it is harmless. */
static void put_word(FILE *out, const char *word)
{
	static const char harmless[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "0123456789_-+=./,:@%^";

	if (*word && word[strspn(word, harmless)] == '\0') {
		(void)fputs(word, out);
		return;
	}
	(void)fputc('\'', out);
	for (; *word; word++) {
		if (*word == '\'')
			(void)fputs("'\\''", out);
		else
			(void)fputc(*word, out);
	}
	(void)fputc('\'', out);
}

static void put_option(FILE *out, const char *option, const char *value)
{
	(void)fprintf(out, " %s ", option);
	put_word(out, value);
}

/* Options that change what the test does, beyond the defaults. */
static void put_options(FILE *out, const struct kt_options *options, const char *kernel)
{
	const struct kt_work_ops *work = kt_work_ops((enum kt_work_type)options->work_type);

	if (options->config)
		put_option(out, "--config", options->config);
	if (options->profile)
		put_option(out, "--profile", options->profile);
	if (options->ignored != KT_IGNORED_SKIP)
		put_option(out, "--run-ignored", "all");
	if (options->boot == KT_BOOT_COLD)
		put_option(out, "--boot", "cold");
	if (kernel)
		put_option(out, "--kernel", kernel);
	if (options->append)
		put_option(out, "--append", options->append);
	if (options->accel == KT_ACCEL_CHOICE_TCG || options->accel == KT_ACCEL_CHOICE_KVM)
		put_option(out, "--accel", options->accel == KT_ACCEL_CHOICE_TCG ? "tcg" : "kvm");
	if (options->vmm != KT_VMM_CHOICE_AUTO)
		put_option(out, "--vmm", options->vmm == KT_VMM_CHOICE_KVM ? "kvm" : "qemu");
	if (options->time != KT_TIME_CHOICE_AUTO)
		put_option(out, "--time",
			   options->time == KT_TIME_CHOICE_REAL ? "real" : "virtual");
	if (options->mips)
		(void)fprintf(out, " --mips %u", options->mips);
	if (options->policy != KT_TURNS_RANDOM)
		put_option(out, "--policy", kt_turns_policy_name(options->policy));
	if (options->policy == KT_TURNS_PCT && options->pct_depth != KT_PCT_DEPTH)
		(void)fprintf(out, " --pct-depth %u", options->pct_depth);
	if (options->policy == KT_TURNS_PCT && options->pct_length)
		(void)fprintf(out, " --pct-length %u", options->pct_length);
	if (options->turn_insns && options->turn_insns != KT_TURN_INSNS)
		(void)fprintf(out, " --turn %u", options->turn_insns);
	if (options->qemu)
		put_option(out, "--qemu", options->qemu);
	if (work)
		put_option(out, "--work-type", work->name);
	if (options->timeout_given)
		(void)fprintf(out, " --timeout %" PRIu64 "ms", options->timeout_ns / 1000000);
	if (options->timeout_multiplier > 0)
		(void)fprintf(out, " --timeout-multiplier %g", options->timeout_multiplier);
}

char *kt_report_rerun_command(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	const struct kt_options *options = info->options;
	const char *spec = outcome->kernel ? outcome->kernel->spec : NULL;

	char *text = NULL;
	size_t len;
	FILE *out;

	if (outcome->rerun)
		return strdup(outcome->rerun);
	out = open_memstream(&text, &len);
	if (!out)
		return NULL;
	put_word(out, info->program);
	/* The seed is that of the attempt. */
	(void)fprintf(out, " --exact -t %s --seed %" PRIu64, outcome->test->name, outcome->seed);
	put_options(out, options, spec);
	if (outcome->mips && outcome->template_ram && !outcome->template_is_own)
		(void)fprintf(out, " --template %016" PRIx64, outcome->template_ram);
	if (options->baseline && outcome->test->perf)
		put_option(out, "--baseline", options->baseline);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

char *kt_report_path(const struct kt_run_info *info, const struct kt_outcome *outcome,
		     const char *dir, const char *ending)
{
	if (!dir)
		return NULL;
	if (info->options->stress_count == 1)
		return kt_format("%s/%s.%s", dir, outcome->name, ending);
	return kt_format("%s/%s@stress-%u.%s", dir, outcome->name, outcome->iteration, ending);
}

char *kt_report_capsule_text(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	char *text = NULL;
	size_t len;
	FILE *out;

	if (outcome->no_capsule)
		return kt_format("no capsule: %s", outcome->no_capsule);
	out = outcome->capsule ? open_memstream(&text, &len) : NULL;
	if (!out)
		return NULL;
	(void)fprintf(out, "capsule of %" PRIu64 " KiB, to look into: ",
		      (outcome->capsule_bytes + 1023) >> 10);
	put_word(out, info->program);
	(void)fputs(" open ", out);
	put_word(out, outcome->capsule);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
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

void kt_report_put_line(FILE *out, const char *line, size_t len)
{
	size_t cut = KT_MIN(len, (size_t)KT_REPORT_LINE_MAX);

	/* Not in the middle of a character: its other bytes are 10xxxxxx in UTF-8. */
	while (cut < len && cut && ((unsigned char)line[cut] & 0xc0) == 0x80)
		cut--;
	(void)fprintf(out, "    %.*s", (int)cut, line);
	if (cut < len)
		(void)fprintf(out, " [... %zu bytes more]", len - cut);
	(void)fputc('\n', out);
}

char *kt_report_capture_text(const struct kt_capture *capture)
{
	size_t len, n = 0;
	KT_FREE char *bytes = kt_capture_read(capture, &len);
	char *text = bytes ? malloc(2 * len + 1) : NULL;

	if (!text)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (!bytes[i])
			text[n++] = '\\';
		text[n++] = bytes[i] ?: '0';
	}
	text[n] = '\0';
	kt_text_sanitize(text);
	return text;
}
