/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "framework/outcome/story.h"
#include "framework/report/report.h"
#include "util/cleanup.h"
#include "vmm/snapshot/story.h"
#include "wire/json.h"

/*
 * The story in the report for people: what people ask of a failure first, so it comes before
 * everything else. Behind it stands what there is to look into.
 */

#define NAMES_SHOWN 8u

static void put_lines(FILE *out, const char *text)
{
	for (; *text; text += strcspn(text, "\n"), text += *text == '\n')
		kt_report_put_line(out, text, strcspn(text, "\n"));
}

static void put_names(FILE *out, const struct kt_snapshots *snapshots, bool kept)
{
	size_t first = snapshots->n > NAMES_SHOWN ? snapshots->n - NAMES_SHOWN : 0;

	(void)fputs("  snapshots: ", out);
	if (first)
		(void)fprintf(out, "%zu, the last of them ", snapshots->n);
	for (size_t i = first; i < snapshots->n; i++)
		(void)fprintf(out, "%s%s", i > first ? ", " : "", snapshots->at[i].name);
	(void)fputs(kept ? "\n" : " (-o DIR keeps them)\n", out);
}

void kt_report_put_story(FILE *out, const struct kt_run_info *info,
			 const struct kt_outcome *outcome)
{
	KT_JSON json_t *story = kt_outcome_story(outcome);
	KT_FREE char *text = story ? kt_story_text(story) : NULL;
	KT_FREE char *path =
		kt_report_path(info, outcome, info->options->output_dir, "failure.json");

	if (text && *text) {
		(void)fputs("  story:\n", out);
		put_lines(out, text);
		if (json_array_size(json_object_get(story, "snapshots")) &&
		    !json_is_true(json_object_get(story, "repeatable")))
			put_lines(out, "the seed does not repeat this: the machine had the host's "
				       "time");
	}
	if (outcome->snapshots.n)
		put_names(out, &outcome->snapshots, path != NULL);
	if (path)
		(void)fprintf(out, "  whole report: %s\n", path);
}
