/* SPDX-License-Identifier: MIT */
/* Types of a guest: whatever passes the checks is described, searched and shown. */
#include <bpf/libbpf.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/tiny_kernel.h"
#include "vmm/inspect/render.h"
#include "vmm/inspect/trim.h"
#include "vmm/inspect/types.h"
#include "vmm/inspect/types_index.h"

#define TYPES_MAX 64u

static void try_type(struct kt_inspect *inspect, const struct btf *btf, uint32_t type, uint64_t kva)
{
	struct kt_render_limits limits = KT_RENDER_LIMITS_DEFAULT;
	int64_t size = kt_btf_size(btf, type);
	struct kt_place place = {
		.btf = btf, .type = type, .kva = kva, .size = size < 0 ? 0 : (uint64_t)size
	};
	struct kt_member member;
	struct kt_err err = KT_ERR_NULL;
	char text[64];
	char *shown = NULL;

	KT_FUZZ_ASSERT(strlen(kt_btf_describe(btf, type, text, sizeof(text))) < sizeof(text));
	if (kt_btf_member(btf, type, "a.b[1].c", &member, &err) < 0)
		KT_FUZZ_ASSERT(err.text[0]);
	if (kt_btf_member(btf, type, "a", &member, &err) == 0)
		KT_FUZZ_ASSERT(member.bit_size <= 64 && member.bit_shift < 8);
	(void)kt_btf_enum_name(btf, type, 1);
	limits.bytes = 4096;
	limits.pointers = 2;
	if (kt_render_text(inspect, &place, &limits, &shown, &err) == 0)
		KT_FUZZ_ASSERT(shown[0]);
	free(shown);
}

static void try_index(struct btf *btf)
{
	struct kt_types types = { .btf = btf };
	struct kt_type_entry entry;

	if (kt_types_build(&types, NULL) < 0)
		return;
	for (size_t i = 0; i < types.n; i++) {
		enum kt_type_class class = KT_TYPE_OTHER;
		const char *name = kt_types_name(&types, i, &class);

		KT_FUZZ_ASSERT(!name || kt_types_find(&types, class, name, &entry));
	}
	free((void *)types.entries);
	free((void *)types.index.slots);
}

static void try_trim(const struct btf *btf)
{
	struct btf *rest;
	void *data;
	size_t len;

	KT_FUZZ_ASSERT(kt_btf_trim(btf, &data, &len, NULL) == 0);
	if (kt_btf_new(data, len, NULL, &rest, NULL) == 0) {
		KT_FUZZ_ASSERT(btf__type_cnt(rest) <= btf__type_cnt(btf));
		btf__free(rest);
	}
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct tiny_kernel kernel;
	static struct kt_inspect *inspect;
	struct kt_err err = KT_ERR_NULL;
	struct btf *btf;

	if (!inspect) {
		tiny_kernel_init(&kernel, NULL);
		KT_FUZZ_ASSERT(kt_inspect_open(kernel.ram, NULL, &inspect, &err) == 0);
	}
	if (kt_btf_new(data, size, NULL, &btf, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	for (uint32_t type = 0; type < btf__type_cnt(btf) && type < TYPES_MAX; type++)
		try_type(inspect, btf, type, kernel.task);
	try_index(btf);
	try_trim(btf);
	btf__free(btf);
	return 0;
}
