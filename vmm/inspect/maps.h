/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * BPF maps with their contents, typed by the BTF that was loaded with each of them: arrays, hashes,
 * their per-CPU and LRU kinds, storage of tasks (and of what else can have one), arenas,
 * struct_ops, and data sections (.bss, .data, .rodata) as variables by name.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/walk.h"

struct kt_map {
	uint64_t kva; /* of its struct bpf_map */
	uint32_t id;
	const char *type; /* enumerator, "BPF_MAP_TYPE_HASH"; NULL: unknown */
	char name[32];
	uint32_t key_size, value_size, max_entries, flags;
	uint64_t btf; /* struct btf that its types are of; 0: none */
	uint32_t key_type, value_type;
};

/* What is at one place of a map. */
struct kt_map_entry {
	uint64_t index; /* of an array, else the number of the entry */
	uint64_t key;   /* address; 0: the map has no keys in memory */
	uint64_t value; /* address */
	bool per_cpu;   /* @value is a pointer to per-CPU memory: kt_inspect_per_cpu() */
	uint64_t owner; /* of a storage: the task or other object that it belongs to */
};

struct kt_maps;

int kt_maps_open(struct kt_inspect *inspect, struct kt_maps **ret_maps, struct kt_err *reterr);

/* Returns NULL. NULL is allowed. Places of this object's maps end with it. */
struct kt_maps *kt_maps_close(struct kt_maps *maps);

/*
 * 1: *@ret_map is the next, by id. 0: that was all. After an error, the next call goes on with the
 * map behind it, unless it is -ENODEV.
 */
int kt_maps_next(struct kt_maps *maps, struct kt_map *ret_map, struct kt_err *reterr);

/*
 * The map with this id, name, or end of a name that begins at a dot: ".bss". Of several that fit,
 * -EINVAL names the ids; -ENOENT names the maps there are.
 */
int kt_maps_find(struct kt_maps *maps, const char *name, struct kt_map *ret_map,
		 struct kt_err *reterr);

/*
 * Calls @fn for each entry, up to @max. A result of @fn other than 0 ends it; a negative one is
 * returned. -EOPNOTSUPP for maps whose entries have no place, such as ring buffers.
 */
typedef int (*kt_map_entry_fn)(void *data, const struct kt_map_entry *entry, struct kt_err *reterr);
int kt_map_entries(struct kt_maps *maps, const struct kt_map *map, size_t max, kt_map_entry_fn fn,
		   void *data, struct kt_err *reterr);

/* The key or the value at an address as a typed place; -ENOENT when the map has no such type. */
int kt_map_key(struct kt_maps *maps, const struct kt_map *map, uint64_t kva,
	       struct kt_place *ret_place, struct kt_err *reterr);
int kt_map_value(struct kt_maps *maps, const struct kt_map *map, uint64_t kva,
		 struct kt_place *ret_place, struct kt_err *reterr);

/* A variable of a data section. -ENOENT names those that are close. */
int kt_map_variable(struct kt_maps *maps, const struct kt_map *map, const char *name,
		    struct kt_place *ret_place, struct kt_err *reterr);

/*
 * Calls @fn with each variable of a data section. A result of @fn other than 0 ends it; a negative
 * one is returned. -EINVAL when the map is none.
 */
typedef int (*kt_map_variable_fn)(void *data, const char *name, const struct kt_place *place);
int kt_map_variables(struct kt_maps *maps, const struct kt_map *map, kt_map_variable_fn fn,
		     void *data, struct kt_err *reterr);

/* Whether the map is a data section. */
bool kt_map_is_section(struct kt_maps *maps, const struct kt_map *map);

/* The kernel's address of an address that the programs of an arena use. */
int kt_map_arena(struct kt_maps *maps, const struct kt_map *map, uint64_t user, uint64_t *ret_kva,
		 struct kt_err *reterr);

/* All maps with their contents; the map that @name says. */
int kt_maps_json(struct kt_walk *walk, const char *unused, json_t **ret_json,
		 struct kt_err *reterr);
int kt_map_json(struct kt_walk *walk, const char *name, json_t **ret_json, struct kt_err *reterr);
