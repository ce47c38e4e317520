/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "framework/report/escape.h"
#include "framework/report/file.h"
#include "framework/report/report.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * XML reports for CI servers in two dialects: JUnit as Jenkins reads it, and GoogleTest's. They
 * differ in a few attributes only: the xUnit plugin of Jenkins refuses a file with an attribute
 * that it does not know (tests/checks/reports.py has those that it knows). The root element carries
 * totals, which are known at the end, so test cases are collected in memory (xml->cases) and the
 * file is written in xml_end().
 *
 * The file must be well-formed whatever a test prints: all text passes put_escaped().
 */

#define OUTPUT_HEAD ((size_t)16 << 10) /* bytes of a long output */
#define OUTPUT_TAIL ((size_t)48 << 10)
#define OUTPUT_ALL  ((size_t)32 << 20) /* bytes of all outputs: a run may have no end */

enum dialect {
	DIALECT_JUNIT,
	DIALECT_GTEST,
};

struct xml {
	struct kt_reporter reporter;
	enum dialect dialect;
	const char *path; /* borrowed from the options */
	struct kt_report_file *file;
	char *cases; /* the <testcase> elements; belongs to @out until xml_free() */
	size_t cases_len;
	FILE *out;       /* a memory stream into @cases */
	size_t n_output; /* bytes of outputs in it, before they are escaped */
	struct tm began; /* UTC */
};

static void put_escaped(FILE *out, const char *text)
{
	kt_report_put_escaped(out, text, strlen(text));
}

static void put_attribute(FILE *out, const char *name, const char *value)
{
	(void)fprintf(out, " %s=\"", name);
	put_escaped(out, value);
	(void)fputc('"', out);
}

/*
 * Writes a capture as an element; nothing when it is empty. Viewers load the whole file, so a long
 * output is reduced to its head and tail, and all outputs together are bounded. The first are kept,
 * because a run without end mostly repeats them.
 */
static void put_capture(struct xml *xml, const char *element, const struct kt_capture *capture)
{
	KT_FREE char *text = kt_report_capture_text(capture);
	size_t len = text ? strlen(text) : 0, skipped = 0;
	FILE *out = xml->out;

	if (!len)
		return;
	if (len > OUTPUT_HEAD + OUTPUT_TAIL)
		skipped = len - OUTPUT_HEAD - OUTPUT_TAIL;
	if (xml->n_output + len - skipped > OUTPUT_ALL) {
		(void)fprintf(out,
			      "      <%s>[%zu bytes left out: the report holds %zu MiB of output]"
			      "</%s>\n",
			      element, len, OUTPUT_ALL >> 20, element);
		return;
	}
	xml->n_output += len - skipped;
	(void)fprintf(out, "      <%s>", element);
	kt_report_put_escaped(out, text, skipped ? OUTPUT_HEAD : len);
	if (skipped) {
		(void)fprintf(out, "&#10;[%zu bytes left out]&#10;", skipped);
		kt_report_put_escaped(out, text + OUTPUT_HEAD + skipped, OUTPUT_TAIL);
	}
	(void)fprintf(out, "</%s>\n", element);
}

/* Begins an element that describes what went wrong; its message is the first line of @text. */
static void begin_fault(FILE *out, const char *element, enum kt_verdict verdict, const char *text)
{
	char first[512];

	(void)snprintf(first, sizeof(first), "%.*s", (int)strcspn(text, "\n"), text);
	(void)fprintf(out, "      <%s", element);
	put_attribute(out, "message", first);
	put_attribute(out, "type", kt_verdict_name(verdict));
}

static void put_fault(FILE *out, const char *element, enum kt_verdict verdict, const char *text)
{
	begin_fault(out, element, verdict, text);
	(void)fputc('>', out);
	put_escaped(out, text);
	(void)fprintf(out, "</%s>\n", element);
}

/* The reason, all failures and the capsule as one text: readers take only the first <failure>. */
static char *all_failures(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	KT_FREE char *capsule = kt_report_capsule_text(info, outcome);
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
	if (capsule)
		(void)fprintf(out, "%s\n", capsule);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

/* The elements that Jenkins knows for attempts before the last. */
static const char *previous_element(const struct kt_outcome *outcome, bool passed)
{
	if (outcome->result.verdict == KT_VERDICT_FAIL)
		return passed ? "flakyFailure" : "rerunFailure";
	return passed ? "flakyError" : "rerunError";
}

/* Writes the attempts before the last one, oldest first. @passed: the last attempt passed. */
static void put_previous(struct xml *xml, const struct kt_outcome *outcome, bool passed)
{
	KT_FREE char *text = NULL;
	FILE *out = xml->out;

	if (!outcome)
		return;
	put_previous(xml, outcome->previous, passed);
	text = all_failures(xml->reporter.info, outcome);
	begin_fault(out, previous_element(outcome, passed), outcome->result.verdict, text ?: "");
	(void)fputs(">\n        <stackTrace>", out);
	put_escaped(out, text ?: "");
	(void)fputs("</stackTrace>\n", out);
	put_capture(xml, "system-out", &outcome->out);
	put_capture(xml, "system-err", &outcome->err);
	(void)fprintf(out, "      </%s>\n", previous_element(outcome, passed));
}

static void put_result(struct xml *xml, const struct kt_outcome *outcome)
{
	enum kt_verdict verdict = outcome->result.verdict;
	KT_FREE char *text = all_failures(xml->reporter.info, outcome);

	if (verdict == KT_VERDICT_SKIP) {
		(void)fputs("      <skipped", xml->out);
		put_attribute(xml->out, "message", outcome->result.reason ?: "");
		(void)fputs("/>\n", xml->out);
	} else if (verdict == KT_VERDICT_FAIL ||
		   (verdict != KT_VERDICT_PASS && xml->dialect == DIALECT_GTEST)) {
		/* GoogleTest knows no errors. */
		put_fault(xml->out, "failure", verdict, text ?: "");
	} else if (verdict != KT_VERDICT_PASS) {
		put_fault(xml->out, "error", verdict, text ?: "");
	}
	if (xml->dialect == DIALECT_JUNIT)
		put_previous(xml, outcome->previous, verdict == KT_VERDICT_PASS);
	/* The output of a test that passes is left out unless --verbose asks for it. */
	if (verdict == KT_VERDICT_PASS && !xml->reporter.info->options->verbose)
		return;
	put_capture(xml, "system-out", &outcome->out);
	put_capture(xml, "system-err", &outcome->err);
}

static const char *suite_name(const struct kt_run_info *info)
{
	const char *slash = strrchr(info->program, '/');

	return slash ? slash + 1 : info->program;
}

static int xml_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
		     struct kt_err *reterr)
{
	struct xml *xml = (struct xml *)reporter;
	time_t now = time(NULL);

	(void)info;
	(void)gmtime_r(&now, &xml->began);
	xml->out = open_memstream(&xml->cases, &xml->cases_len);
	if (!xml->out)
		return kt_err_oom(reterr);
	return kt_report_file_open(xml->path, &xml->file, reterr);
}

static int xml_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct xml *xml = (struct xml *)reporter;
	const struct kt_test *test = outcome->test;
	bool skipped = outcome->result.verdict == KT_VERDICT_SKIP;
	char name[300], line[16];

	(void)snprintf(name, sizeof(name), "%s", outcome->name);
	if (reporter->info->options->stress_count != 1)
		(void)snprintf(name, sizeof(name), "%.256s@stress-%u", outcome->name,
			       outcome->iteration);
	(void)snprintf(line, sizeof(line), "%u", test->line);
	(void)fputs("    <testcase", xml->out);
	put_attribute(xml->out, "name", name);
	put_attribute(xml->out, "classname", suite_name(reporter->info));
	if (xml->dialect == DIALECT_GTEST) {
		put_attribute(xml->out, "file", test->file);
		put_attribute(xml->out, "line", line);
	}
	(void)fprintf(xml->out, " time=\"%.3f\"", (double)outcome->total_ns / KT_NSEC_PER_SEC);
	if (xml->dialect == DIALECT_GTEST)
		(void)fprintf(xml->out, " status=\"%s\" result=\"%s\"", skipped ? "notrun" : "run",
			      skipped ? "skipped" : "completed");
	(void)fputs(">\n", xml->out);
	put_result(xml, outcome);
	(void)fputs("    </testcase>\n", xml->out);
	return ferror(xml->out) ? -ENOMEM : 0;
}

/*
 * What <testsuites> and, with @is_suite, <testsuite> have in common. INCONCLUSIVE counts as an
 * error.
 */
static void put_totals(const struct xml *xml, FILE *out, const struct kt_counts *counts,
		       bool is_suite)
{
	unsigned int errors =
		counts->by_verdict[KT_VERDICT_ERROR] + counts->by_verdict[KT_VERDICT_INCONCLUSIVE];
	unsigned int failures = counts->by_verdict[KT_VERDICT_FAIL];
	char when[32];

	put_attribute(out, "name", suite_name(xml->reporter.info));
	if (xml->dialect == DIALECT_GTEST)
		(void)fprintf(out, " tests=\"%u\" failures=\"%u\" disabled=\"0\" errors=\"0\"",
			      counts->total, failures + errors);
	else
		(void)fprintf(out, " tests=\"%u\" failures=\"%u\" errors=\"%u\"", counts->total,
			      failures, errors);
	(void)fprintf(out, " time=\"%.3f\"", (double)counts->elapsed_ns / KT_NSEC_PER_SEC);
	if (xml->dialect == DIALECT_JUNIT && !is_suite)
		return;
	(void)fprintf(out, " skipped=\"%u\"", counts->by_verdict[KT_VERDICT_SKIP]);
	(void)strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &xml->began);
	put_attribute(out, "timestamp", when);
}

static void put_property(FILE *out, const char *name, const char *value)
{
	(void)fputs("      <property", out);
	put_attribute(out, "name", name);
	put_attribute(out, "value", value);
	(void)fputs("/>\n", out);
}

/* The whole file: head, properties, the collected test cases. */
static void put_document(const struct xml *xml, FILE *out, const struct kt_counts *counts)
{
	const struct kt_run_info *info = xml->reporter.info;
	char seed[32];

	(void)fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites", out);
	put_totals(xml, out, counts, false);
	(void)fputs(">\n  <testsuite", out);
	put_totals(xml, out, counts, true);
	(void)fputs(">\n", out);
	if (xml->dialect == DIALECT_JUNIT) {
		(void)fputs("    <properties>\n", out);
		put_property(out, "kernel.release", info->kernels_text);
		put_property(out, "accel", info->host->accel_text);
		put_property(out, "time", kt_time_name(info->time));
		(void)snprintf(seed, sizeof(seed), "%" PRIu64, info->options->seed);
		put_property(out, "seed", seed);
		if (info->time == KT_TIME_VIRTUAL && info->host->repeatable)
			put_property(out, "turns", kt_turns_policy_name(info->options->policy));
		(void)fputs("    </properties>\n", out);
	}
	(void)fputs(xml->cases, out);
	(void)fputs("  </testsuite>\n</testsuites>\n", out);
}

static int xml_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		   struct kt_err *reterr)
{
	struct xml *xml = (struct xml *)reporter;
	KT_FREE char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out || fflush(xml->out)) {
		kt_fclosep(&out);
		return kt_err_oom(reterr);
	}
	put_document(xml, out, counts);
	if (fclose(out))
		return kt_err_oom(reterr);
	return kt_report_file_write(xml->file, text, len, reterr);
}

static void xml_free(struct kt_reporter *reporter)
{
	struct xml *xml = (struct xml *)reporter;

	kt_fclosep(&xml->out);
	free(xml->cases);
	xml->file = kt_report_file_free(xml->file);
	free(xml);
}

static const struct kt_reporter_ops xml_ops = {
	.begin = xml_begin,
	.outcome = xml_outcome,
	.end = xml_end,
	.free = xml_free,
};

static int xml_new(enum dialect dialect, const char *path, struct kt_reporter **ret_reporter)
{
	struct xml *xml = calloc(1, sizeof(*xml));

	if (!xml)
		return -ENOMEM;
	xml->reporter.ops = &xml_ops;
	xml->dialect = dialect;
	xml->path = path;
	*ret_reporter = &xml->reporter;
	return 0;
}

int kt_report_junit_new(const char *path, struct kt_reporter **ret_reporter)
{
	return xml_new(DIALECT_JUNIT, path, ret_reporter);
}

int kt_report_gtest_new(const char *path, struct kt_reporter **ret_reporter)
{
	return xml_new(DIALECT_GTEST, path, ret_reporter);
}
