/* SPDX-License-Identifier: MIT */
#include "vmm/snapshot/owners.h"

#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/maps.h"
#include "vmm/inspect/record.h"
#include "vmm/inspect/scx.h"
#include "wire/json.h"

/*
 * A scheduler's operations are the value of a map of type STRUCT_OPS, of which the kernel uses a
 * copy; a member of that leads to the struct scx_sched. All maps that were loaded together share
 * one BTF object: those with that of the operations are the scheduler's.
 */

#define OWNERS_MAX 64u

struct owner {
	uint64_t btf, sched;
};

struct owners {
	struct kt_inspect *inspect;
	struct kt_scx_sched *scheds;
	size_t n_scheds;
	uint64_t data; /* offset of the copy in struct bpf_struct_ops_map */
	uint64_t priv; /* offset of the pointer to the scheduler there */
	struct owner at[OWNERS_MAX];
	size_t n;
};

static bool find_offsets(struct owners *owners)
{
	struct kt_member data, priv;

	if (!kt_inspect_has_member(owners->inspect, "struct bpf_struct_ops_map", "kvalue.data",
				   &data) ||
	    !kt_inspect_has_member(owners->inspect, "struct sched_ext_ops", "priv", &priv))
		return false;
	owners->data = data.offset;
	owners->priv = priv.offset;
	return true;
}

/* Remembers the BTF of @map if it holds the operations of a scheduler. */
static void note_map(struct owners *owners, const struct kt_map *map)
{
	uint64_t sched;

	if (!map->btf || !map->type || strcmp(map->type, "BPF_MAP_TYPE_STRUCT_OPS") ||
	    owners->n == OWNERS_MAX ||
	    kt_inspect_read_uint(owners->inspect, map->kva + owners->data + owners->priv, 8, &sched,
				 NULL) < 0)
		return;
	for (size_t i = 0; i < owners->n_scheds; i++) {
		if (owners->scheds[i].kva == sched)
			owners->at[owners->n++] = (struct owner){ map->btf, sched };
	}
}

static uint64_t find_owner(const struct owners *owners, uint64_t btf)
{
	for (size_t i = 0; i < owners->n; i++) {
		if (btf && owners->at[i].btf == btf)
			return owners->at[i].sched;
	}
	return 0;
}

/* The walk goes by id, as that of kt_maps_json() did. */
static void mark(struct owners *owners, struct kt_maps *maps, json_t *array, bool is_set)
{
	struct kt_map map;
	size_t i = 0;
	int r;

	while (i < json_array_size(array) && (r = kt_maps_next(maps, &map, NULL))) {
		json_t *json = json_array_get(array, i++);
		uint64_t address, sched;

		if (r < 0)
			continue;
		if (!is_set)
			note_map(owners, &map);
		sched = is_set ? find_owner(owners, map.btf) : 0;
		if (sched && kt_json_get_hex(json, "address", &address) == 0 && address == map.kva)
			(void)json_object_set_new(json, "scheduler", kt_tree_address(sched));
	}
}

static void mark_all(struct owners *owners, json_t *array)
{
	for (int is_set = 0; is_set < 2; is_set++) {
		struct kt_maps *maps;

		if (kt_maps_open(owners->inspect, &maps, NULL) < 0)
			return;
		mark(owners, maps, array, is_set);
		kt_maps_close(maps);
	}
}

void kt_snapshot_mark_maps(struct kt_inspect *inspect, json_t *maps)
{
	struct owners owners = { .inspect = inspect };

	if (!json_is_array(maps) ||
	    kt_scx_scheds(inspect, &owners.scheds, &owners.n_scheds, NULL) < 0)
		return;
	if (owners.n_scheds && find_offsets(&owners))
		mark_all(&owners, maps);
	free(owners.scheds);
}
