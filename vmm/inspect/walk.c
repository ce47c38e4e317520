/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/walk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/inspect/maps.h"
#include "vmm/inspect/programs.h"
#include "vmm/inspect/record.h"
#include "vmm/inspect/runqueues.h"
#include "vmm/inspect/scx.h"
#include "vmm/inspect/tasks.h"
#include "vmm/inspect/types.h"

/*
 * A word is a function that makes JSON. Each does what it can: what fails inside of it stands in
 * the JSON, so that one bad list does not take the others away.
 */

#define WORD_LEN 32u

void kt_walk_init(struct kt_walk *walk, struct kt_inspect *inspect,
		  const struct kt_walk_limits *limits)
{
	*walk = (struct kt_walk){ .inspect = inspect,
				  .limits = limits ? *limits : KT_WALK_LIMITS_DEFAULT };
	if (walk->limits.cpu_ns)
		walk->cpu_end_ns = kt_thread_cpu_ns() + walk->limits.cpu_ns;
}

bool kt_walk_is_late(const struct kt_walk *walk)
{
	return walk->cpu_end_ns && kt_thread_cpu_ns() > walk->cpu_end_ns;
}

void kt_walk_cut(json_t *array, uint64_t n)
{
	(void)json_array_append_new(
		array, json_pack("{s:o}", "truncated", n ? kt_tree_unsigned(n) : json_true()));
}

json_t *kt_walk_array(struct kt_walk *walk, const struct kt_walk_source *source, unsigned int limit)
{
	json_t *array = json_array();

	for (unsigned int n = 0; array; n++) {
		struct kt_err err = KT_ERR_NULL;
		int r = source->next(source->data, &err);

		if (!r)
			break;
		if (n == limit || kt_walk_is_late(walk)) {
			kt_walk_cut(array, 0);
			break;
		}
		if (json_array_append_new(array, r > 0 ? source->json(walk, source->data)
						       : kt_tree_error(&err)) == 0)
			continue;
		json_decref(array);
		return NULL;
	}
	return array;
}

/* ---- The kernel itself ---- */

/*
 * How long a jiffy is: HZ is a constant of the build, but the clock source that counts jiffies
 * knows (kernel/time/jiffies.c). NULL when it does not.
 */
static json_t *jiffy_json(struct kt_inspect *inspect)
{
	struct kt_member mult, shift;
	uint64_t source, factor, bits;

	if (!kt_inspect_has_symbol(inspect, "clocksource_jiffies", &source) ||
	    !kt_inspect_has_member(inspect, "struct clocksource", "mult", &mult) ||
	    !kt_inspect_has_member(inspect, "struct clocksource", "shift", &shift) ||
	    kt_inspect_read_uint(inspect, source + mult.offset, 4, &factor, NULL) < 0 ||
	    kt_inspect_read_uint(inspect, source + shift.offset, 4, &bits, NULL) < 0 || bits > 31 ||
	    !(factor >> bits))
		return NULL;
	return kt_tree_unsigned(factor >> bits);
}

static int kernel_json(struct kt_walk *walk, const char *unused, json_t **ret_json,
		       struct kt_err *reterr)
{
	const struct kt_inspect_facts *facts = kt_inspect_facts(walk->inspect);
	uint64_t symbol, jiffies = 0;

	(void)unused;
	if (kt_inspect_has_symbol(walk->inspect, "jiffies_64", &symbol))
		(void)kt_inspect_read_uint(walk->inspect, symbol, 8, &jiffies, NULL);
	*ret_json = json_pack("{s:o, s:s, s:i, s:i, s:o, s:o, s:o, s:o*}", "release",
			      kt_tree_text(facts->release), "build_id", facts->build_id, "cpus",
			      (int)facts->n_cpus, "levels", (int)facts->levels, "kaslr",
			      kt_tree_address(facts->kaslr), "page_offset",
			      kt_tree_address(facts->page_offset), "jiffies",
			      kt_tree_unsigned(jiffies), "jiffy_ns", jiffy_json(walk->inspect));
	return *ret_json ? 0 : kt_err_oom(reterr);
}

static int all_json(struct kt_walk *walk, const char *unused, json_t **ret_json,
		    struct kt_err *reterr);

const struct kt_walk_word kt_walk_words[] = {
	{ "kernel", NULL, "version, memory layout and jiffies", kernel_json },
	{ "runqueues", NULL, "the run queue of each CPU", kt_runqueues_json },
	{ "scx", NULL, "sched_ext: schedulers, event counters, dispatch queues", kt_scx_json },
	{ "maps", NULL, "BPF maps with their contents", kt_maps_json },
	{ "map", "NAME", "one BPF map, by name, end of the name (.bss) or id", kt_map_json },
	{ "programs", NULL, "BPF programs, and how often they have run", kt_programs_json },
	{ "tasks", NULL, "all threads", kt_tasks_json },
	{ "all", NULL, "all of these", all_json },
	{ NULL, NULL, NULL, NULL },
};

const struct kt_walk_word *kt_walk_word(const char *name)
{
	for (const struct kt_walk_word *word = kt_walk_words; word->name; word++) {
		if (!strcmp(word->name, name))
			return word;
	}
	return NULL;
}

/* ---- All ---- */

/* Members are in the order of importance: a limit of time cuts the last ones. */
static int all_json(struct kt_walk *walk, const char *unused, json_t **ret_json,
		    struct kt_err *reterr)
{
	json_t *all = json_object();

	(void)unused;
	for (const struct kt_walk_word *word = kt_walk_words; all && word->name; word++) {
		struct kt_err err = KT_ERR_NULL;
		json_t *json = NULL;

		if (word->argument || word->json == all_json)
			continue;
		if (word->json(walk, NULL, &json, &err) < 0)
			json = kt_tree_error(&err);
		if (json_object_set_new(all, word->name, json) < 0) {
			json_decref(all);
			all = NULL;
		}
	}
	if (!all)
		return kt_err_oom(reterr);
	*ret_json = all;
	return 0;
}

int kt_inspect_render_all(struct kt_inspect *inspect, const struct kt_walk_limits *limits,
			  json_t **ret_json, struct kt_err *reterr)
{
	struct kt_walk walk;

	kt_walk_init(&walk, inspect, limits);
	return all_json(&walk, NULL, ret_json, reterr);
}

/* ---- By words ---- */

static int no_word(const char *name, struct kt_err *reterr)
{
	char all[256] = "";
	size_t len = 0;

	for (const struct kt_walk_word *word = kt_walk_words; word->name; word++)
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s%s%s", len ? ", " : "",
					word->name, word->argument ? " " : "",
					word->argument ?: "");
	return kt_err_set(reterr, -EINVAL, "'%s' is none of: %s", name, all);
}

bool kt_is_walk(const char *text)
{
	char name[WORD_LEN];
	size_t len = strcspn(text, " ");

	if (len >= sizeof(name))
		return false;
	memcpy(name, text, len);
	name[len] = 0;
	return kt_walk_word(name) != NULL;
}

int kt_inspect_walk(struct kt_inspect *inspect, const char *words,
		    const struct kt_walk_limits *limits, json_t **ret_json, struct kt_err *reterr)
{
	const char *argument = words + strcspn(words, " ");
	size_t len = (size_t)(argument - words);
	const struct kt_walk_word *word;
	struct kt_walk walk;
	char name[WORD_LEN];

	if (len >= sizeof(name))
		return no_word(words, reterr);
	memcpy(name, words, len);
	name[len] = 0;
	argument += strspn(argument, " ");
	word = kt_walk_word(name);
	if (!word)
		return no_word(name, reterr);
	if (!*argument != !word->argument)
		return kt_err_set(reterr, -EINVAL,
				  word->argument ? "'%s' needs an argument: %s"
						 : "'%s' takes no argument",
				  word->name, word->argument);
	kt_walk_init(&walk, inspect, limits);
	return word->json(&walk, *argument ? argument : NULL, ret_json, reterr);
}

/* ---- For people ---- */

/* The same tree with texts as leaves, as kt_render_print() wants it. */
static json_t *texts_of(const json_t *json)
{
	KT_FREE char *text = NULL;
	const char *key;
	json_t *copy, *value;
	size_t i;

	if (json_is_array(json)) {
		copy = json_array();
		json_array_foreach(json, i, value)(void)
			json_array_append_new(copy, texts_of(value));
		return copy;
	}
	if (json_is_object(json)) {
		copy = json_object();
		json_object_foreach((json_t *)json, key, value)(void)
			json_object_set_new(copy, key, texts_of(value));
		return copy;
	}
	text = json_dumps(json, JSON_ENCODE_ANY);
	return text ? json_string(text) : NULL;
}

char *kt_walk_text(const json_t *json)
{
	json_t *texts = texts_of(json);
	char *text = texts ? kt_render_print(texts) : NULL;

	json_decref(texts);
	return text;
}
