/* SPDX-License-Identifier: MIT */
#include "vmm/freeze/spot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/maps.h"
#include "vmm/inspect/path.h"

/*
 * The types of a map are of the BTF that was loaded with it, which lives as long as the maps are
 * open: a place in a map is turned into a watch before they are closed.
 */

#define MAP_ENTRIES_MAX 65536u

/* "map(NAME)[KEY][cpu N]" and what follows. */
struct map_spot {
	char name[64];
	bool has_key, has_cpu;
	uint64_t key;
	unsigned int cpu;
	const char *steps;
};

static bool parse(const char *spot, struct map_spot *ret)
{
	int n = 0, used = 0;

	*ret = (struct map_spot){ .steps = spot };
	if (sscanf(spot, "map(%63[^)])%n", ret->name, &n) != 1 || !n)
		return false;
	if (sscanf(spot + n, "[%" SCNi64 "]%n", (int64_t *)&ret->key, &used) == 1 && used) {
		ret->has_key = true;
		n += used;
	}
	used = 0;
	if (sscanf(spot + n, "[cpu %u]%n", &ret->cpu, &used) == 1 && used) {
		ret->has_cpu = true;
		n += used;
	}
	ret->steps = spot + n;
	return true;
}

/* ---- Entries ---- */

struct search {
	struct kt_inspect *inspect;
	const struct kt_map *map;
	uint64_t key;
	struct kt_map_entry found;
};

static int match(void *data, const struct kt_map_entry *entry, struct kt_err *reterr)
{
	struct search *search = data;
	uint64_t key = entry->index;
	int r = 0;

	if (entry->key) {
		key = 0;
		r = kt_inspect_read(search->inspect, entry->key, &key,
				    KT_MIN(search->map->key_size, (uint32_t)sizeof(key)), reterr);
	}
	if (r < 0 || key != search->key)
		return r;
	search->found = *entry;
	return 1;
}

static int find_entry(struct kt_inspect *inspect, struct kt_maps *maps, const struct kt_map *map,
		      const struct map_spot *spot, uint64_t *ret_kva, struct kt_err *reterr)
{
	struct search search = { .inspect = inspect, .map = map, .key = spot->key };
	int r = kt_map_entries(maps, map, MAP_ENTRIES_MAX, match, &search, reterr);

	if (r < 0)
		return r;
	if (!search.found.value)
		return kt_err_set(reterr, -ENOENT, "map '%s' has no entry %" PRIu64, map->name,
				  spot->key);
	if (search.found.per_cpu != spot->has_cpu)
		return kt_err_set(reterr, -EINVAL, "map '%s' has %s", map->name,
				  spot->has_cpu ? "one value for all CPUs: no [cpu N]"
						: "a value of each CPU: which one, says [cpu N]");
	*ret_kva = search.found.value;
	return spot->has_cpu ? kt_inspect_per_cpu(inspect, *ret_kva, spot->cpu, ret_kva, reterr)
			     : 0;
}

/* The first step names a variable; the rest goes on from there. */
static int find_variable(struct kt_inspect *inspect, struct kt_maps *maps, const struct kt_map *map,
			 const struct map_spot *spot, struct kt_place *ret, struct kt_err *reterr)
{
	size_t len = *spot->steps == '.' ? strcspn(spot->steps + 1, ".[-") : 0;
	KT_FREE char *name = strndup(spot->steps + 1, len);
	struct kt_place variable;
	int r;

	if (!len || !name)
		return kt_err_set(reterr, name ? -EINVAL : -ENOMEM,
				  "which variable of '%s' is meant? map(%s).VARIABLE", map->name,
				  map->name);
	r = kt_map_variable(maps, map, name, &variable, reterr);
	if (r == 0 && !spot->steps[len + 1])
		*ret = variable;
	else if (r == 0)
		r = kt_inspect_follow(inspect, &variable, spot->steps + 1 + len, ret, reterr);
	return r;
}

static int find_in_map(struct kt_inspect *inspect, struct kt_maps *maps,
		       const struct map_spot *spot, struct kt_place *ret, struct kt_err *reterr)
{
	struct kt_place value;
	struct kt_map map;
	uint64_t kva = 0;
	int r = kt_maps_find(maps, spot->name, &map, reterr);

	if (r < 0)
		return r;
	if (!spot->has_key && kt_map_is_section(maps, &map))
		return find_variable(inspect, maps, &map, spot, ret, reterr);
	if (!spot->has_key)
		return kt_err_set(reterr, -EINVAL, "which entry of '%s' is meant? map(%s)[KEY]",
				  map.name, map.name);
	r = find_entry(inspect, maps, &map, spot, &kva, reterr)
		    ?: kt_map_value(maps, &map, kva, &value, reterr);
	if (r == 0 && !*spot->steps)
		*ret = value;
	else if (r == 0)
		r = kt_inspect_follow(inspect, &value, spot->steps, ret, reterr);
	return r;
}

/* ---- The watch ---- */

static int watch_place(const char *spot, const struct kt_place *place, struct kt_watch *watch,
		       struct kt_err *reterr)
{
	if (place->computed)
		return kt_err_set(reterr, -EINVAL, "'%s' is a value, which has no address", spot);
	watch->address = place->kva;
	if (watch->len)
		return 0;
	if (place->size > UINT32_MAX || !place->size)
		return kt_err_set(reterr, -EINVAL, "'%s' has %" PRIu64 " bytes", spot, place->size);
	watch->len = (uint32_t)place->size;
	watch->when.is_signed = kt_place_is_signed(place);
	watch->when.bit_shift = place->bit_shift;
	watch->when.bit_size = place->bit_size;
	if (watch->when.compare != KT_WATCH_ALWAYS && !kt_place_is_scalar(place))
		return kt_err_set(reterr, -EINVAL,
				  "'%s' is not a number: a condition needs one, or a .len", spot);
	return 0;
}

static int find_map_spot(struct kt_inspect *inspect, const char *text, const struct map_spot *spot,
			 struct kt_watch *watch, struct kt_err *reterr)
{
	struct kt_maps *maps = NULL;
	struct kt_place place;
	int r = kt_maps_open(inspect, &maps, reterr);

	if (r == 0)
		r = find_in_map(inspect, maps, spot, &place, reterr)
			    ?: watch_place(text, &place, watch, reterr);
	(void)kt_maps_close(maps);
	return r;
}

int kt_spot_find(struct kt_inspect *inspect, const char *spot, struct kt_watch *watch,
		 struct kt_err *reterr)
{
	struct map_spot in_map;
	struct kt_place place;
	int r;

	if (parse(spot, &in_map))
		return find_map_spot(inspect, spot, &in_map, watch, reterr);
	if (watch->len && kt_inspect_has_symbol(inspect, spot, &watch->address) &&
	    !kt_inspect_is_per_cpu(inspect, watch->address))
		return 0;
	r = kt_inspect_resolve(inspect, spot, &place, reterr);
	return r ?: watch_place(spot, &place, watch, reterr);
}
