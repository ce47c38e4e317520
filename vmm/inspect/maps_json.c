/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/maps.h"
#include "vmm/inspect/maps_state.h"
#include "vmm/inspect/tasks.h"

/*
 * BPF maps as JSON: an entry is {"index" or "key" or whose it is, "value" or "cpus"}. A key or
 * value without a type is its bytes in hexadecimal.
 */

#define BYTES_MAX 64u
#define PAGE      4096u

struct rendering {
	struct kt_walk *walk;
	struct kt_maps *maps;
	struct kt_tasks *tasks; /* NULL until it is needed */
	const struct kt_map *map;
	json_t *array;
	bool more; /* than the limit allows */
};

static json_t *bytes_json(struct kt_walk *walk, uint64_t kva, uint32_t size)
{
	static const char DIGITS[] = "0123456789abcdef";
	uint32_t len = KT_MIN(size, BYTES_MAX);
	struct kt_err err = KT_ERR_NULL;
	char text[BYTES_MAX * 2 + sizeof("...")];
	uint8_t bytes[BYTES_MAX];
	uint32_t n = 0;

	if (kt_inspect_read(walk->inspect, kva, bytes, len, &err) < 0)
		return kt_tree_error(&err);
	for (uint32_t i = 0; i < len; i++) {
		text[n++] = DIGITS[bytes[i] >> 4];
		text[n++] = DIGITS[bytes[i] & 15];
	}
	memcpy(text + n, size > len ? "..." : "", size > len ? 4 : 1);
	return json_string(text);
}

/* Within what is left of the walk's time. */
static json_t *place_json(struct kt_walk *walk, const struct kt_place *place)
{
	struct kt_render_limits limits = walk->limits.value;
	struct kt_err err = KT_ERR_NULL;
	json_t *json = NULL;

	if (kt_walk_is_late(walk))
		return json_pack("{s:b}", "truncated", 1);
	if (kt_render_json(walk->inspect, place, &limits, &json, &err) < 0)
		return kt_tree_error(&err);
	return json;
}

static json_t *key_json(struct rendering *to, uint64_t kva)
{
	struct kt_place place;

	return kt_map_key(to->maps, to->map, kva, &place, NULL) < 0
		       ? bytes_json(to->walk, kva, to->map->key_size)
		       : place_json(to->walk, &place);
}

static json_t *value_json(struct rendering *to, uint64_t kva)
{
	struct kt_place place;

	/* Nobody but its program knows what a page holds. */
	if (kt_map_is(to->map, "ARENA"))
		return bytes_json(to->walk, kva, PAGE);
	return kt_map_value(to->maps, to->map, kva, &place, NULL) < 0
		       ? bytes_json(to->walk, kva, to->map->value_size)
		       : place_json(to->walk, &place);
}

static json_t *cpus_json(struct rendering *to, uint64_t pointer)
{
	struct kt_inspect *inspect = to->walk->inspect;
	json_t *array = json_array();

	for (unsigned int cpu = 0; array && cpu < kt_inspect_facts(inspect)->n_cpus; cpu++) {
		struct kt_err err = KT_ERR_NULL;
		uint64_t kva;

		if (kt_inspect_per_cpu(inspect, pointer, cpu, &kva, &err) < 0)
			(void)json_array_append_new(array, kt_tree_error(&err));
		else
			(void)json_array_append_new(array, value_json(to, kva));
	}
	return array;
}

/* Whose a storage is. */
static void set_owner(struct rendering *to, json_t *json, uint64_t owner)
{
	struct kt_task task;

	if (!to->tasks)
		(void)kt_tasks_open(to->walk->inspect, &to->tasks, NULL);
	if (kt_map_is(to->map, "TASK_STORAGE") && to->tasks &&
	    kt_tasks_read(to->tasks, owner, &task, NULL) == 0) {
		(void)json_object_set_new(json, "pid", json_integer(task.pid));
		(void)json_object_set_new(json, "comm", kt_tree_text(task.comm));
	} else {
		(void)json_object_set_new(json, "owner", kt_tree_address(owner));
	}
}

static int add_entry(void *data, const struct kt_map_entry *entry, struct kt_err *reterr)
{
	struct rendering *to = data;
	json_t *json;

	if (json_array_size(to->array) == to->walk->limits.entries || kt_walk_is_late(to->walk)) {
		to->more = true;
		return 1;
	}
	json = json_object();
	if (json && entry->key)
		(void)json_object_set_new(json, "key", key_json(to, entry->key));
	else if (json && entry->owner)
		set_owner(to, json, entry->owner);
	else if (json)
		(void)json_object_set_new(json, kt_map_is(to->map, "ARENA") ? "page" : "index",
					  kt_tree_unsigned(entry->index));
	if (json && entry->per_cpu)
		(void)json_object_set_new(json, "cpus", cpus_json(to, entry->value));
	else if (json)
		(void)json_object_set_new(json, "value", value_json(to, entry->value));
	return json_array_append_new(to->array, json) < 0 ? kt_err_oom(reterr) : 0;
}

static bool counts_entries(const struct kt_map *map)
{
	return kt_map_is(map, "ARRAY") || kt_map_is(map, "PERCPU_ARRAY");
}

static json_t *entries_json(struct rendering *to)
{
	struct kt_err err = KT_ERR_NULL;
	unsigned int limit = to->walk->limits.entries;
	int r;

	to->array = json_array();
	if (!to->array)
		return NULL;
	r = kt_map_entries(to->maps, to->map, (size_t)limit + 1, add_entry, to, &err);
	if (r < 0)
		(void)json_array_append_new(to->array, kt_tree_error(&err));
	else if (to->more)
		kt_walk_cut(to->array, counts_entries(to->map)
					       ? to->map->max_entries - json_array_size(to->array)
					       : 0);
	return to->array;
}

static int add_variable(void *data, const char *name, const struct kt_place *place)
{
	struct rendering *to = data;
	json_t *key = kt_tree_text(name);
	int r = 0;

	if (!key ||
	    json_object_set_new(to->array, json_string_value(key), place_json(to->walk, place)) < 0)
		r = -ENOMEM;
	json_decref(key);
	return r;
}

static json_t *variables_json(struct rendering *to)
{
	struct kt_err err = KT_ERR_NULL;

	to->array = json_object();
	if (to->array && kt_map_variables(to->maps, to->map, add_variable, to, &err) < 0) {
		json_decref(to->array);
		return kt_tree_error(&err);
	}
	return to->array;
}

static void set_contents(struct rendering *to, json_t *json)
{
	if (kt_map_is_section(to->maps, to->map))
		(void)json_object_set_new(json, "variables", variables_json(to));
	else
		(void)json_object_set_new(json, "entries", entries_json(to));
}

static json_t *map_json(struct kt_walk *walk, struct kt_maps *maps, const struct kt_map *map)
{
	struct rendering to = { .walk = walk, .maps = maps, .map = map };
	json_t *json =
		json_pack("{s:I, s:o, s:s?, s:I, s:I, s:I, s:I, s:o}", "id", (json_int_t)map->id,
			  "name", kt_tree_text(map->name), "type", map->type, "key_size",
			  (json_int_t)map->key_size, "value_size", (json_int_t)map->value_size,
			  "max_entries", (json_int_t)map->max_entries, "flags",
			  (json_int_t)map->flags, "address", kt_tree_address(map->kva));

	if (json)
		set_contents(&to, json);
	kt_tasks_close(to.tasks);
	return json;
}

/* What is shown, and the one that it has come to. */
struct listing {
	struct kt_maps *maps;
	struct kt_map map;
};

static int next_map(void *data, struct kt_err *reterr)
{
	struct listing *listing = data;

	return kt_maps_next(listing->maps, &listing->map, reterr);
}

static json_t *listed_json(struct kt_walk *walk, void *data)
{
	const struct listing *listing = data;

	return map_json(walk, listing->maps, &listing->map);
}

int kt_maps_json(struct kt_walk *walk, const char *unused, json_t **ret_json, struct kt_err *reterr)
{
	struct listing listing;
	const struct kt_walk_source source = { next_map, listed_json, &listing };
	json_t *array;
	int r = kt_maps_open(walk->inspect, &listing.maps, reterr);

	(void)unused;
	if (r < 0)
		return r;
	array = kt_walk_array(walk, &source, walk->limits.maps);
	kt_maps_close(listing.maps);
	if (!array)
		return kt_err_oom(reterr);
	*ret_json = array;
	return 0;
}

int kt_map_json(struct kt_walk *walk, const char *name, json_t **ret_json, struct kt_err *reterr)
{
	struct kt_maps *maps;
	struct kt_map map;
	json_t *json;
	int r = kt_maps_open(walk->inspect, &maps, reterr);

	if (r < 0)
		return r;
	r = kt_maps_find(maps, name, &map, reterr);
	if (r == 0) {
		json = map_json(walk, maps, &map);
		if (json)
			*ret_json = json;
		else
			r = kt_err_oom(reterr);
	}
	kt_maps_close(maps);
	return r;
}
