/* SPDX-License-Identifier: MIT */
/* A kernel in the cache. The hash is corrected, so that what it guards is reached. */
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/inspect/store.h"

#define HEADER_LEN 112u /* the hash is its last 8 bytes */

static void correct_hash(uint8_t *bytes, size_t size)
{
	uint64_t hash;

	if (size < HEADER_LEN)
		return;
	hash = XXH3_64bits(bytes + HEADER_LEN, size - HEADER_LEN);
	memcpy(bytes + HEADER_LEN - 8, &hash, sizeof(hash));
}

static void try_symbols(const struct kt_symbols *symbols)
{
	size_t at;

	for (size_t i = 0; i < symbols->n; i++) {
		const char *name = kt_symbols_name(symbols, i);
		uint64_t kva;

		KT_FUZZ_ASSERT(!name || strlen(name) < symbols->text_len);
		if (name)
			(void)kt_symbols_find(symbols, name, &kva);
		(void)kt_symbols_at(symbols, kt_symbols_address(symbols, i), &at);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *bytes = malloc(size ?: 1);
	struct kt_store store = KT_STORE_NULL;
	struct kt_types types = { .btf = btf__new_empty() };
	struct kt_symbols symbols;
	struct kt_type_entry entry;

	memcpy(bytes, data, size);
	correct_hash(bytes, size);
	(void)kt_fuzz_dir_put("aa.kernel", bytes, size);
	if (kt_store_load(kt_fuzz_dir(), "aa", &store, &symbols, &types) == 0) {
		try_symbols(&symbols);
		(void)kt_types_find(&types, KT_TYPE_STRUCT, "rq", &entry);
	}
	kt_store_close(&store);
	btf__free(types.btf);
	free(bytes);
	return 0;
}
