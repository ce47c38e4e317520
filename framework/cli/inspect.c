/* SPDX-License-Identifier: MIT */
#include "framework/cli/inspect.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "framework/cli/exit_status.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/render.h"
#include "vmm/inspect/walk.h"

/*
 * A path that cannot be shown does not keep the others from being shown. As JSON, all values are
 * one object, whose keys are the paths.
 */

static void complain(const struct kt_err *err)
{
	(void)fprintf(stderr, "ktests: %s\n", err->text);
}

static struct kt_render_limits limits_of(const struct kt_options *options)
{
	struct kt_render_limits limits = KT_RENDER_LIMITS_DEFAULT;

	if (options->depth)
		limits.depth = options->depth;
	limits.pointers = options->pointers;
	return limits;
}

static int print_text(struct kt_inspect *inspect, const char *path, const struct kt_place *place,
		      const struct kt_render_limits *limits, struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	int r = kt_render_text(inspect, place, limits, &text, reterr);

	if (r == 0)
		(void)printf("%s = %s\n", path, text);
	return r;
}

static int add_json(struct kt_inspect *inspect, const char *path, const struct kt_place *place,
		    const struct kt_render_limits *limits, json_t *all, struct kt_err *reterr)
{
	json_t *value;
	int r = kt_render_json(inspect, place, limits, &value, reterr);

	if (r < 0)
		return r;
	return json_object_set_new(all, path, value) < 0 ? kt_err_oom(reterr) : 0;
}

/* The value at a typed path. */
static int print_path(struct kt_inspect *inspect, const struct kt_options *options,
		      const char *path, json_t *all, struct kt_err *reterr)
{
	struct kt_render_limits limits = limits_of(options);
	struct kt_place place;
	int r = kt_inspect_resolve(inspect, path, &place, reterr);

	if (r < 0)
		return r;
	r = all ? add_json(inspect, path, &place, &limits, all, reterr)
		: print_text(inspect, path, &place, &limits, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "'%s'", path) : 0;
}

/* What a word says: "tasks", "map pairs". */
static int print_word(struct kt_inspect *inspect, const char *words, json_t *all,
		      struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	json_t *value;
	int r = kt_inspect_walk(inspect, words, NULL, &value, reterr);

	if (r < 0)
		return r;
	if (all)
		return json_object_set_new(all, words, value) < 0 ? kt_err_oom(reterr) : 0;
	text = kt_walk_text(value);
	json_decref(value);
	if (!text)
		return kt_err_oom(reterr);
	(void)printf("%s = %s\n", words, text);
	return 0;
}

static int print_one(struct kt_inspect *inspect, const struct kt_options *options, const char *path,
		     json_t *all, struct kt_err *reterr)
{
	return kt_is_walk(path) ? print_word(inspect, path, all, reterr)
				: print_path(inspect, options, path, all, reterr);
}

int kt_inspect_print_one(struct kt_inspect *inspect, const struct kt_options *options,
			 const char *path, struct kt_err *reterr)
{
	return print_one(inspect, options, path, NULL, reterr);
}

static size_t print_paths(struct kt_inspect *inspect, const struct kt_options *options, json_t *all)
{
	size_t n_failed = 0;

	for (size_t i = 0; i < options->paths.n; i++) {
		struct kt_err err = KT_ERR_NULL;

		if (print_one(inspect, options, options->paths.at[i], all, &err) == 0)
			continue;
		complain(&err);
		n_failed++;
	}
	return n_failed;
}

static void print_facts(const struct kt_inspect_facts *facts)
{
	(void)printf("kernel     %s\n"
		     "build-id   %s\n"
		     "CPUs       %u\n"
		     "symbols    %zu\n"
		     "KASLR      0x%" PRIx64 "\n"
		     "direct map 0x%" PRIx64 ", %u levels of page tables\n",
		     facts->release, facts->build_id, facts->n_cpus, facts->n_symbols, facts->kaslr,
		     facts->page_offset, facts->levels);
}

static json_t *facts_json(const struct kt_inspect_facts *facts)
{
	return json_pack("{s:s, s:s, s:i, s:I, s:I, s:i}", "release", facts->release, "build_id",
			 facts->build_id, "cpus", (int)facts->n_cpus, "symbols",
			 (json_int_t)facts->n_symbols, "kaslr", (json_int_t)facts->kaslr, "levels",
			 (int)facts->levels);
}

static void dump(json_t *json)
{
	(void)json_dumpf(json, stdout, JSON_INDENT(1));
	(void)printf("\n");
	json_decref(json);
}

size_t kt_inspect_print(struct kt_inspect *inspect, const struct kt_options *options)
{
	const struct kt_inspect_facts *facts = kt_inspect_facts(inspect);
	bool as_json = options->list_format == KT_LIST_JSON;
	json_t *all = as_json ? json_object() : NULL;
	size_t n_failed = print_paths(inspect, options, all);

	if (!options->paths.n && as_json)
		dump(facts_json(facts));
	else if (!options->paths.n)
		print_facts(facts);
	else if (as_json)
		dump(json_incref(all));
	json_decref(all);
	return n_failed;
}

static int open_file(const char *path, struct kt_ram **ret_ram, struct kt_inspect **ret_inspect,
		     struct kt_err *reterr)
{
	KT_FREE char *cache = NULL;
	int r = kt_ram_open_file(path, false, ret_ram, reterr);

	if (r < 0)
		return r;
	/* Without a cache it only takes longer. */
	(void)kt_cache_path("inspect", &cache, NULL);
	r = kt_inspect_open(*ret_ram, cache, ret_inspect, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "'%s'", path) : 0;
}

int kt_inspect_command(const struct kt_options *options)
{
	struct kt_inspect *inspect = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_ram *ram = NULL;
	int status = KT_EXIT_STATUS_HARNESS;

	if (open_file(options->vmcore, &ram, &inspect, &err) < 0)
		complain(&err);
	else if (!kt_inspect_print(inspect, options))
		status = KT_EXIT_STATUS_OK;
	inspect = kt_inspect_close(inspect);
	ram = kt_ram_close(ram);
	return status;
}
