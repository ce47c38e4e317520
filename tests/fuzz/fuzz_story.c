/* SPDX-License-Identifier: MIT */
/*
 * The story of reports that a guest could have made, and its text: the input is up to three reports
 * with a NUL between them, and the first of them is also taken for a story.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "vmm/snapshot/story.h"
#include "wire/json.h"

static void check_text(const json_t *story)
{
	KT_FREE char *text = kt_story_text(story);
	unsigned int lines = 0;

	KT_FUZZ_ASSERT(text);
	for (const char *c = text; *c; c++) {
		lines += *c == '\n';
		KT_FUZZ_ASSERT((unsigned char)*c >= ' ' || *c == '\n');
	}
	KT_FUZZ_ASSERT(lines <= KT_STORY_LINES);
	KT_FUZZ_ASSERT(!*text || text[strlen(text) - 1] == '\n');
}

static void check_story(const json_t *story)
{
	KT_FUZZ_ASSERT(story);
	KT_FUZZ_ASSERT(json_array_size(json_object_get(story, "waiting")) <= KT_STORY_WAITING);
	KT_FUZZ_ASSERT(json_array_size(json_object_get(story, "cpus")) <= KT_STORY_CPUS);
	check_text(story);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_FREE char *text = kt_fuzz_text(data, size);
	json_t *reports[3] = { NULL };
	const char *at = text;
	json_t *story;

	for (size_t i = 0; i < KT_ARRAY_LEN(reports) && at <= text + size; i++) {
		reports[i] = json_loads(at, JSON_DECODE_ANY, NULL);
		at += strlen(at) + 1;
	}
	story = kt_story_make(&(struct kt_story_reports){
		.at = reports[0], .told = reports[1], .before = reports[2] });
	check_story(story);
	check_text(reports[0]);
	json_decref(story);
	for (size_t i = 0; i < KT_ARRAY_LEN(reports); i++)
		json_decref(reports[i]);
	return 0;
}
