/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "framework/outcome/story.h"
#include "framework/report/escape.h"
#include "framework/report/failure.h"
#include "framework/report/file.h"
#include "framework/report/report.h"
#include "framework/report/timeline.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/snapshot/story.h"
#include "wire/json.h"

/*
 * A page for people: the tests of a run, those that failed first, and the failures with their
 * stories, steps, snapshots and output. It is one file that loads nothing, and its policy allows
 * nothing to be loaded: all text of a guest passes put_text(), and no script of it could run if it
 * did not. The only script that the policy allows, by its hash, is that of the filter.
 *
 * Sections are collected in memory, because the totals that the page begins with are known at the
 * end. What a page holds is bounded: a run may have no end.
 */

#define PAGE_MAX    ((size_t)64 << 20) /* bytes of all sections */
#define LIST_MAX    ((size_t)8 << 20)  /* bytes of a list of tests */
#define OUTPUT_TAIL ((size_t)32 << 10) /* bytes of an output that are shown, its last ones */
#define TEXT_MAX    2000u              /* bytes of a text in a table */
#define ROWS_MAX    64u                /* of a table */
#define SNAPSHOTS   8u                 /* that are shown of a test, the last ones */
#define FRAMES      12u                /* of a stack */

struct html {
	struct kt_reporter reporter;
	const char *path; /* borrowed from the options */
	struct kt_report_file *file;
	char *rows[2]; /* of the tests: those that failed, and the others; belong to @tables */
	size_t rows_len[2];
	FILE *tables[2]; /* memory streams into @rows */
	char *sections;  /* belongs to @out until html_free() */
	size_t sections_len;
	FILE *out;           /* a memory stream into @sections */
	struct kt_timeline timeline;
	unsigned int n_left; /* failures for which there was no room */
	unsigned int n_unseen; /* tests for which there was no room */
};

static void put_text(FILE *out, const char *text)
{
	size_t len = strlen(text), cut = KT_MIN(len, (size_t)TEXT_MAX);

	kt_report_put_escaped(out, text, cut);
	if (cut < len)
		(void)fprintf(out, " [%zu bytes left out]", len - cut);
}

static void put_element(FILE *out, const char *element, const char *text)
{
	(void)fprintf(out, "<%s>", element);
	put_text(out, text);
	(void)fprintf(out, "</%s>", element);
}

/* ---- Values of JSON ---- */

static void put_value(FILE *out, const json_t *value)
{
	KT_FREE char *text = NULL;

	if (json_is_string(value)) {
		put_text(out, json_string_value(value));
	} else if (value && !json_is_null(value)) {
		text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
		put_text(out, text ?: "");
	}
}

/* "comm[pid]" */
static void put_task(FILE *out, const json_t *task)
{
	put_text(out, kt_json_str(task, "comm"));
	if (json_is_integer(json_object_get(task, "pid")))
		(void)fprintf(out, "[%" JSON_INTEGER_FORMAT "]",
			      json_integer_value(json_object_get(task, "pid")));
}

static void put_frames(FILE *out, const json_t *stack)
{
	size_t n = KT_MIN(json_array_size(stack), (size_t)FRAMES);

	for (size_t i = 0; i < n; i++) {
		(void)fputs(i ? "<br>" : "", out);
		put_value(out, json_array_get(stack, i));
	}
	if (!json_is_array(stack))
		put_text(out, kt_json_str(stack, "error"));
}

/* ---- Tables ---- */

/* A column: its heading, and how a cell of it is written; NULL: the member of that name. */
struct column {
	const char *name;
	void (*put)(FILE *out, const json_t *row);
};

static void begin_table(FILE *out, const char *title, const struct column *columns)
{
	(void)fprintf(out, "<h4>%s</h4>\n<table><tr>", title);
	for (; columns->name; columns++)
		put_element(out, "th", columns->name);
	(void)fputs("</tr>\n", out);
}

static void put_row(FILE *out, const struct column *columns, const json_t *row)
{
	(void)fputs("<tr>", out);
	for (; columns->name; columns++) {
		(void)fputs("<td>", out);
		if (columns->put)
			columns->put(out, row);
		else
			put_value(out, json_object_get(row, columns->name));
		(void)fputs("</td>", out);
	}
	(void)fputs("</tr>\n", out);
}

/* Rows for which @is_shown holds; nothing when there are none. */
static void put_table(FILE *out, const char *title, const struct column *columns,
		      const json_t *rows, bool (*is_shown)(const json_t *row))
{
	size_t i, n = 0, more = 0;
	const json_t *row;

	json_array_foreach((json_t *)rows, i, row)
	{
		if (is_shown && !is_shown(row))
			continue;
		if (n == ROWS_MAX) {
			more++;
			continue;
		}
		if (!n++)
			begin_table(out, title, columns);
		put_row(out, columns, row);
	}
	(void)fputs(n ? "</table>\n" : "", out);
	if (more)
		(void)fprintf(out, "<p>and %zu more</p>\n", more);
}

/* ---- A snapshot ---- */

static void put_cpu_task(FILE *out, const json_t *cpu)
{
	put_task(out, json_object_get(cpu, "task"));
}

static void put_cpu_class(FILE *out, const json_t *cpu)
{
	put_text(out, kt_json_str(json_object_get(cpu, "task"), "class"));
}

static void put_stack(FILE *out, const json_t *row)
{
	put_frames(out, json_object_get(row, "stack"));
}

static void put_tasks(FILE *out, const json_t *queue)
{
	const json_t *tasks = json_object_get(queue, "tasks");
	size_t n = KT_MIN(json_array_size(tasks), (size_t)ROWS_MAX);

	for (size_t i = 0; i < n; i++) {
		(void)fputs(i ? ", " : "", out);
		put_task(out, json_array_get(tasks, i));
	}
}

static void put_exit(FILE *out, const json_t *sched)
{
	const json_t *info = json_object_get(sched, "exit_info");

	put_text(out, kt_json_str(sched, "exit_kind"));
	(void)fputs("<br>", out);
	put_text(out, kt_json_str(info, "msg"));
}

static bool has_tasks(const json_t *queue)
{
	return json_array_size(json_object_get(queue, "tasks")) > 0;
}

static bool is_waiting(const json_t *task)
{
	return json_is_integer(json_object_get(task, "runnable_for"));
}

static const struct column cpu_columns[] = {
	{ "cpu", NULL },  { "task", put_cpu_task }, { "class", put_cpu_class },
	{ "mode", NULL }, { "stack", put_stack },   { NULL, NULL },
};
static const struct column sched_columns[] = {
	{ "name", NULL },
	{ "root", NULL },
	{ "exit", put_exit },
	{ NULL, NULL },
};
static const struct column queue_columns[] = {
	{ "kind", NULL }, { "id", NULL },         { "cpu", NULL },
	{ "nr", NULL },   { "tasks", put_tasks }, { NULL, NULL },
};
static const struct column task_columns[] = {
	{ "task", put_task },     { "class", NULL },      { "cpu", NULL }, { "cpus", NULL },
	{ "runnable_for", NULL }, { "stack", put_stack }, { NULL, NULL },
};

static void put_snapshot(FILE *out, const struct kt_snapshots *snapshots,
			 const struct kt_snapshot_entry *entry)
{
	KT_FREE char *text = kt_snapshots_text(snapshots, entry);
	KT_JSON json_t *report = text ? json_loads(text, 0, NULL) : NULL;
	const json_t *scx = json_object_get(report, "scx");

	(void)fputs("<details><summary>snapshot ", out);
	put_text(out, entry->name);
	(void)fputs("</summary>\n", out);
	put_element(out, "p", kt_json_str(report, "error"));
	put_table(out, "CPUs", cpu_columns, json_object_get(report, "cpus"), NULL);
	put_table(out, "Schedulers", sched_columns, json_object_get(scx, "schedulers"), NULL);
	put_table(out, "Queues with tasks", queue_columns, json_object_get(scx, "queues"),
		  has_tasks);
	put_table(out, "Tasks that wait", task_columns, json_object_get(report, "tasks"),
		  is_waiting);
	(void)fputs("</details>\n", out);
}

static void put_snapshots(FILE *out, const struct kt_snapshots *snapshots)
{
	size_t first = snapshots->n > SNAPSHOTS ? snapshots->n - SNAPSHOTS : 0;

	if (first)
		(void)fprintf(out, "<p>%zu snapshots; the last %u of them:</p>\n", snapshots->n,
			      SNAPSHOTS);
	for (size_t i = first; i < snapshots->n; i++)
		put_snapshot(out, snapshots, &snapshots->at[i]);
}

/* ---- A failure ---- */

static void put_lines(FILE *out, const char *title, const char *text)
{
	if (!text || !*text)
		return;
	(void)fprintf(out, "<h3>%s</h3>\n<pre>", title);
	kt_report_put_escaped(out, text, strlen(text));
	(void)fputs("</pre>\n", out);
}

static void put_story(FILE *out, const struct kt_outcome *outcome)
{
	KT_JSON json_t *story = kt_outcome_story(outcome);
	KT_FREE char *text = story ? kt_story_text(story) : NULL;

	put_lines(out, "Story", text);
	if (json_array_size(json_object_get(story, "snapshots")) &&
	    !json_is_true(json_object_get(story, "repeatable")))
		(void)fputs("<p>The seed does not repeat this: the machine had the host's time."
			    "</p>\n",
			    out);
}

static void put_failures(FILE *out, const struct kt_outcome *outcome)
{
	const struct kt_result *result = &outcome->result;

	put_lines(out, "Reason", result->reason);
	for (size_t i = 0; i < result->n_failures; i++) {
		KT_FREE char *text = kt_report_failure_text(outcome->test, &result->failures[i]);

		put_lines(out, "Failure", text);
	}
}

static void put_times(FILE *out, const json_t *step)
{
	json_int_t begin = json_integer_value(json_object_get(step, "begin_ns"));
	json_int_t end = json_integer_value(json_object_get(step, "end_ns"));

	(void)fprintf(out, "%.3f s to %.3f s", (double)begin / KT_NSEC_PER_SEC,
		      (double)end / KT_NSEC_PER_SEC);
}

static const struct column step_columns[] = {
	{ "name", NULL },
	{ "scheduler", NULL },
	{ "hold", put_times },
	{ NULL, NULL },
};

/* The end of a capture: what came last explains most. */
static void put_capture(FILE *out, const char *title, const struct kt_capture *capture)
{
	KT_FREE char *text = kt_report_capture_text(capture);
	size_t len = text ? strlen(text) : 0;
	const char *tail = len > OUTPUT_TAIL ? text + len - OUTPUT_TAIL : text;

	if (!len)
		return;
	(void)fprintf(out, "<details><summary>%s%s</summary>\n<pre>", title,
		      tail == text ? "" : ", its end");
	kt_report_put_escaped(out, tail, strlen(tail));
	(void)fputs("</pre></details>\n", out);
}

/* The table of the report for people, as it is. */
static void put_workers(FILE *out, const struct kt_result *result)
{
	KT_FREE char *text = NULL;
	size_t len;
	FILE *table = open_memstream(&text, &len);

	if (!table)
		return;
	kt_report_put_workers(table, result);
	if (!fclose(table))
		put_lines(out, "Workers", text);
}

/* A click selects the whole command, to be copied. */
static void put_rerun(FILE *out, const char *command)
{
	(void)fputs("<h3>Run it again</h3>\n<pre class=\"rerun\">", out);
	kt_report_put_escaped(out, command, strlen(command));
	(void)fputs("</pre>\n", out);
}

static void put_commands(FILE *out, const struct kt_run_info *info,
			 const struct kt_outcome *outcome)
{
	KT_FREE char *rerun = kt_report_rerun_command(info, outcome);
	KT_FREE char *capsule = kt_report_capsule_text(info, outcome);

	if (rerun)
		put_rerun(out, rerun);
	put_lines(out, "Capsule", capsule);
}

static void put_failure(FILE *out, const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	const json_t *steps = json_object_get(outcome->result.scenario, "steps");

	(void)fputs("<section data-name=\"", out);
	put_text(out, outcome->name);
	(void)fputs("\">\n<h2>", out);
	put_text(out, outcome->name);
	(void)fprintf(out, ": %s</h2>\n<p>", kt_verdict_name(outcome->result.verdict));
	put_text(out, outcome->test->summary ?: "");
	(void)fputs("<br>", out);
	put_text(out, outcome->test->file);
	(void)fprintf(out, ":%u, kernel ", outcome->test->line);
	put_text(out, outcome->kernel->facts.release);
	(void)fprintf(out, ", seed %" PRIu64 ", attempt %u, run %u, %.3f s</p>\n", outcome->seed,
		      outcome->attempt, outcome->iteration,
		      (double)outcome->total_ns / KT_NSEC_PER_SEC);
	put_story(out, outcome);
	put_failures(out, outcome);
	put_commands(out, info, outcome);
	put_table(out, "Steps", step_columns, steps, NULL);
	put_workers(out, &outcome->result);
	put_snapshots(out, &outcome->snapshots);
	put_capture(out, "standard output", &outcome->out);
	put_capture(out, "standard error", &outcome->err);
	put_capture(out, "scheduler", &outcome->scx_log);
	put_capture(out, "dump of the scheduler", &outcome->scx_dump);
	put_capture(out, "kernel log of the test", &outcome->dmesg);
	put_capture(out, "console", &outcome->console);
	(void)fputs("</section>\n", out);
}

/* ---- The reporter ---- */

static int html_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
		      struct kt_err *reterr)
{
	struct html *html = (struct html *)reporter;

	(void)info;
	html->out = open_memstream(&html->sections, &html->sections_len);
	for (int i = 0; i < 2; i++)
		html->tables[i] = open_memstream(&html->rows[i], &html->rows_len[i]);
	if (kt_timeline_init(&html->timeline) < 0 || !html->out || !html->tables[0] ||
	    !html->tables[1])
		return kt_err_oom(reterr);
	return kt_report_file_open(html->path, &html->file, reterr);
}

/* A row of the list of all tests. */
static void put_test(struct html *html, const struct kt_outcome *outcome)
{
	int i = !kt_outcome_is_failure(outcome);
	FILE *out = html->tables[i];

	if (fflush(out) || html->rows_len[i] > LIST_MAX) {
		html->n_unseen++;
		return;
	}
	(void)fputs("<tr data-name=\"", out);
	put_text(out, outcome->name);
	(void)fprintf(out, "\"><td class=\"%1$s\">%1$s</td><td>",
		      kt_verdict_name(outcome->result.verdict));
	put_text(out, outcome->name);
	(void)fprintf(out, "</td><td>%u</td><td>%u</td><td>%.3f s</td></tr>\n", outcome->iteration,
		      outcome->attempt, (double)outcome->total_ns / KT_NSEC_PER_SEC);
}

static int html_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct html *html = (struct html *)reporter;
	const struct kt_outcome *failed = kt_report_failed_attempt(outcome);

	kt_timeline_add(&html->timeline, outcome);
	put_test(html, outcome);
	if (!failed)
		return 0;
	if (fflush(html->out) || html->sections_len > PAGE_MAX)
		html->n_left++;
	else
		put_failure(html->out, reporter->info, failed);
	return ferror(html->out) ? -ENOMEM : 0;
}

static int html_retry(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	kt_timeline_add(&((struct html *)reporter)->timeline, outcome);
	return 0;
}

static const char HEAD[] =
	"<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
	"'unsafe-inline'; script-src "
	"'sha256-JOUY1ZrXSKFZZ9dRLC4nI3PW4DRpZLd03O08h2uz2j4='\">\n<meta name=\"viewport\" "
	"content=\"width=device-width\">\n"
	"<title>ktest</title>\n<style>body{font:15px sans-serif;margin:2em;max-width:75em}"
	"pre{background:#f4f4f4;padding:.6em;overflow:auto}table{border-collapse:collapse}"
	"th,td{border:1px solid #bbb;padding:.2em .5em;text-align:left;vertical-align:top;"
	"font-size:13px}summary{cursor:pointer;margin:.4em 0}section{border-top:2px solid #888;"
	"margin-top:2em}.rerun{user-select:all}td.pass{color:#070}td.fail,td.error{color:#b00}"
	".line{position:relative;background:#f4f4f4}.line i{position:absolute;height:16px;"
	"overflow:hidden;white-space:nowrap;font:11px/16px sans-serif;background:#fc6;"
	"box-shadow:inset 1px 0 #fff}.line .pass{background:#9d9}.line .skip{background:#ccc}"
	".line .fail,.line .error{background:#f99}"
	"</style></head>\n<body>\n";

/* The filter begins with what follows a '#' in the address. page.py checks the hash above. */
static const char FILTER[] = "<p><input id=\"filter\" placeholder=\"part of a test's name\"></p>\n";
static const char SCRIPT[] =
	"<script>const f=document.getElementById(\"filter\"),g=()=>{"
	"for(const e of document.querySelectorAll(\"[data-name]\"))"
	"e.hidden=!e.dataset.name.includes(f.value)};f.addEventListener(\"input\",g);"
	"f.value=decodeURIComponent(location.hash.slice(1));g()</script>\n";

/* The list of tests stands between the totals and the failures. */
static void put_list(const struct html *html, FILE *out)
{
	(void)fputs(FILTER, out);
	(void)fputs("<details open><summary>tests</summary>\n<table><tr><th>verdict</th>"
		    "<th>test</th><th>run</th><th>attempt</th><th>time</th></tr>\n",
		    out);
	for (int i = 0; i < 2; i++)
		(void)fputs(html->rows_len[i] ? html->rows[i] : "", out);
	(void)fputs("</table></details>\n", out);
	if (html->n_unseen)
		(void)fprintf(out, "<p>%u more tests had no room.</p>\n", html->n_unseen);
}

static void put_page(const struct html *html, FILE *out, const struct kt_counts *counts)
{
	const struct kt_run_info *info = html->reporter.info;

	(void)fputs(HEAD, out);
	(void)fprintf(out,
		      "<h1>%u tests, %u passed, %u failed, %u errors, %u inconclusive, "
		      "%u skipped</h1>\n<p>kernel ",
		      counts->total, counts->by_verdict[KT_VERDICT_PASS],
		      counts->by_verdict[KT_VERDICT_FAIL], counts->by_verdict[KT_VERDICT_ERROR],
		      counts->by_verdict[KT_VERDICT_INCONCLUSIVE],
		      counts->by_verdict[KT_VERDICT_SKIP]);
	put_text(out, info->kernels_text);
	(void)fputs(", ", out);
	put_text(out, info->host->accel_text);
	(void)fprintf(out, ", %s time, seed %" PRIu64 ", %.1f s</p>\n", kt_time_name(info->time),
		      info->options->seed, (double)counts->elapsed_ns / KT_NSEC_PER_SEC);
	kt_timeline_put(&html->timeline, out, counts->elapsed_ns);
	put_list(html, out);
	(void)fputs(html->sections_len ? html->sections : "<p>Nothing failed.</p>\n", out);
	if (html->n_left)
		(void)fprintf(out, "<p>%u more failures had no room.</p>\n", html->n_left);
	(void)fputs(SCRIPT, out);
	(void)fputs("</body></html>\n", out);
}

static int html_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		    struct kt_err *reterr)
{
	struct html *html = (struct html *)reporter;
	KT_FREE char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out || fflush(html->out) || fflush(html->tables[0]) || fflush(html->tables[1])) {
		kt_fclosep(&out);
		return kt_err_oom(reterr);
	}
	put_page(html, out, counts);
	if (fclose(out))
		return kt_err_oom(reterr);
	return kt_report_file_write(html->file, text, len, reterr);
}

static void html_free(struct kt_reporter *reporter)
{
	struct html *html = (struct html *)reporter;

	kt_fclosep(&html->out);
	for (int i = 0; i < 2; i++) {
		kt_fclosep(&html->tables[i]);
		free(html->rows[i]);
	}
	free(html->sections);
	kt_timeline_deinit(&html->timeline);
	html->file = kt_report_file_free(html->file);
	free(html);
}

static const struct kt_reporter_ops html_ops = {
	.begin = html_begin,
	.outcome = html_outcome,
	.retry = html_retry,
	.end = html_end,
	.free = html_free,
};

int kt_report_html_new(const char *path, struct kt_reporter **ret_reporter)
{
	struct html *html = calloc(1, sizeof(*html));

	if (!html)
		return -ENOMEM;
	html->reporter.ops = &html_ops;
	html->path = path;
	*ret_reporter = &html->reporter;
	return 0;
}
