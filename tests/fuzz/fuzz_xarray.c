/* SPDX-License-Identifier: MIT */
/*
 * An xarray of the guest. The input is a head and up to seven nodes of 520 bytes; what is 0x40 or
 * less in the uppermost byte of an entry names the node that it leads to.
 */
#include <errno.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/tiny_kernel.h"

#define NODE_LEN  (8u + 64u * 8u)
#define NODES     7u
#define WALK_MAX  64u
#define NODE_BYTE UINT64_C(0x40)

/* An entry that leads to a node, if the input asks for one: nothing else would find the others. */
static uint64_t entry_of(uint64_t nodes, uint64_t value)
{
	uint64_t top = value >> 56;

	return top && top <= NODE_BYTE ? nodes + (top - 1) % NODES * NODE_LEN + 2 : value;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tiny_kernel kernel;
	static struct kt_inspect *inspect;
	static uint64_t array, nodes;
	struct kt_err err = KT_ERR_NULL;
	uint64_t index = 0, entry = 0, head = 0;

	if (!inspect) {
		tiny_kernel_init(&kernel, NULL);
		array = tiny_alloc(&kernel, 16);
		nodes = tiny_alloc(&kernel, NODES * NODE_LEN);
		KT_FUZZ_ASSERT(kt_inspect_open(kernel.ram, NULL, &inspect, NULL) == 0);
	}
	memset(tiny_at(&kernel, nodes), 0, NODES * NODE_LEN);
	memcpy(&head, data, size < 8 ? size : 8);
	tiny_set(&kernel, array + 8, entry_of(nodes, head), 8);
	for (size_t at = 8; at + 8 <= size && at - 8 + 8 <= NODES * NODE_LEN; at += 8) {
		uint64_t value;

		memcpy(&value, data + at, 8);
		tiny_set(&kernel, nodes + at - 8,
			 (at - 8) % NODE_LEN ? entry_of(nodes, value) : value % 64, 8);
	}
	for (unsigned int i = 0; i < WALK_MAX; i++, index++) {
		uint64_t from = index, loaded = 0;
		int r = kt_inspect_xa_next(inspect, array, &index, &entry, &err);

		if (r < 0) {
			KT_FUZZ_ASSERT(r == -ENXIO || err.text[0]);
			break;
		}
		KT_FUZZ_ASSERT(index >= from && entry && !(entry & 3));
		KT_FUZZ_ASSERT(kt_inspect_xa_load(inspect, array, index, &loaded, &err) == 0);
		KT_FUZZ_ASSERT(loaded == entry);
	}
	return 0;
}
