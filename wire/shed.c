/* SPDX-License-Identifier: MIT */
#include "wire/shed.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "wire/json.h"

#define LONG_TEXT     400u
#define SHORT_TEXT    60u
#define LONG_LIST     100u
#define KEPT_FAILURES 8u

/*
 * Each step changes the result in place and returns whether there was anything to leave out. The
 * order of the steps is documented in shed.h and is part of the format: a reader who misses a
 * worker table must be able to rely on the texts of the failures.
 */
struct step {
	bool (*apply)(json_t *result);
	const char *what;
};

static bool cut_texts(json_t *json, size_t max);

static bool cut_member(json_t *object, const char *key, json_t *member, size_t max)
{
	const char *text = json_string_value(member);
	size_t len = json_string_length(member), end = max;

	if (!text)
		return cut_texts(member, max);
	if (len <= max)
		return false;
	while (end && ((unsigned char)text[end] & 0xc0) == 0x80) /* inside a UTF-8 sequence */
		end--;
	return json_object_set_new(object, key, json_stringn(text, end)) == 0;
}

/* Cuts every string in @json, whatever it is, but for the member "shed" itself. */
static bool cut_texts(json_t *json, size_t max)
{
	bool cut = false;
	const char *key;
	json_t *member;
	void *next;
	size_t i;

	json_object_foreach_safe(json, next, key, member) cut |=
		strcmp(key, "shed") && cut_member(json, key, member, max);
	json_array_foreach(json, i, member) cut |= cut_texts(member, max);
	return cut;
}

static bool cut_lists(json_t *json)
{
	size_t n = json_array_size(json), i;
	bool cut = n > LONG_LIST;
	const char *key;
	json_t *member;

	for (; n > LONG_LIST; n--)
		(void)json_array_remove(json, LONG_LIST / 2);
	json_array_foreach(json, i, member) cut |= cut_lists(member);
	json_object_foreach(json, key, member) cut |= cut_lists(member);
	return cut;
}

static json_t *scenario_member(json_t *result, const char *name)
{
	return json_object_get(json_object_get(result, "scenario"), name);
}

static bool shed_workers(json_t *result)
{
	json_t *workers = scenario_member(result, "workers");

	return json_array_size(workers) && json_array_clear(workers) == 0;
}

static bool shed_long_texts(json_t *result)
{
	return cut_texts(result, LONG_TEXT);
}

static bool shed_metrics(json_t *result)
{
	bool shed = false;
	json_t *payload;
	size_t i;

	json_array_foreach(scenario_member(result, "payloads"), i, payload) shed |=
		json_object_del(payload, "metrics") == 0;
	return shed;
}

static bool shed_lists(json_t *result)
{
	return cut_lists(json_object_get(result, "scenario"));
}

static bool shed_scenario(json_t *result)
{
	return json_object_del(result, "scenario") == 0;
}

static bool shed_failures(json_t *result)
{
	json_t *failures = json_object_get(result, "failures");
	size_t n = json_array_size(failures);

	for (size_t i = n; i > KEPT_FAILURES; i--)
		(void)json_array_remove(failures, i - 1);
	return n > KEPT_FAILURES;
}

static bool shed_short_texts(json_t *result)
{
	return cut_texts(result, SHORT_TEXT);
}

static const struct step steps[] = {
	{ shed_workers, "the table of workers" },
	{ shed_long_texts, "the ends of long texts" },
	{ shed_metrics, "metrics of payloads" },
	{ shed_lists, "the middle of long lists" },
	{ shed_scenario, "all statistics" },
	{ shed_failures, "failures after the eighth" },
	{ shed_short_texts, "the ends of all texts" },
};

static void note(json_t *result, const char *what)
{
	json_t *shed = json_object_get(result, "shed");

	if (!shed && json_object_set_new(result, "shed", shed = json_array()) < 0)
		return;
	(void)json_array_append_new(shed, json_string(what));
}

char *kt_shed(json_t *result, size_t max)
{
	char *text = json_dumps(result, JSON_COMPACT);

	for (size_t i = 0; text && strlen(text) > max && i < KT_ARRAY_LEN(steps); i++) {
		if (!steps[i].apply(result))
			continue;
		note(result, steps[i].what);
		free(text);
		text = json_dumps(result, JSON_COMPACT);
	}
	return text;
}
