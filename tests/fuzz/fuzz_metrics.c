/* SPDX-License-Identifier: MIT */
/* The JSON in what a payload prints. */
#include <string.h>

#include "guest/payload/metrics.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_metrics metrics;
	struct kt_err err = KT_ERR_NULL;

	if (kt_metrics_parse((const char *)data, size, &metrics, &err) < 0) {
		KT_FUZZ_ASSERT(err.text[0]);
		return 0;
	}
	KT_FUZZ_ASSERT(metrics.n <= KT_METRICS_MAX);
	for (size_t i = 0; i < metrics.n; i++) {
		const struct kt_metric_value *value = &metrics.at[i];

		KT_FUZZ_ASSERT(strlen(value->name) <= KT_METRIC_NAME_MAX);
		KT_FUZZ_ASSERT(kt_metrics_find(metrics.at, metrics.n, value->name) == value);
	}
	kt_metrics_deinit(&metrics);
	return 0;
}
