/* SPDX-License-Identifier: MIT */
/*
 * Page tables. The input is eight bytes for each entry: where it goes (16 bits, of the first 64
 * tables), and its value. The last eight are an address.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "vmm/inspect/space.h"

#define RAM_LEN (64u * 4096)

static uint64_t word(const uint8_t *data)
{
	uint64_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static void try_address(struct kt_space *space, uint64_t kva)
{
	uint64_t gpa = 0, len = 0;
	struct kt_err err = KT_ERR_NULL;
	char bytes[64];

	if (kt_space_translate(space, kva, &gpa, &len, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return;
	}
	KT_FUZZ_ASSERT(gpa < RAM_LEN && len && len <= RAM_LEN - gpa);
	KT_FUZZ_ASSERT(kt_space_read(space, kva, bytes, len < 64 ? len : 64, &err) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[RAM_LEN] __attribute__((aligned(4096)));
	static struct kt_space space;
	struct kt_mem mem = { .n_regions = 1, .ram_fd = -1 };
	struct kt_ram *ram;

	memset(bytes, 0, sizeof(bytes));
	mem.regions[0] = (struct kt_mem_region){ .len = RAM_LEN, .host = (uintptr_t)bytes };
	KT_FUZZ_ASSERT(kt_ram_open_mem(&mem, &ram, NULL) == 0);
	space = (struct kt_space){ .ram = ram, .levels = size & 8 ? 5 : 4 };
	for (; size >= 16; data += 8, size -= 8) {
		uint64_t entry = word(data), value = entry & UINT64_C(0x0000ffffffffffff);

		/* The top 16 bits say where it goes. */
		memcpy(bytes + (entry >> 48) % (RAM_LEN / 8) * 8, &value, 8);
	}
	if (size >= 8) {
		try_address(&space, word(data));
		try_address(&space, word(data) | UINT64_C(0xffff800000000000));
		try_address(&space, UINT64_MAX - 3);
	}
	ram = kt_ram_close(ram);
	return 0;
}
