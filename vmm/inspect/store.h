/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Symbols and types of a kernel in a file, so that they need not be decoded again. The file is
 * named by the kernel's build-id. It is written once, moved to its place as a whole, and mapped by
 * whoever needs it. A file that is damaged, or of another version, is as good as none.
 *
 * Beside the files lies one that says where VMCOREINFO was found lately.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/symbols.h"
#include "vmm/inspect/types_index.h"

#define KT_STORE_FILES_MAX 8u /* kernels; the one that was not used for the longest time goes */
#define KT_STORE_HINTS     16u

/* A mapped file. */
struct kt_store {
	void *map; /* NULL: nothing */
	size_t len;
	const void *btf; /* in the map */
	size_t btf_len;
	uint64_t fingerprint; /* of the guest's types, as whoever saved it gave it */
};

#define KT_STORE_NULL ((struct kt_store){ .map = NULL })

/*
 * Maps what @dir has of a kernel. @ret_symbols and @ret_types point into the map; the members of
 * @ret_types other than entries and index are unchanged. -ENOENT when there is nothing that can be
 * used.
 */
int kt_store_load(const char *dir, const char *build_id, struct kt_store *ret_store,
		  struct kt_symbols *ret_symbols, struct kt_types *ret_types);

/* Writes it, and removes files above the limit. */
int kt_store_save(const char *dir, const char *build_id, const struct kt_symbols *symbols,
		  const struct kt_types *types, const void *btf, size_t btf_len,
		  uint64_t fingerprint, struct kt_err *reterr);

void kt_store_close(struct kt_store *store);

/* The pages that VMCOREINFO was lately found in, the latest first; the rest is 0. */
void kt_store_hints(const char *dir, uint64_t ret_hints[KT_STORE_HINTS]);

/* Remembers such a page. Failures do not matter. */
void kt_store_add_hint(const char *dir, uint64_t gpa);
