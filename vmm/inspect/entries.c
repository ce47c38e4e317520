/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "vmm/inspect/chain.h"
#include "vmm/inspect/maps.h"
#include "vmm/inspect/maps_state.h"

/*
 * Where each kind of map has its entries. A kind is found by the name of its enumerator, and has a
 * function that calls the caller's for each entry. Nothing is copied but pointers.
 */

#define HASH_BUCKETS_MAX (1u << 24)
#define STORAGE_BITS_MAX 20u
#define CHAIN_MAX        (1u << 20)
#define BATCH_LEN        4096u /* bytes of buckets that are read at once */
#define PAGE             4096u

struct walk {
	struct kt_maps *maps;
	const struct kt_map *map;
	size_t left;
	uint64_t n;
	kt_map_entry_fn fn;
	void *data;
	struct kt_err *reterr;
};

/* Hands an entry on; 1: no more are wanted. */
static int emit(struct walk *walk, const struct kt_map_entry *entry)
{
	int r;

	if (!walk->left)
		return 1;
	r = walk->fn(walk->data, entry, walk->reterr);
	walk->left--;
	walk->n++;
	return r;
}

static int member(struct walk *walk, const char *type, const char *name,
		  struct kt_member *ret_member)
{
	return kt_inspect_member(walk->maps->inspect, type, name, ret_member, walk->reterr);
}

static int number(struct walk *walk, const char *type, const char *name, uint64_t *ret_value)
{
	struct kt_member at;
	int r = member(walk, type, name, &at);

	if (r == 0 && (!at.size || at.size > 8 || at.size & (at.size - 1)))
		return kt_err_set(walk->reterr, -EPROTO, "%s.%s is not a number", type, name);
	return r < 0 ? r
		     : kt_inspect_read_uint(walk->maps->inspect, walk->map->kva + at.offset,
					    at.size, ret_value, walk->reterr);
}

static uint64_t round_up(uint64_t value, uint64_t to)
{
	return (value + to - 1) / to * to;
}

/* ---- Arrays ---- */

static int walk_array(struct walk *walk)
{
	struct kt_member values;
	uint64_t stride;
	int r = member(walk, "struct bpf_array", "value", &values)
			?: number(walk, "struct bpf_array", "elem_size", &stride);

	for (uint64_t i = 0; r == 0 && i < walk->map->max_entries; i++) {
		struct kt_map_entry entry = { .index = i,
					      .value =
						      walk->map->kva + values.offset + i * stride };

		r = emit(walk, &entry);
	}
	return r;
}

static int walk_per_cpu_array(struct walk *walk)
{
	struct kt_member values;
	int r = member(walk, "struct bpf_array", "pptrs", &values);

	for (uint64_t i = 0; r == 0 && i < walk->map->max_entries; i++) {
		struct kt_map_entry entry = { .index = i, .per_cpu = true };

		r = kt_inspect_read_uint(walk->maps->inspect,
					 walk->map->kva + values.offset + i * 8, 8, &entry.value,
					 walk->reterr)
			    ?: emit(walk, &entry);
	}
	return r;
}

/* ---- Hashes ---- */

/*
 * Calls @fn with the address of each node in an array of @n buckets of @stride bytes, which begin
 * with the pointer to their first node.
 */
static int walk_buckets(struct walk *walk, uint64_t buckets, uint64_t n, uint32_t stride,
			enum kt_chain_kind kind,
			int (*fn)(struct walk *walk, uint64_t node, void *), void *data)
{
	struct kt_inspect *inspect = walk->maps->inspect;
	uint64_t batch = BATCH_LEN / stride;
	uint8_t bytes[BATCH_LEN];
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < n; i++) {
		struct kt_chain chain;
		uint64_t first, node;

		if (i % batch == 0)
			r = kt_inspect_read(inspect, buckets + i * stride, bytes,
					    KT_MIN(batch, n - i) * stride, walk->reterr);
		if (r < 0)
			return kt_err_prefix(walk->reterr, r, "bucket %" PRIu64, i);
		memcpy(&first, bytes + i % batch * stride, sizeof(first));
		kt_chain_begin_at(&chain, inspect, kind, first, CHAIN_MAX, "a bucket");
		while (r == 0 && (r = kt_chain_next(&chain, &node, walk->reterr)) > 0)
			r = fn(walk, node, data);
	}
	return r;
}

static int buckets_ok(struct walk *walk, uint64_t n, uint64_t max, const struct kt_member *head,
		      uint32_t stride)
{
	if (n && n <= max && !head->offset && stride >= 8 && stride <= BATCH_LEN)
		return 0;
	return kt_err_set(walk->reterr, -EPROTO, "%" PRIu64 " buckets of %" PRIu32 " bytes", n,
			  stride);
}

/* The size of what a pointer member leads to. */
static int size_behind(struct walk *walk, const struct kt_member *pointer, uint32_t *ret_size)
{
	const struct btf *btf = kt_inspect_btf(walk->maps->inspect);
	const struct btf_type *type = btf__type_by_id(btf, kt_btf_skip(btf, pointer->type));
	int64_t size = type && btf_kind(type) == BTF_KIND_PTR ? kt_btf_size(btf, type->type) : -1;

	if (size <= 0 || size > (int64_t)BATCH_LEN)
		return kt_err_set(walk->reterr, -EPROTO, "a bucket has no size");
	*ret_size = (uint32_t)size;
	return 0;
}

struct hash_offsets {
	struct kt_member node, key;
	bool per_cpu;
};

static int emit_element(struct walk *walk, uint64_t node, void *data)
{
	const struct hash_offsets *offsets = data;
	uint64_t key = node - offsets->node.offset + offsets->key.offset;
	struct kt_map_entry entry = { .index = walk->n,
				      .key = key,
				      .value = key + round_up(walk->map->key_size, 8),
				      .per_cpu = offsets->per_cpu };
	int r = 0;

	/* In place of the value there is a pointer. */
	if (offsets->per_cpu)
		r = kt_inspect_read_uint(walk->maps->inspect, entry.value, 8, &entry.value,
					 walk->reterr);
	return r < 0 ? r : emit(walk, &entry);
}

static int walk_hash_of(struct walk *walk, bool per_cpu)
{
	struct hash_offsets offsets = { .per_cpu = per_cpu };
	struct kt_member pointer, head;
	uint64_t buckets, n;
	uint32_t stride;
	int r = member(walk, "struct htab_elem", "hash_node", &offsets.node) ?:
		member(walk, "struct htab_elem", "key", &offsets.key) ?:
		member(walk, "struct bpf_htab", "buckets", &pointer) ?:
		member(walk, "struct bucket", "head", &head) ?:
		size_behind(walk, &pointer, &stride) ?:
		number(walk, "struct bpf_htab", "buckets", &buckets) ?:
		number(walk, "struct bpf_htab", "n_buckets", &n) ?:
		buckets_ok(walk, n, HASH_BUCKETS_MAX, &head, stride);

	return r < 0 ? r
		     : walk_buckets(walk, buckets, n, stride, KT_CHAIN_NULLS, emit_element,
				    &offsets);
}

static int walk_hash(struct walk *walk)
{
	return walk_hash_of(walk, false);
}

static int walk_per_cpu_hash(struct walk *walk)
{
	return walk_hash_of(walk, true);
}

/* ---- Storage of tasks, cgroups, inodes and sockets ---- */

struct storage_offsets {
	struct kt_member node, storage, value, owner;
};

static int emit_storage(struct walk *walk, uint64_t node, void *data)
{
	const struct storage_offsets *offsets = data;
	uint64_t element = node - offsets->node.offset, storage;
	struct kt_map_entry entry = { .index = walk->n, .value = element + offsets->value.offset };
	int r = kt_inspect_read_uint(walk->maps->inspect, element + offsets->storage.offset, 8,
				     &storage, walk->reterr);

	if (r == 0 && storage)
		r = kt_inspect_read_uint(walk->maps->inspect, storage + offsets->owner.offset, 8,
					 &entry.owner, walk->reterr);
	return r < 0 ? r : emit(walk, &entry);
}

static int walk_storage(struct walk *walk)
{
	static const char MAP[] = "struct bpf_local_storage_map";
	static const char ELEMENT[] = "struct bpf_local_storage_elem";
	struct storage_offsets offsets;
	struct kt_member pointer, head;
	uint64_t buckets, bits;
	uint32_t stride;
	int r = member(walk, ELEMENT, "map_node", &offsets.node) ?:
		member(walk, ELEMENT, "local_storage", &offsets.storage) ?:
		member(walk, ELEMENT, "sdata.data", &offsets.value) ?:
		member(walk, "struct bpf_local_storage", "owner", &offsets.owner) ?:
		member(walk, MAP, "buckets", &pointer) ?:
		member(walk, "struct bpf_local_storage_map_bucket", "list", &head) ?:
		size_behind(walk, &pointer, &stride) ?:
		number(walk, MAP, "buckets", &buckets) ?:
		number(walk, MAP, "bucket_log", &bits) ?:
		buckets_ok(walk, bits > STORAGE_BITS_MAX ? 0 : UINT64_C(1) << bits, UINT64_MAX,
			   &head, stride);

	return r < 0 ? r
		     : walk_buckets(walk, buckets, UINT64_C(1) << bits, stride, KT_CHAIN_HLIST,
				    emit_storage, &offsets);
}

/* ---- Arenas ---- */

/* Where the kernel has the first of 4 GiB, of which an address in an arena is the lower 32 bits. */
static int arena_start(struct walk *walk, uint64_t *ret_kva)
{
	struct kt_member addr;
	uint64_t area;
	int r = number(walk, "struct bpf_arena", "kern_vm", &area) ?:
		member(walk, "struct vm_struct", "addr", &addr) ?:
		kt_inspect_read_uint(walk->maps->inspect, area + addr.offset, 8, ret_kva,
				     walk->reterr);

	*ret_kva += KT_ARENA_GUARD;
	return r;
}

int kt_map_arena(struct kt_maps *maps, const struct kt_map *map, uint64_t user, uint64_t *ret_kva,
		 struct kt_err *reterr)
{
	struct walk walk = { .maps = maps, .map = map, .reterr = reterr };
	uint64_t start = 0;
	int r;

	if (!kt_map_is(map, "ARENA"))
		return kt_err_set(reterr, -EINVAL, "BPF map '%s' is not an arena", map->name);
	r = arena_start(&walk, &start);
	if (r < 0)
		return kt_err_prefix(reterr, r, "BPF map '%s'", map->name);
	*ret_kva = start + (uint32_t)user;
	return 0;
}

/*
 * The physical address of the page that stands for all that are missing, from Linux 7.2 on: by the
 * index of its struct page in the array of all.
 */
static uint64_t scratch_page(struct walk *walk)
{
	struct kt_inspect *inspect = walk->maps->inspect;
	uint64_t page, symbol, base, id;
	struct kt_member scratch;
	uint32_t type;
	int64_t size;

	if (!kt_inspect_has_member(inspect, "struct bpf_arena", "scratch_page", &scratch) ||
	    kt_inspect_read_uint(inspect, walk->map->kva + scratch.offset, 8, &page, NULL) < 0 ||
	    !kt_inspect_has_symbol(inspect, "vmemmap_base", &symbol) ||
	    kt_inspect_read_uint(inspect, symbol, 8, &base, NULL) < 0 ||
	    kt_inspect_type(inspect, "struct page", &type, NULL) < 0)
		return UINT64_MAX;
	size = kt_btf_size(kt_inspect_btf(inspect), type);
	if (size <= 0 || page < base)
		return UINT64_MAX;
	id = (page - base) / (uint64_t)size;
	return id * PAGE;
}

/* Each page that is there. */
static int walk_arena(struct walk *walk)
{
	uint64_t user, start = 0, gpa, len, scratch = scratch_page(walk);
	uint64_t n = KT_MIN(walk->map->max_entries, KT_ARENA_PAGES);
	int r = number(walk, "struct bpf_arena", "user_vm_start", &user)
			?: arena_start(walk, &start);

	for (uint64_t i = 0; r == 0 && i < n; i++) {
		struct kt_map_entry entry = { .index = i,
					      .value = start + (uint32_t)(user + i * PAGE) };

		if (kt_inspect_translate(walk->maps->inspect, entry.value, &gpa, &len, NULL) == 0 &&
		    gpa != scratch)
			r = emit(walk, &entry);
	}
	return r;
}

/* ---- Others ---- */

/* One value: the operations as they were copied into the kernel. */
static int walk_struct_ops(struct walk *walk)
{
	struct kt_member value;
	struct kt_map_entry entry = { .index = 0 };
	int r = member(walk, "struct bpf_struct_ops_map", "kvalue", &value);

	entry.value = walk->map->kva + value.offset;
	return r < 0 ? r : emit(walk, &entry);
}

static const struct {
	const char *type;
	int (*fn)(struct walk *walk);
} KINDS[] = {
	{ "ARRAY", walk_array },
	{ "PERCPU_ARRAY", walk_per_cpu_array },
	{ "HASH", walk_hash },
	{ "LRU_HASH", walk_hash },
	{ "PERCPU_HASH", walk_per_cpu_hash },
	{ "LRU_PERCPU_HASH", walk_per_cpu_hash },
	{ "TASK_STORAGE", walk_storage },
	{ "CGRP_STORAGE", walk_storage },
	{ "INODE_STORAGE", walk_storage },
	{ "SK_STORAGE", walk_storage },
	{ "ARENA", walk_arena },
	{ "STRUCT_OPS", walk_struct_ops },
};

int kt_map_entries(struct kt_maps *maps, const struct kt_map *map, size_t max, kt_map_entry_fn fn,
		   void *data, struct kt_err *reterr)
{
	struct walk walk = {
		.maps = maps, .map = map, .left = max, .fn = fn, .data = data, .reterr = reterr
	};
	int r;

	for (size_t i = 0; i < KT_ARRAY_LEN(KINDS); i++) {
		if (!kt_map_is(map, KINDS[i].type))
			continue;
		r = KINDS[i].fn(&walk);
		return r < 0 ? kt_err_prefix(reterr, r, "BPF map '%s'", map->name) : 0;
	}
	return kt_err_set(reterr, -EOPNOTSUPP, "BPF map '%s': entries of a %s are not shown",
			  map->name, map->type ?: "map of an unknown type");
}
