/* SPDX-License-Identifier: MIT */
/*
 * A file TEST.json, which comes from another host: the comparison of it with itself, and gates of a
 * test for which it is the baseline.
 */
#include <string.h>

#include "framework/compare/compare.h"
#include "framework/run/baseline.h"
#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"

static void look_up(const struct kt_samples *samples, const struct kt_compare_row *row)
{
	struct kt_series series = kt_samples_series(samples, row->test, row->metric);

	KT_FUZZ_ASSERT(series.n == row->a.n);
	KT_FUZZ_ASSERT(!memcmp(&series.mean, &row->a.mean, sizeof(series.mean)));
}

static void judge(const struct kt_samples *samples)
{
	const struct kt_baseline baseline = { .samples = *samples, .path = "out" };
	const struct kt_test test = {
		.name = samples->n ? samples->at[0].test : "t",
		.file = "f.c",
		.perf = KT_PERF({ .metric = "iterations" }, { .metric = "migrations" }),
	};
	struct kt_outcome outcome = KT_OUTCOME_NULL;

	outcome.test = &test;
	outcome.name = test.name;
	outcome.result.scenario =
		json_pack("{s[{si si}]}", "workers", "iterations", 1000, "migrations", 10);
	KT_FUZZ_ASSERT(kt_baseline_judge(&baseline, &outcome) == 0);
	KT_FUZZ_ASSERT(outcome.result.verdict == KT_VERDICT_PASS || outcome.result.n_failures ||
		       outcome.result.reason);
	kt_result_deinit(&outcome.result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_CLEANUP(kt_samples_deinit) struct kt_samples samples = KT_SAMPLES_NULL;
	KT_CLEANUP(kt_comparison_deinit) struct kt_comparison comparison = KT_COMPARISON_NULL;
	struct kt_err err = KT_ERR_NULL;

	if (kt_samples_add(&samples, NULL, NULL, (const char *)data, size, &err) < 0)
		KT_FUZZ_ASSERT(err.text[0]);
	kt_samples_sort(&samples);
	KT_FUZZ_ASSERT(kt_compare(&samples, &samples, NULL, 0, &comparison) == 0);
	for (size_t i = 0; i < comparison.n; i++) {
		KT_FUZZ_ASSERT(comparison.rows[i].change == KT_CHANGE_NONE);
		look_up(&samples, &comparison.rows[i]);
	}
	judge(&samples);
	return 0;
}
