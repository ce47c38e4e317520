/* SPDX-License-Identifier: MIT */
/* A vmlinux: notes, banner, BTF. */
#include <bpf/libbpf.h>
#include <string.h>

#include "framework/kernel/image.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_kernel_facts facts = KT_KERNEL_FACTS_NULL;
	struct kt_err err = KT_ERR_NULL;

	(void)libbpf_set_print(NULL);
	if (kt_kernel_facts_read(kt_fuzz_file(data, size), NULL, &facts, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	KT_FUZZ_ASSERT(facts.release[0] && strlen(facts.build_id) < sizeof(facts.build_id));
	kt_kernel_facts_deinit(&facts);
	return 0;
}
