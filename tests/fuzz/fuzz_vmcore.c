/* SPDX-License-Identifier: MIT */
/* A dump of a guest's RAM. */
#include "tests/fuzz/fuzz.h"
#include "vmm/inspect/ram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_ram_range range = { 0, 0 };
	uint64_t end = 0;
	struct kt_ram *ram;
	char byte;

	if (kt_ram_open_file(kt_fuzz_file(data, size), false, &ram, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	for (size_t i = 0; i < ram->n_ranges; i++) {
		const struct kt_ram_range *at = &ram->ranges[i];

		KT_FUZZ_ASSERT(at->len && (!i || at->gpa >= end));
		end = at->gpa + at->len;
		KT_FUZZ_ASSERT(kt_ram_read(ram, end - 1, &byte, 1, &err) == 0);
		KT_FUZZ_ASSERT(kt_ram_has(ram, at->gpa, at->len));
	}
	for (size_t i = 0; i < 64 && kt_ram_data(ram, range.gpa + range.len, &range) == 0; i++)
		KT_FUZZ_ASSERT(range.len && kt_ram_has(ram, range.gpa, range.len));
	ram = kt_ram_close(ram);
	return 0;
}
