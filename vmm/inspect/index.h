/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A hash table over the entries of somebody else's table: it finds an entry by its name and kind.
 * It is one array of numbers, so that it can lie in a file.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kt_index {
	const uint32_t *slots; /* number of an entry + 1; 0: free. Not owned */
	size_t n_slots;        /* a power of two, or 0 */
};

/* What an entry is found by. */
struct kt_index_key {
	const char *name; /* NULL: the entry has none, and cannot be found */
	uint32_t kind;
};

typedef struct kt_index_key (*kt_index_key_fn)(const void *data, size_t entry);

/*
 * Makes the slots for @n entries, to be freed. Of equal entries, only the first can be found.
 * -ENOMEM, or -EPROTO for names that somebody has chosen so that they collide.
 */
int kt_index_build(kt_index_key_fn key, const void *data, size_t n, uint32_t **ret_slots,
		   size_t *ret_n_slots);

/* Returns false when no entry below @n has the name and kind. */
bool kt_index_find(const struct kt_index *index, kt_index_key_fn key, const void *data, size_t n,
		   const char *name, uint32_t kind, size_t *ret_entry);
