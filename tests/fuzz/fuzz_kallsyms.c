/* SPDX-License-Identifier: MIT */
/*
 * The symbols of a kernel. The input is laid over the tables of one that is made for it: four bytes
 * say how many symbols there are, and of each byte 0xff that follows, what is behind it goes to the
 * next table.
 */
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/tiny_kernel.h"

static const char *const TABLES[] = { "kallsyms_names", "kallsyms_token_table",
				      "kallsyms_token_index", "kallsyms_offsets" };
static const size_t ROOM[] = { 8192, 1024, 512, 256 };

static void overlay(struct tiny_kernel *kernel, const uint8_t *data, size_t size)
{
	if (size < 4)
		return;
	memcpy(tiny_at(kernel, tiny_symbol(kernel, "kallsyms_num_syms")), data, 4);
	data += 4;
	size -= 4;
	for (size_t i = 0; i < 4 && size; i++) {
		const uint8_t *end = memchr(data, 0xff, size);
		size_t len = end ? (size_t)(end - data) : size;

		memcpy(tiny_at(kernel, tiny_symbol(kernel, TABLES[i])), data,
		       len < ROOM[i] ? len : ROOM[i]);
		data += end ? len + 1 : len;
		size -= end ? len + 1 : len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tiny_options options = { .old_kallsyms = size & 1, .no_btf = true };
	struct kt_inspect *inspect = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct tiny_kernel kernel;
	uint64_t kva, offset;

	tiny_kernel_init(&kernel, &options);
	overlay(&kernel, data, size);
	if (kt_inspect_open(kernel.ram, NULL, &inspect, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
	} else {
		KT_FUZZ_ASSERT(kt_inspect_symbol(inspect, "_stext", &kva, NULL) == 0);
		for (uint64_t at = kva; at < kva + 0x10000; at += 0x333)
			(void)kt_inspect_symbol_at(inspect, at, &offset);
		(void)kt_inspect_symbol(inspect, "no_such_symbol", &kva, &err);
	}
	inspect = kt_inspect_close(inspect);
	tiny_kernel_deinit(&kernel);
	return 0;
}
