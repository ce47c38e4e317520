/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "framework/report/report.h"
#include "framework/report/verifier_log.h"
#include "util/cleanup.h"

/*
 * The block about schedulers in the report for people. Two captures feed it: what a scheduler has
 * printed, and the dump that the kernel makes when it ends a scheduler. A dump can have thousands
 * of lines. Only the first ones are shown; the sidecar reporter writes all of them to a file.
 */

/*
 * The last lines of the log tell why the scheduler ended; the verifier of Linux 7.3 takes sixty
 * lines to explain a refusal. The first lines of the dump tell which CPU found what wrong.
 */
#define LOG_LINES  80u
#define DUMP_LINES 30u

/*
 * The dump as a scheduler prints it: this heading, then a rule before and after it.
 * schedulers/loader.c and the kernel's own schedulers print it so.
 */
#define DUMP_HEAD "DEBUG DUMP"
#define DUMP_RULE "=========="

static bool begins(const char *line, const char *with)
{
	return !strncmp(line, with, strlen(with));
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return line + (*line == '\n');
}

/* Returns the line behind the second rule, or the end of the text when there is no second rule. */
static const char *skip_dump(const char *line)
{
	unsigned int rules = 0;

	while (*line && rules < 2) {
		rules += begins(line, DUMP_RULE);
		line = next_line(line);
	}
	return line;
}

/* Removes the dumps from @text in place: they are shown on their own. */
static void remove_dumps(char *text)
{
	char *to = text;
	const char *line = text;

	while (*line) {
		const char *next = next_line(line);

		if (begins(line, DUMP_HEAD)) {
			line = skip_dump(next);
			continue;
		}
		memmove(to, line, (size_t)(next - line));
		to += next - line;
		line = next;
	}
	*to = '\0';
}

/* Writes the first @n lines of @text that are not empty, indented. */
static void put_lines(FILE *out, const char *text, unsigned int n)
{
	for (; *text && n; text = next_line(text)) {
		size_t len = strcspn(text, "\n");

		if (!len)
			continue;
		kt_report_put_line(out, text, len);
		n--;
	}
}

static unsigned int count_lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text = next_line(text))
		n++;
	return n;
}

/* Lines of dumps that did not fit into the kernel's buffer, over all schedulers of the test. */
static json_int_t count_lost(const struct kt_result *result)
{
	const json_t *schedulers = json_object_get(result->scenario, "schedulers"), *entry;
	json_int_t n = 0, lost;
	size_t i;

	/* The guest may report any number. */
	json_array_foreach(schedulers, i, entry)
	{
		lost = json_integer_value(json_object_get(entry, "dump_lines_lost"));
		if (lost > 0)
			n = n > INT64_MAX - lost ? INT64_MAX : n + lost;
	}
	return n;
}

void kt_report_put_scheduler(FILE *out, const struct kt_outcome *outcome, const char *output_dir)
{
	KT_FREE char *log = kt_report_capture_text(&outcome->scx_log);
	KT_FREE char *dump = kt_report_capture_text(&outcome->scx_dump);
	KT_FREE char *collapsed = NULL;
	json_int_t lost = count_lost(&outcome->result);
	const char *tail;

	if (log && *log) {
		remove_dumps(log);
		/* Without memory for the shorter log, the log is shown as it is. */
		collapsed = kt_verifier_log_collapse(log);
		tail = kt_text_tail(collapsed ?: log, LOG_LINES);
		(void)fprintf(out, "  scheduler%s:\n",
			      tail == (collapsed ?: log) ? "" : ", last lines");
		put_lines(out, tail, LOG_LINES);
	}
	if (lost)
		(void)fprintf(out,
			      "  %" JSON_INTEGER_FORMAT " lines of the dump had no room; raise "
			      ".dump_kib of the scheduler\n",
			      lost);
	if (dump && *dump) {
		(void)fprintf(out, "  dump of %u lines, the first of them", count_lines(dump));
		if (output_dir)
			(void)fprintf(out, " (all: %s/%s.dump)", output_dir, outcome->name);
		(void)fputs(":\n", out);
		put_lines(out, dump, DUMP_LINES);
	}
}
