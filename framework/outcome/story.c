/* SPDX-License-Identifier: MIT */
#include "framework/outcome/story.h"

#include <string.h>

#include "util/cleanup.h"
#include "vmm/snapshot/story.h"
#include "wire/json.h"

/*
 * The hits of the freeze coordinator say why each snapshot was taken. The last error counts: before
 * it, a test may have ended a scheduler on purpose. The snapshot at half of the watchdog's time, or
 * else the one before the error, tells what has run since.
 *
 * A scheduler that went without an error and was not killed has no snapshots. The guest reports its
 * end, and that is all that the story has.
 */

struct sources {
	const char *at, *told, *before; /* names; NULL: none */
};

static bool is_reason(const json_t *hit, const char *reason)
{
	return !strcmp(kt_json_str(hit, "reason"), reason);
}

/* The hit at which the last error was claimed, or found too late; SIZE_MAX: none. */
static size_t find_claim(const json_t *hits)
{
	for (size_t i = json_array_size(hits); i-- > 0;) {
		const json_t *hit = json_array_get(hits, i);

		if ((is_reason(hit, "exit-claimed") || is_reason(hit, "exit-missed") ||
		     is_reason(hit, "program-killed")) &&
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

		if (is_reason(hit, reason) &&
		    !strcmp(kt_json_str(hit, "name"), kt_json_str(of, "name")))
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
	if (*kt_json_str(story, "scheduler") &&
	    strcmp(kt_json_str(story, "scheduler"), kt_json_str(end, "ops")))
		return story;
	add_text(story, "scheduler",
		 *kt_json_str(end, "ops") ? kt_json_str(end, "ops") : kt_json_str(end, "name"));
	add_text(story, "kind", kt_json_str(exit, "kind"));
	add_text(story, "reason", kt_json_str(exit, "reason"));
	add_text(story, "message", kt_json_str(exit, "message"));
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
