/* SPDX-License-Identifier: MIT */
/* A scheduler, whose BPF objects are searched for kfuncs. */
#include <string.h>

#include "framework/setup/object.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_err err = KT_ERR_NULL;
	char **names;

	if (kt_scheduler_kfuncs(kt_fuzz_file(data, size), &names, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	for (char **at = names; *at; at++)
		KT_FUZZ_ASSERT(!strncmp(*at, "scx_bpf_", 8));
	kt_scheduler_kfuncs_free(names);
	return 0;
}
