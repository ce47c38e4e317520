/* SPDX-License-Identifier: MIT */
#include <ctype.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "framework/report/report.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * The report for people, as GitHub Actions shows it: the console's text with a group for each
 * failure, annotations at its end, and a table in the summary of the step.
 *
 * GitHub takes each line of a step that begins with "::", after spaces, for a command, whoever has
 * printed it. Commands are therefore stopped during the whole run, and a secret token that no guest
 * knows lets them work for the lines of this reporter. The reporter for people belongs to this one,
 * which calls it: nothing that it writes comes while commands work.
 *
 * GitHub shows 10 errors and 10 warnings of a step, and takes 1 MiB of summary.
 */

#define NOTES_MAX   10u
#define NOTE_TEXT   2000u /* bytes of an annotation's text, before they are escaped */
#define SUMMARY_MAX ((size_t)1 << 20)
#define CELL_TEXT   600u /* bytes of a cell of the table, likewise */

/* Annotations of one kind, the worst first; of the same verdict, the earliest. */
struct notes {
	const char *command; /* "error", "warning" */
	char *at[NOTES_MAX]; /* whole lines; owned */
	enum kt_verdict verdicts[NOTES_MAX];
	unsigned int n; /* all that there were; the first NOTES_MAX of them are kept */
};

struct github {
	struct kt_reporter reporter;
	struct kt_reporter *console; /* owned */
	FILE *out;
	char token[33]; /* hexadecimal; random */
	bool stopped;   /* commands are */
	struct notes errors, warnings;
	const char *summary_path; /* NULL: none; borrowed from the environment */
	int summary_fd;           /* -1: none */
	char *rows;               /* of the table; belongs to @table until github_free() */
	size_t rows_len;
	FILE *table;         /* a memory stream into @rows */
	unsigned int n_rows; /* also those for which there was no room */
};

/* ---- Commands -------------------------------------------------------------------------------- */

static void stop_commands(struct github *github)
{
	github->stopped = true;
	(void)fprintf(github->out, "::stop-commands::%s\n", github->token);
}

static void resume_commands(struct github *github)
{
	github->stopped = false;
	(void)fprintf(github->out, "::%s::\n", github->token);
}

/* Writes the data of a command or, with @is_property, one of its properties. */
static void put_data(FILE *out, const char *text, bool is_property)
{
	for (; *text; text++) {
		if (strchr("%\r\n", *text) || (is_property && strchr(":,", *text)))
			(void)fprintf(out, "%%%02X", (unsigned char)*text);
		else
			(void)fputc(*text, out);
	}
}

static void begin_group(struct github *github, const struct kt_outcome *outcome)
{
	resume_commands(github);
	(void)fprintf(github->out, "::group::%s %s [%.3fs]\n",
		      kt_verdict_name(outcome->result.verdict), outcome->name,
		      (double)outcome->total_ns / KT_NSEC_PER_SEC);
	stop_commands(github);
}

static void end_group(struct github *github)
{
	resume_commands(github);
	(void)fputs("::endgroup::\n", github->out);
	stop_commands(github);
}

/* ---- What is said of a test ------------------------------------------------------------------ */

/* Ends @text after @max bytes, not in the middle of a character of UTF-8. */
static void cut(char *text, size_t max)
{
	if (strlen(text) <= max)
		return;
	while (max && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	memcpy(text + max, "...", sizeof("..."));
}

/* The reason and the failures, at most @max bytes, to be freed; NULL when out of memory. */
static char *what_failed(const struct kt_outcome *outcome, size_t max)
{
	const struct kt_result *result = &outcome->result;
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	if (result->reason)
		(void)fprintf(out, "%s\n", result->reason);
	for (size_t i = 0; i < result->n_failures; i++) {
		KT_FREE char *failure = kt_report_failure_text(outcome->test, &result->failures[i]);

		(void)fprintf(out, "%s\n", failure ?: "");
	}
	(void)fputs("   ", out); /* room for the dots of cut() */
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	text[len - 3] = '\0';
	kt_text_sanitize(text);
	cut(text, max);
	return text;
}

/* A whole annotation. It is shown at the first assertion that failed, or at the test itself. */
static char *make_note(const struct github *github, const char *command,
		       const struct kt_outcome *shown, const char *title)
{
	const struct kt_failure *first = shown->result.failures;
	bool has_place = shown->result.n_failures && first->file;
	KT_FREE char *what = what_failed(shown, NOTE_TEXT);
	KT_FREE char *rerun = kt_report_rerun_command(github->reporter.info, shown);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	(void)fprintf(out, "::%s file=", command);
	put_data(out, has_place ? first->file : shown->test->file, true);
	(void)fprintf(out, ",line=%u,title=", has_place ? first->line : shown->test->line);
	put_data(out, title, true);
	(void)fputs("::", out);
	put_data(out, what ?: "", false);
	put_data(out, rerun ?: "", false);
	(void)fputc('\n', out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* Takes over @text, the annotation of a test with @verdict. */
static void keep_note(struct notes *notes, char *text, enum kt_verdict verdict)
{
	unsigned int n = KT_MIN(notes->n, NOTES_MAX), i = n;

	while (i && notes->verdicts[i - 1] < verdict)
		i--;
	notes->n++;
	if (i == NOTES_MAX) {
		free(text);
		return;
	}
	if (n == NOTES_MAX)
		free(notes->at[--n]);
	memmove(&notes->at[i + 1], &notes->at[i], (n - i) * sizeof(notes->at[0]));
	memmove(&notes->verdicts[i + 1], &notes->verdicts[i], (n - i) * sizeof(notes->verdicts[0]));
	notes->at[i] = text;
	notes->verdicts[i] = verdict;
}

static void put_notes(const struct github *github, const struct notes *notes)
{
	for (unsigned int i = 0; i < KT_MIN(notes->n, NOTES_MAX); i++)
		(void)fputs(notes->at[i] ?: "", github->out);
	if (notes->n > NOTES_MAX)
		(void)fprintf(github->out,
			      "::notice title=ktest::%u more %ss are not shown here: GitHub shows "
			      "%u of a step. The log has them all.\n",
			      notes->n - NOTES_MAX, notes->command, NOTES_MAX);
}

/* ---- The summary of the step ----------------------------------------------------------------- */

/* Every punctuation is written as its number: neither Markdown nor HTML is left in the text. */
static void put_cell(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\n')
			(void)fputs("<br>", out);
		else if (ispunct((unsigned char)*text))
			(void)fprintf(out, "&#%d;", *text);
		else
			(void)fputc(*text, out);
	}
}

/* A row is a line, and has no other newline in it. */
static void put_row(struct github *github, const struct kt_outcome *shown, const char *verdict)
{
	KT_FREE char *what = what_failed(shown, CELL_TEXT);
	KT_FREE char *rerun = kt_report_rerun_command(github->reporter.info, shown);
	FILE *out = github->table;

	github->n_rows++;
	if (fflush(out) || github->rows_len > SUMMARY_MAX)
		return;
	(void)fprintf(out, "| %s | ", verdict);
	put_cell(out, shown->name);
	(void)fprintf(out, " | %.3f s | ", (double)shown->total_ns / KT_NSEC_PER_SEC);
	put_cell(out, what ?: "");
	(void)fputs("<code>", out);
	put_cell(out, rerun ?: "");
	(void)fputs("</code> |\n", out);
}

static void put_head(const struct github *github, FILE *out, const struct kt_counts *counts)
{
	const struct kt_run_info *info = github->reporter.info;
	const unsigned int *by = counts->by_verdict;

	(void)fprintf(out,
		      "\n### %u tests: %u passed (%u flaky), %u failed, %u errors, "
		      "%u inconclusive, %u skipped",
		      counts->total, by[KT_VERDICT_PASS], counts->n_flaky, by[KT_VERDICT_FAIL],
		      by[KT_VERDICT_ERROR], by[KT_VERDICT_INCONCLUSIVE], by[KT_VERDICT_SKIP]);
	if (counts->n_not_run)
		(void)fprintf(out, ", %u not run", counts->n_not_run);
	(void)fputs("\n\nkernel ", out);
	put_cell(out, info->kernels_text);
	(void)fputs(", accel: ", out);
	put_cell(out, info->host->accel_text);
	(void)fprintf(out, ", %s time, seed %" PRIu64 ", %.1f s\n\n", kt_time_name(info->time),
		      info->options->seed, (double)counts->elapsed_ns / KT_NSEC_PER_SEC);
	if (github->n_rows)
		(void)fputs("| verdict | test | time | what |\n|---|---|---|---|\n", out);
}

/* The rows that fit into @room bytes, and how many did not. */
static void put_rows(const struct github *github, FILE *out, size_t room)
{
	unsigned int n = 0;

	for (const char *row = github->rows; row && *row;) {
		size_t len = strcspn(row, "\n") + 1;

		if (len > room)
			break;
		(void)fwrite(row, 1, len, out);
		row += len, room -= len, n++;
	}
	if (n < github->n_rows)
		(void)fprintf(out, "\n%u more had no room.\n", github->n_rows - n);
}

/* The text of the summary behind what the step has written to it before. */
static char *make_summary(const struct github *github, const struct kt_counts *counts,
			  size_t *ret_len)
{
	const size_t foot = 100; /* for the line of put_rows() */
	struct stat st = { .st_size = 0 };
	char *text = NULL;
	size_t used;
	FILE *out = open_memstream(&text, ret_len);

	if (!out)
		return NULL;
	put_head(github, out, counts);
	(void)fstat(github->summary_fd, &st);
	used = foot + (fflush(out) ? SUMMARY_MAX : *ret_len + (size_t)st.st_size);
	put_rows(github, out, used < SUMMARY_MAX ? SUMMARY_MAX - used : 0);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static int write_summary(const struct github *github, const struct kt_counts *counts,
			 struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	size_t len;
	int r;

	if (github->summary_fd < 0)
		return 0;
	text = fflush(github->table) ? NULL : make_summary(github, counts, &len);
	if (!text)
		return kt_err_oom(reterr);
	r = kt_write_full(github->summary_fd, text, len);
	return r < 0 ? kt_err_set(reterr, r, "GITHUB_STEP_SUMMARY '%s': %m", github->summary_path)
		     : 0;
}

/* ---- The reporter ---------------------------------------------------------------------------- */

static int open_summary(struct github *github, struct kt_err *reterr)
{
	github->table = open_memstream(&github->rows, &github->rows_len);
	if (!github->table)
		return kt_err_oom(reterr);
	if (!github->summary_path)
		return 0;
	github->summary_fd =
		open(github->summary_path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	return github->summary_fd < 0 ? kt_err_set(reterr, -errno, "GITHUB_STEP_SUMMARY '%s': %m",
						   github->summary_path)
				      : 0;
}

static int make_token(struct github *github, struct kt_err *reterr)
{
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return kt_err_set(reterr, -EIO, "no random numbers for GitHub's stop-commands");
	for (size_t i = 0; i < sizeof(bytes); i++)
		(void)sprintf(github->token + 2 * i, "%02x", bytes[i]);
	return 0;
}

static int github_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
			struct kt_err *reterr)
{
	struct github *github = (struct github *)reporter;
	int r = make_token(github, reterr) ?: open_summary(github, reterr);

	if (r < 0)
		return r;
	stop_commands(github);
	return kt_reporters_begin(github->console, info, reterr);
}

/* With --status-level none there is nothing to group. */
static bool is_grouped(const struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	return kt_outcome_is_failure(outcome) &&
	       reporter->info->options->status_level >= KT_STATUS_FAIL;
}

static int github_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct github *github = (struct github *)reporter;
	enum kt_verdict verdict = outcome->result.verdict;
	bool failed = kt_outcome_is_failure(outcome), grouped = is_grouped(reporter, outcome);
	const char *title = failed ? kt_verdict_name(verdict) : "flaky";
	KT_FREE char *text = kt_format("%s: %s", title, outcome->name);
	int r;

	if (grouped)
		begin_group(github, outcome);
	r = kt_reporters_outcome(github->console, outcome);
	if (grouped)
		end_group(github);
	if (failed || (verdict == KT_VERDICT_PASS && outcome->previous)) {
		const struct kt_outcome *shown = failed ? outcome : outcome->previous;
		struct notes *notes = failed ? &github->errors : &github->warnings;

		keep_note(notes, make_note(github, notes->command, shown, text ?: ""), verdict);
		put_row(github, shown, title);
	}
	return r ?: kt_report_flush(github->out);
}

static int github_slow(struct kt_reporter *reporter, const struct kt_outcome *outcome,
		       uint64_t elapsed_ns)
{
	return kt_reporters_slow(((struct github *)reporter)->console, outcome, elapsed_ns);
}

static int github_retry(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	return kt_reporters_retry(((struct github *)reporter)->console, outcome);
}

/* Commands work again behind the end, for what else the step does. */
static int github_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		      struct kt_err *reterr)
{
	struct github *github = (struct github *)reporter;
	int r = kt_reporters_end(github->console, counts, reterr), r2;

	resume_commands(github);
	put_notes(github, &github->errors);
	put_notes(github, &github->warnings);
	r2 = kt_report_flush(github->out);
	r = r ?: r2;
	r2 = write_summary(github, counts, r < 0 ? NULL : reterr);
	return r ?: r2;
}

static void github_free(struct kt_reporter *reporter)
{
	struct github *github = (struct github *)reporter;

	if (github->stopped) { /* the run has not begun: another report cannot be written */
		resume_commands(github);
		(void)kt_report_flush(github->out);
	}
	kt_reporters_free(github->console);
	kt_fclosep(&github->table);
	free(github->rows);
	(void)kt_close(github->summary_fd);
	for (unsigned int i = 0; i < NOTES_MAX; i++) {
		free(github->errors.at[i]);
		free(github->warnings.at[i]);
	}
	free(github);
}

static const struct kt_reporter_ops github_ops = {
	.begin = github_begin,
	.slow = github_slow,
	.outcome = github_outcome,
	.retry = github_retry,
	.end = github_end,
	.free = github_free,
};

int kt_report_github_new(FILE *out, struct kt_reporter *console, const char *summary_path,
			 struct kt_reporter **ret_reporter)
{
	struct github *github = calloc(1, sizeof(*github));

	if (!github)
		return -ENOMEM;
	github->reporter.ops = &github_ops;
	github->console = console;
	github->out = out;
	github->errors.command = "error";
	github->warnings.command = "warning";
	github->summary_path = summary_path && *summary_path ? summary_path : NULL;
	github->summary_fd = -1;
	*ret_reporter = &github->reporter;
	return 0;
}
