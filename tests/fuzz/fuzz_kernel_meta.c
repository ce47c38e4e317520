/* SPDX-License-Identifier: MIT */
/* The meta.json of a kernel in the cache. */
#include <string.h>

#include "framework/kernel/kernel.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_kernel kernel = KT_KERNEL_NULL;
	struct kt_err err = KT_ERR_NULL;

	(void)kt_fuzz_dir_put("vmlinux", "", 0);
	(void)kt_fuzz_dir_put("vmlinuz", "", 0);
	(void)kt_fuzz_dir_put("meta.json", data, size);
	if (kt_kernel_load(kt_fuzz_dir(), &kernel, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	KT_FUZZ_ASSERT(kernel.facts.broken_kfuncs &&
		       !kernel.facts.broken_kfuncs[kernel.facts.n_broken_kfuncs]);
	kt_kernel_deinit(&kernel);
	return 0;
}
