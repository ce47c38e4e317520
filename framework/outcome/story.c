/* SPDX-License-Identifier: MIT */
#include "framework/outcome/story.h"

#include <string.h>

#include "util/cleanup.h"
#include "vmm/snapshot/story.h"
#include "wire/json.h"

/*
 * The hits of the freeze coordinator say which snapshot was taken for what. The last error counts:
 * a test may have ended a scheduler on purpose before. What was captured at half of the watchdog's
 * time, or else the snapshot before, tells what has run since.
 *
 * The end that the guest has reported is the only trace of a scheduler that went without an error,
 * such as one whose program was killed.
 */

struct sources {
	const char *at, *told, *before; /* names; NULL: none */
};

static const char *text_of(const json_t *object, const char *name)
{
	return json_string_value(json_object_get(object, name)) ?: "";
}

static bool is_reason(const json_t *hit, const char *reason)
{
	return !strcmp(text_of(hit, "reason"), reason);
}

/* The hit at which the last error was claimed, or found too late; SIZE_MAX: none. */
static size_t find_claim(const json_t *hits)
{
	for (size_t i = json_array_size(hits); i-- > 0;) {
		const json_t *hit = json_array_get(hits, i);

		if ((is_reason(hit, "exit-claimed") || is_reason(hit, "exit-missed")) &&
		    json_object_get(hit, "snapshot"))
			return i;
	}
	return SIZE_MAX;
}

/* A snapshot of that reason and of the scheduler of @of, from hit @i on in steps of @by. */
static const char *find_hit(const json_t *hits, size_t i, int by, const char *reason,
			    const json_t *of)
{
	for (; i < json_array_size(hits); i += (size_t)by) {
		const json_t *hit = json_array_get(hits, i);

		if (is_reason(hit, reason) && !strcmp(text_of(hit, "name"), text_of(of, "name")))
			return json_string_value(json_object_get(hit, "snapshot"));
	}
	return NULL;
}

/* The name of the snapshot that was put before another one; NULL: none. */
static const char *name_before(const struct kt_snapshots *snapshots, const char *name)
{
	const struct kt_snapshot_entry *entry = name ? kt_snapshots_find(snapshots, name) : NULL;

	return entry && entry != snapshots->at ? entry[-1].name : NULL;
}

static struct sources find_sources(const struct kt_outcome *outcome)
{
	const json_t *hits = json_object_get(outcome->freeze, "hits");
	size_t claim = find_claim(hits);
	const json_t *hit = json_array_get(hits, claim);
	struct sources sources = { .at = NULL };

	if (!hit) {
		/* No error came, but a task had waited for long. */
		for (size_t i = 0; i < json_array_size(hits); i++)
			if (is_reason(json_array_get(hits, i), "half-watchdog"))
				sources.at = json_string_value(
					json_object_get(json_array_get(hits, i), "snapshot"));
		return sources;
	}
	sources.at = json_string_value(json_object_get(hit, "snapshot"));
	sources.told = find_hit(hits, claim + 1, 1, "exit-told", hit);
	sources.before = find_hit(hits, claim - 1, -1, "half-watchdog", hit)
				 ?: name_before(&outcome->snapshots, sources.at);
	return sources;
}

/* The report of a snapshot; NULL: none. */
static json_t *read_report(const struct kt_outcome *outcome, const char *name)
{
	const struct kt_snapshot_entry *entry =
		name ? kt_snapshots_find(&outcome->snapshots, name) : NULL;
	KT_FREE char *text = entry ? kt_snapshots_text(&outcome->snapshots, entry) : NULL;

	return text ? json_loads(text, 0, NULL) : NULL;
}

/* ---- What the guest says ---- */

/* The last scheduler that ended by itself, in the guest's statistics; NULL: none. */
static const json_t *find_end(const struct kt_outcome *outcome)
{
	const json_t *scheds = json_object_get(outcome->result.scenario, "schedulers");

	for (size_t i = json_array_size(scheds); i-- > 0;)
		if (json_is_object(json_object_get(json_array_get(scheds, i), "exit")))
			return json_array_get(scheds, i);
	return NULL;
}

static void add_text(json_t *story, const char *name, const char *text)
{
	char cut[KT_STORY_TEXT + 1];

	if (!*text || json_is_string(json_object_get(story, name)))
		return;
	(void)snprintf(cut, sizeof(cut), "%s", text);
	(void)json_object_set_new(story, name, kt_json_text(cut, strlen(cut)));
}

/* Fills in what no snapshot says. */
static json_t *add_end(json_t *story, const json_t *end)
{
	const json_t *exit = json_object_get(end, "exit");

	if (!end || !story)
		return story;
	if (json_is_null(story))
		story = json_pack(
			"{s:n, s:n, s:n, s:n, s:n, s:n, s:[], s:n, s:n, s:[], s:i, s:[], s:n}",
			"scheduler", "kind", "reason", "message", "cpu", "running", "found_in",
			"watchdog_ns", "culprit", "waiting", "more_waiting", 0, "cpus", "since");
	/* The end of another scheduler is not this one's. */
	if (*text_of(story, "scheduler") &&
	    strcmp(text_of(story, "scheduler"), text_of(end, "ops")))
		return story;
	add_text(story, "scheduler",
		 *text_of(end, "ops") ? text_of(end, "ops") : text_of(end, "name"));
	add_text(story, "kind", text_of(exit, "kind"));
	add_text(story, "reason", text_of(exit, "reason"));
	add_text(story, "message", text_of(exit, "message"));
	return story;
}

/* ---- All ---- */

static json_t *names_of(const struct sources *sources)
{
	const char *const names[] = { sources->before, sources->at, sources->told };
	json_t *array = json_array();

	for (size_t i = 0; array && i < KT_ARRAY_LEN(names); i++)
		if (names[i])
			(void)json_array_append_new(array, json_string(names[i]));
	return array;
}

json_t *kt_outcome_story(const struct kt_outcome *outcome)
{
	struct sources sources = find_sources(outcome);
	KT_JSON json_t *before = read_report(outcome, sources.before);
	KT_JSON json_t *at = read_report(outcome, sources.at);
	KT_JSON json_t *told = read_report(outcome, sources.told);
	const struct kt_story_reports reports = { before, at, told };
	json_t *story = add_end(kt_story_make(&reports), find_end(outcome));

	if (!json_is_object(story))
		return story;
	(void)json_object_set_new(
		story, "repeatable",
		json_boolean(json_is_true(json_object_get(outcome->freeze, "repeatable"))));
	(void)json_object_set_new(story, "snapshots", names_of(&sources));
	return story;
}

bool kt_outcome_is_failure(const struct kt_outcome *outcome)
{
	enum kt_verdict verdict = outcome->result.verdict;

	return verdict != KT_VERDICT_PASS && verdict != KT_VERDICT_SKIP;
}
