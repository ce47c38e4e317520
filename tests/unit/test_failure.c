/* SPDX-License-Identifier: MIT */
/* What is written about a failure: which snapshots make its story, its file, and its page. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/outcome/story.h"
#include "framework/report/failure.h"
#include "framework/report/report.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "vmm/snapshot/snapshot.h"
#include "wire/json.h"

UNIT_SUITE(outcome_story);
UNIT_SUITE(failure);

static const struct kt_test test = { .name = "t", .file = "t.c", .line = 7, .summary = "<b>s" };
static const struct kt_kernel kernel = { .facts = { .release = "7.0" } };
static const struct kt_host host = { .accel_text = "tcg", .repeatable = true };

/* A report with a scheduler of that name and message; @exec: what its only task has run. */
static void put(struct kt_outcome *outcome, const char *name, const char *sched,
		const char *message, int exec)
{
	bool replaced;
	KT_FREE char *text = kt_format(
		"{\"name\":\"%s\",\"reason\":\"%s\",\"kernel\":{\"jiffy_ns\":1000000},\"cpus\":[{"
		"\"cpu\":0,\"task\":{\"pid\":0,\"comm\":\"i\",\"class\":\"idle\"}}],\"tasks\":[{"
		"\"pid\":5,\"comm\":\"<i>w\",\"cpu\":0,\"address\":\"0x5\",\"class\":\"ext\","
		"\"exec_ns\":%d,\"runnable_for\":90}],\"scx\":{\"schedulers\":[{\"name\":\"%s\","
		"\"watchdog_timeout\":100,\"exit_kind\":\"SCX_EXIT_ERROR_STALL\",\"exit_info\":{"
		"\"kind\":\"SCX_EXIT_ERROR_STALL\",\"msg\":\"%s\"}}]}}",
		name, name, exec, sched, message);

	cr_assert(zero(int, kt_snapshots_put(&outcome->snapshots, name, text, strlen(text), false,
					     &replaced, NULL)));
}

static void hit(struct kt_outcome *outcome, const char *reason, const char *sched,
		const char *snapshot)
{
	json_t *json = json_pack("{s:s, s:s}", "reason", reason, "name", sched);

	if (!outcome->freeze)
		outcome->freeze = json_pack("{s:b, s:[]}", "repeatable", 1, "hits");
	if (snapshot)
		(void)json_object_set_new(json, "snapshot", json_string(snapshot));
	(void)json_array_append_new(json_object_get(outcome->freeze, "hits"), json);
}

static void begin(struct kt_outcome *outcome)
{
	cr_assert(zero(int, kt_outcome_init(outcome, &test, NULL)));
	if (outcome->snapshots.fd < 0)
		cr_assert(zero(int, kt_snapshots_init(&outcome->snapshots, NULL)));
	outcome->name = "t";
	outcome->kernel = &kernel;
	outcome->mips = 60;
	outcome->result.verdict = KT_VERDICT_FAIL;
}

static const char *text_at(const json_t *json, const char *name)
{
	return json_string_value(json_object_get(json, name)) ?: "(none)";
}

/* The names of the snapshots that a story is made of, with commas between them. */
static char *names_of(const json_t *story)
{
	const json_t *names = json_object_get(story, "snapshots");
	static char text[200];

	text[0] = 0;
	for (size_t i = 0; i < json_array_size(names); i++)
		(void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
			       i ? "," : "", json_string_value(json_array_get(names, i)));
	return text;
}

/* ---- Which snapshots ---- */

/* The first scheduler was to fail; the second one is what the report is about. */
Test(outcome_story, the_last_error_counts)
{
	struct kt_outcome outcome;
	KT_JSON json_t *story = NULL;

	begin(&outcome);
	put(&outcome, "exit-claimed", "one", "", 10);
	put(&outcome, "exit-told", "one", "first", 10);
	put(&outcome, "half-watchdog", "two", "", 20);
	put(&outcome, "exit-claimed_003", "two", "", 70);
	put(&outcome, "exit-told_004", "two", "second", 70);
	hit(&outcome, "exit-claimed", "one", "exit-claimed");
	hit(&outcome, "exit-told", "one", "exit-told");
	hit(&outcome, "half-watchdog", "two", "half-watchdog");
	hit(&outcome, "exit-claimed", "two", "exit-claimed_003");
	hit(&outcome, "exit-told", "other", "exit-told");
	hit(&outcome, "exit-told", "two", "exit-told_004");
	story = kt_outcome_story(&outcome);
	cr_expect(eq(str, names_of(story), "half-watchdog,exit-claimed_003,exit-told_004"));
	cr_expect(eq(str, (char *)text_at(story, "scheduler"), "two"));
	cr_expect(eq(str, (char *)text_at(story, "message"), "second"));
	cr_expect(json_object_get(story, "repeatable") == json_true());
	cr_expect(eq(str, (char *)text_at(json_object_get(story, "since"), "snapshot"),
		     "half-watchdog"));
	kt_outcome_deinit(&outcome);
}

Test(outcome_story, a_killed_program_counts_as_an_error)
{
	struct kt_outcome outcome;
	KT_JSON json_t *story = NULL;

	begin(&outcome);
	put(&outcome, "exit-claimed", "one", "", 10);
	put(&outcome, "program-killed", "two", "", 20);
	hit(&outcome, "exit-claimed", "one", "exit-claimed");
	hit(&outcome, "program-killed", "two", "program-killed");
	story = kt_outcome_story(&outcome);
	cr_expect(eq(str, names_of(story), "exit-claimed,program-killed"));
	cr_expect(eq(str, (char *)text_at(story, "scheduler"), "two"));
	kt_outcome_deinit(&outcome);
}

/* Without one at half of the time, the snapshot before tells what has run since. */
Test(outcome_story, any_earlier_snapshot_will_do)
{
	struct kt_outcome outcome;
	KT_JSON json_t *story = NULL, *early = NULL;

	begin(&outcome);
	put(&outcome, "periodic_000", "f", "", 1);
	put(&outcome, "exit-claimed", "f", "", 2);
	hit(&outcome, "exit-claimed", "f", "exit-claimed");
	story = kt_outcome_story(&outcome);
	cr_expect(eq(str, names_of(story), "periodic_000,exit-claimed"));
	json_decref(outcome.freeze);
	outcome.freeze = NULL;
	hit(&outcome, "half-watchdog", "f", "periodic_000");
	hit(&outcome, "exit-claimed", "f", NULL); /* no snapshot could be taken */
	early = kt_outcome_story(&outcome);
	cr_expect(eq(str, names_of(early), "periodic_000"));
	kt_outcome_deinit(&outcome);
}

Test(outcome_story, what_the_guest_says_counts_where_no_snapshot_does)
{
	struct kt_outcome outcome;
	KT_JSON json_t *story = NULL, *none = NULL;

	begin(&outcome);
	none = kt_outcome_story(&outcome);
	cr_expect(eq(int, json_is_null(none) != 0, 1));
	outcome.result.scenario = json_pack(
		"{s:[{s:s}, {s:s, s:{s:s, s:s}}]}", "schedulers", "ops", "unharmed", "ops", "fault",
		"exit", "kind", "SCX_EXIT_UNREG", "reason", "unregistered from user space");
	story = kt_outcome_story(&outcome);
	cr_expect(eq(str, (char *)text_at(story, "scheduler"), "fault"));
	cr_expect(eq(str, (char *)text_at(story, "kind"), "SCX_EXIT_UNREG"));
	cr_expect(eq(str, (char *)text_at(story, "reason"), "unregistered from user space"));
	cr_expect(eq(str, names_of(story), ""));
	kt_outcome_deinit(&outcome);
}

/* ---- The file and the page ---- */

static const struct kt_options options = { .stress_count = 1 };
static const struct kt_run_info info = {
	.program = "p", .options = &options, .host = &host, .kernels_text = "7.0"
};

static void fail_with_a_story(struct kt_outcome *outcome)
{
	begin(outcome);
	put(outcome, "exit-claimed", "<script>x", "", 1);
	hit(outcome, "exit-claimed", "<script>x", "exit-claimed");
	cr_assert(zero(int, kt_capture_append(&outcome->out, "</pre><script>\033[2J", 18)));
}

Test(failure, the_file_is_json_with_the_snapshots_in_it)
{
	struct kt_outcome outcome;
	KT_JSON json_t *json = NULL;
	KT_FREE char *text = NULL;
	bool replaced;
	json_t *snapshots;

	fail_with_a_story(&outcome);
	cr_assert(zero(int, kt_snapshots_put(&outcome.snapshots, "damaged", "{\"a\":", 5, false,
					     &replaced, NULL)));
	text = kt_report_failure_json(&info, &outcome);
	json = json_loads(text, 0, NULL);
	cr_assert(json != NULL, "%s", text);
	snapshots = json_object_get(json, "snapshots");
	cr_expect(eq(str, (char *)text_at(json, "schema"), "ktest-failure"));
	cr_expect(eq(sz, json_object_size(snapshots), 2));
	cr_expect(eq(str, (char *)text_at(json_object_get(snapshots, "exit-claimed"), "name"),
		     "exit-claimed"));
	cr_expect(eq(str, (char *)text_at(json_object_get(snapshots, "damaged"), "error"),
		     "it is damaged"));
	cr_expect(json_object_get(json, "repeatable") == json_true());
	kt_outcome_deinit(&outcome);
}

/* Nine of 2 MiB do not fit: the first one is left out. */
Test(failure, the_file_is_bounded)
{
	size_t len = KT_SNAPSHOT_LEN_MAX;
	char *report = malloc(len + 1), name[8];
	struct kt_outcome outcome;
	KT_JSON json_t *json = NULL;
	KT_FREE char *text = NULL;
	json_t *snapshots;
	bool replaced;

	begin(&outcome);
	memset(report, 'x', len);
	memcpy(report, "{\"a\":\"", 6);
	memcpy(report + len - 2, "\"}", 3);
	for (int i = 0; i < 9; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		cr_assert(zero(int, kt_snapshots_put(&outcome.snapshots, name, report, len, false,
						     &replaced, NULL)));
	}
	text = kt_report_failure_json(&info, &outcome);
	json = json_loads(text, 0, NULL);
	cr_assert(json != NULL);
	snapshots = json_object_get(json, "snapshots");
	cr_expect(json_object_get(json_object_get(snapshots, "n0"), "error") != NULL);
	cr_expect(json_object_get(json_object_get(snapshots, "n1"), "a") != NULL);
	cr_expect(json_object_get(json_object_get(snapshots, "n8"), "a") != NULL);
	free(report);
	kt_outcome_deinit(&outcome);
}

static char *page_of(const struct kt_outcome *outcome)
{
	char dir[] = "/tmp/ktest-failure-XXXXXX", *text = NULL;
	const struct kt_counts counts = { .total = 1 };
	struct kt_reporter *reporter = NULL;
	KT_FREE char *path = NULL;

	cr_assert(mkdtemp(dir) != NULL);
	path = kt_format("%s/p.html", dir);
	cr_assert(zero(int, kt_report_html_new(path, &reporter)));
	cr_assert(zero(int, kt_reporters_begin(reporter, &info, NULL)));
	cr_assert(zero(int, kt_reporters_outcome(reporter, outcome)));
	cr_assert(zero(int, kt_reporters_end(reporter, &counts, NULL)));
	kt_reporters_free(reporter);
	cr_assert(zero(int, kt_file_read(path, 1 << 20, &text, NULL)));
	(void)kt_remove_all(dir);
	return text;
}

Test(failure, no_text_of_the_guest_becomes_markup)
{
	struct kt_outcome outcome;
	KT_FREE char *text = NULL;

	fail_with_a_story(&outcome);
	text = page_of(&outcome);
	cr_assert(strstr(text, "<script>const f") != NULL, "%s", text);
	cr_expect(strstr(text, "<script") == strstr(text, "<script>const f"), "%s", text);
	cr_expect(strstr(strstr(text, "<script") + 1, "<script") == NULL, "%s", text);
	cr_expect(strstr(text, "<i>") == NULL && strstr(text, "<b>") == NULL);
	cr_expect(strstr(text, "scheduler &lt;script&gt;x: SCX_EXIT_ERROR_STALL") != NULL, "%s",
		  text);
	cr_expect(strstr(text, "&lt;i&gt;w[5]") != NULL);
	cr_expect(strstr(text, "&lt;/pre&gt;&lt;script&gt;") != NULL);
	cr_expect(strchr(text, '\033') == NULL);
	cr_expect(strstr(text, "default-src 'none'") != NULL);
	kt_outcome_deinit(&outcome);
}

Test(failure, a_pass_is_not_on_the_page)
{
	struct kt_outcome outcome;
	KT_FREE char *text = NULL;

	begin(&outcome);
	outcome.result.verdict = KT_VERDICT_PASS;
	text = page_of(&outcome);
	cr_expect(strstr(text, "Nothing failed.") != NULL);
	cr_expect(strstr(text, "<section>") == NULL);
	kt_outcome_deinit(&outcome);
}

/* ---- Files of an earlier run ---- */

static void report_to(const char *dir, const struct kt_outcome *outcome)
{
	const struct kt_counts counts = { .total = 1 };
	struct kt_reporter *reporter = NULL;

	cr_assert(zero(int, kt_report_sidecar_new(dir, &reporter)));
	cr_assert(zero(int, kt_reporters_begin(reporter, &info, NULL)));
	cr_assert(zero(int, kt_reporters_outcome(reporter, outcome)));
	cr_assert(zero(int, kt_reporters_end(reporter, &counts, NULL)));
	kt_reporters_free(reporter);
}

static bool is_there(const char *dir, const char *name)
{
	KT_FREE char *path = kt_format("%s/%s", dir, name);

	return access(path, F_OK) == 0;
}

Test(failure, files_of_an_earlier_run_do_not_stay)
{
	static const char *const endings[] = {
		"t.stdout",
		"t.dump",
		"t.failure.json",
		"t.snapshots/exit-claimed.json",
	};
	char dir[] = "/tmp/ktest-failure-XXXXXX";
	struct kt_outcome outcome;
	KT_FREE char *other = NULL;

	cr_assert(mkdtemp(dir) != NULL);
	fail_with_a_story(&outcome);
	cr_assert(zero(int, kt_capture_append(&outcome.scx_dump, "dump", 4)));
	report_to(dir, &outcome);
	for (size_t i = 0; i < KT_ARRAY_LEN(endings); i++)
		cr_expect(is_there(dir, endings[i]), "%s", endings[i]);
	kt_outcome_deinit(&outcome);
	/* The next run has another snapshot, and passes. What is not ours stays. */
	other = kt_format("%s/t.snapshots/notes.txt", dir);
	cr_assert(zero(int, kt_file_publish(other, "mine", 4, NULL)));
	begin(&outcome);
	outcome.result.verdict = KT_VERDICT_PASS;
	put(&outcome, "later", "f", "", 1);
	report_to(dir, &outcome);
	for (size_t i = 0; i < KT_ARRAY_LEN(endings); i++)
		cr_expect(not(is_there(dir, endings[i])), "%s", endings[i]);
	cr_expect(is_there(dir, "t.snapshots/later.json"));
	cr_expect(is_there(dir, "t.snapshots/notes.txt"));
	cr_expect(is_there(dir, "t.json"));
	kt_outcome_deinit(&outcome);
	/* And one without any leaves no directory. */
	cr_assert(zero(int, unlink(other)));
	begin(&outcome);
	report_to(dir, &outcome);
	cr_expect(not(is_there(dir, "t.snapshots")));
	cr_expect(is_there(dir, "t.failure.json"));
	kt_outcome_deinit(&outcome);
	(void)kt_remove_all(dir);
}
