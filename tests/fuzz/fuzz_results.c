/* SPDX-License-Identifier: MIT */
/* A file TEST.json, which comes from another host, and the comparison of it with itself. */
#include "framework/compare/compare.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_CLEANUP(kt_samples_deinit) struct kt_samples samples = KT_SAMPLES_NULL;
	KT_CLEANUP(kt_comparison_deinit) struct kt_comparison comparison = KT_COMPARISON_NULL;
	struct kt_err err = KT_ERR_NULL;

	if (kt_samples_add(&samples, NULL, NULL, (const char *)data, size, &err) < 0)
		KT_FUZZ_ASSERT(err.text[0]);
	kt_samples_sort(&samples);
	KT_FUZZ_ASSERT(kt_compare(&samples, &samples, NULL, 0, &comparison) == 0);
	for (size_t i = 0; i < comparison.n; i++)
		KT_FUZZ_ASSERT(comparison.rows[i].change == KT_CHANGE_NONE);
	return 0;
}
