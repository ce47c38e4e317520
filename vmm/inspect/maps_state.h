/* SPDX-License-Identifier: MIT */
#pragma once
/* What the files about BPF maps share of a struct kt_maps. */

#include "vmm/inspect/maps.h"
#include "vmm/inspect/record.h"

#define KT_MAPS_BTFS   64u        /* BTF objects that are remembered */
#define KT_ARENA_GUARD 0x8000u    /* bytes before an arena: half of GUARD_SZ (kernel/bpf/arena.c) */
#define KT_ARENA_PAGES (1u << 20) /* of an arena: 4 GiB */

struct kt_maps_btf {
	uint64_t kva; /* of the struct btf */
	struct btf *btf;
};

struct kt_maps {
	struct kt_inspect *inspect;
	struct kt_record record;
	uint64_t ids; /* the xarray */
	uint64_t next;
	bool ended;
	size_t n_btfs;
	struct kt_maps_btf btfs[KT_MAPS_BTFS];
};

/* The BTF object at @kva of the guest. */
int kt_maps_btf(struct kt_maps *maps, uint64_t kva, const struct btf **ret_btf,
		struct kt_err *reterr);

/* Whether the type's enumerator is BPF_MAP_TYPE_@type. */
bool kt_map_is(const struct kt_map *map, const char *type);
