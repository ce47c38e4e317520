/* SPDX-License-Identifier: MIT */
#include "framework/report/failure.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "framework/outcome/story.h"
#include "util/cleanup.h"
#include "vmm/snapshot/story.h"
#include "wire/json.h"

/*
 * The file of a failure holds all that explains it, so that it can be sent to somebody: the result,
 * the story, and the snapshots whole. Their texts are copied as they are, because the tree of a
 * report takes ten times the memory; each is parsed for itself before, since a file that holds one
 * that is damaged could not be read.
 */

const struct kt_outcome *kt_report_failed_attempt(const struct kt_outcome *outcome)
{
	while (outcome && !kt_outcome_is_failure(outcome))
		outcome = outcome->previous;
	return outcome;
}

/* The lines of the story, as the console shows them. */
static json_t *lines_json(const json_t *story)
{
	KT_FREE char *text = kt_story_text(story);
	json_t *array = json_array();
	char *save;

	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; array && line;
	     line = strtok_r(NULL, "\n", &save))
		(void)json_array_append_new(array, kt_json_text(line, strlen(line)));
	return array;
}

/* Whether the seed repeats the attempt; with machines that show the host's time, it does not. */
static bool is_repeatable(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	return outcome->mips && info->host->repeatable;
}

static json_t *text_json(const char *text)
{
	return text ? kt_json_text(text, strlen(text)) : json_null();
}

static json_t *head_json(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	KT_FREE char *rerun = kt_report_rerun_command(info, outcome);
	KT_FREE char *open = outcome->capsule ? kt_report_capsule_text(info, outcome) : NULL;
	const struct kt_test *test = outcome->test;
	json_t *story = kt_outcome_story(outcome);
	json_t *lines = lines_json(story);

	return json_pack(
		"{ss si ss ss si so ss ss ss so so si si so so sb so so so so so sO?}", "schema",
		KT_FAILURE_SCHEMA, "version", KT_FAILURE_VERSION, "test", outcome->name, "file",
		test->file, "line", (int)test->line, "summary", text_json(test->summary), "kernel",
		outcome->kernel->facts.release, "accel", info->host->accel_text, "verdict",
		kt_verdict_name(outcome->result.verdict), "reason",
		text_json(outcome->result.reason), "seed", json_sprintf("%" PRIu64, outcome->seed),
		"attempt", (int)outcome->attempt, "iteration", (int)outcome->iteration, "rerun",
		text_json(rerun), "capsule", text_json(outcome->capsule), "repeatable",
		is_repeatable(info, outcome), "open", text_json(open), "no_capsule",
		text_json(outcome->no_capsule), "story", story, "story_lines", lines, "result",
		kt_result_to_json(&outcome->result), "freeze", outcome->freeze);
}

/* Writes a report, or why it is not there. */
static void put_snapshot(FILE *out, const struct kt_snapshots *snapshots,
			 const struct kt_snapshot_entry *entry, size_t room)
{
	KT_FREE char *text = entry->len <= room ? kt_snapshots_text(snapshots, entry) : NULL;
	KT_JSON json_t *report = text ? json_loads(text, 0, NULL) : NULL;

	if (report)
		(void)fputs(text, out);
	else
		(void)fprintf(out, "{\"error\": \"%s\"}",
			      entry->len > room ? "left out: this file would be too long"
						: "it is damaged");
}

/* Those at the end first: they are of the failure. The object is in the order of time. */
static void put_snapshots(FILE *out, const struct kt_snapshots *snapshots)
{
	size_t room[KT_SNAPSHOTS_MAX], left = KT_FAILURE_SNAPSHOTS_MAX;

	for (size_t i = snapshots->n; i-- > 0;) {
		room[i] = left;
		left -= KT_MIN(left, (size_t)snapshots->at[i].len);
	}
	for (size_t i = 0; i < snapshots->n; i++) {
		(void)fprintf(out, "%s\n  \"%s\": ", i ? "," : "", snapshots->at[i].name);
		put_snapshot(out, snapshots, &snapshots->at[i], room[i]);
	}
}

char *kt_report_failure_json(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	KT_JSON json_t *head = head_json(info, outcome);
	KT_FREE char *head_text = head ? json_dumps(head, JSON_INDENT(2)) : NULL;
	char *text = NULL;
	size_t len;
	FILE *out = head_text ? open_memstream(&text, &len) : NULL;

	if (!out)
		return NULL;
	/* Without the brace at its end, and the newline before. */
	(void)fprintf(out, "%.*s,\n\"snapshots\": {", (int)strlen(head_text) - 2, head_text);
	put_snapshots(out, &outcome->snapshots);
	(void)fputs("}\n}\n", out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
