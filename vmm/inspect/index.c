/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define PROBES_MAX 4096u /* real names need some dozens */

static uint64_t hash_of(const char *name, uint32_t kind)
{
	return XXH3_64bits_withSeed(name, strlen(name), kind);
}

static bool equal(const struct kt_index_key *key, const char *name, uint32_t kind)
{
	return key->name && key->kind == kind && !strcmp(key->name, name);
}

static int insert(uint32_t *slots, size_t n_slots, kt_index_key_fn key_fn, const void *data,
		  size_t entry)
{
	struct kt_index_key key = key_fn(data, entry);
	size_t at;

	if (!key.name)
		return 0;
	at = hash_of(key.name, key.kind) & (n_slots - 1);
	for (size_t probes = 0; probes < PROBES_MAX; probes++, at = (at + 1) & (n_slots - 1)) {
		struct kt_index_key other;

		if (!slots[at]) {
			slots[at] = (uint32_t)entry + 1;
			return 0;
		}
		other = key_fn(data, slots[at] - 1);
		if (equal(&other, key.name, key.kind))
			return 0;
	}
	return -EPROTO;
}

int kt_index_build(kt_index_key_fn key, const void *data, size_t n, uint32_t **ret_slots,
		   size_t *ret_n_slots)
{
	size_t n_slots = 16;
	uint32_t *slots;
	int r = 0;

	if (n >= UINT32_MAX / 4)
		return -EPROTO;
	while (n_slots < n * 2)
		n_slots *= 2;
	slots = calloc(n_slots, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = insert(slots, n_slots, key, data, i);
	if (r < 0) {
		free(slots);
		return r;
	}
	*ret_slots = slots;
	*ret_n_slots = n_slots;
	return 0;
}

bool kt_index_find(const struct kt_index *index, kt_index_key_fn key_fn, const void *data, size_t n,
		   const char *name, uint32_t kind, size_t *ret_entry)
{
	size_t at = index->n_slots ? hash_of(name, kind) & (index->n_slots - 1) : 0;

	for (size_t probes = 0; probes < PROBES_MAX && index->n_slots; probes++) {
		struct kt_index_key key;

		if (!index->slots[at] || index->slots[at] > n)
			return false;
		key = key_fn(data, index->slots[at] - 1);
		if (equal(&key, name, kind)) {
			*ret_entry = index->slots[at] - 1;
			return true;
		}
		at = (at + 1) & (index->n_slots - 1);
	}
	return false;
}
