/* SPDX-License-Identifier: MIT */
/* Typed paths, which come from tests and from people: one path a line. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/tiny_kernel.h"
#include "vmm/inspect/render.h"

static void try_path(struct kt_inspect *inspect, const char *path)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	uint64_t value = 0, again = 0;
	char *text = NULL;

	if (kt_inspect_resolve(inspect, path, &place, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return;
	}
	if (kt_render_text(inspect, &place, NULL, &text, &err) < 0)
		KT_FUZZ_ASSERT(err.text[0]);
	free(text);
	if (kt_inspect_load(inspect, &place, &value, &err) < 0 || place.computed)
		return;
	if (kt_inspect_store(inspect, &place, value, &err) < 0)
		return;
	KT_FUZZ_ASSERT(kt_inspect_load(inspect, &place, &again, &err) == 0 && again == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tiny_kernel kernel;
	static struct kt_inspect *inspect;
	char *text = kt_fuzz_text(data, size), *save;

	if (!inspect) {
		tiny_kernel_init(&kernel, NULL);
		KT_FUZZ_ASSERT(kt_inspect_open(kernel.ram, NULL, &inspect, NULL) == 0);
	}
	for (char *path = strtok_r(text, "\n", &save); path; path = strtok_r(NULL, "\n", &save))
		try_path(inspect, path);
	free(text);
	return 0;
}
