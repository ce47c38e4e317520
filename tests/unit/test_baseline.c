/* SPDX-License-Identifier: MIT */
/* The gates of a test, judged against results of an earlier run. */
#include <string.h>

#include "framework/run/baseline.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(baseline);

/* Adds a run with that many iterations, at @mips. */
static void add(struct kt_baseline *baseline, const char *name, int iterations, int mips)
{
	KT_FREE char *text = kt_format(
		"{\"version\":1,\"test\":\"%s\",\"verdict\":\"pass\",\"mips\":%d,\"attempts\":[{"
		"\"result\":{\"scenario\":{\"workers\":[{\"iterations\":%d}]}}}]}",
		name, mips, iterations);

	cr_assert(zero(int,
		       kt_samples_add(&baseline->samples, NULL, NULL, text, strlen(text), NULL)));
	kt_samples_sort(&baseline->samples);
	baseline->path = "out";
}

/* The result of a run of test "t" with that many iterations, which had that verdict. */
static struct kt_result judged_after(const struct kt_baseline *baseline, const struct kt_perf *perf,
				     int iterations, enum kt_verdict verdict)
{
	const struct kt_test test = { .name = "t", .file = "f.c", .line = 7, .perf = perf };
	struct kt_outcome outcome = KT_OUTCOME_NULL;

	outcome.test = &test;
	outcome.name = "t[7.0]";
	outcome.mips = 60;
	outcome.result.verdict = verdict;
	outcome.result.scenario =
		json_pack("{s[{si si}]}", "workers", "iterations", iterations, "group", 0);
	cr_assert(zero(int, kt_baseline_judge(baseline, &outcome)));
	return outcome.result;
}

static struct kt_result judged(const struct kt_baseline *baseline, const struct kt_perf *perf,
			       int iterations)
{
	return judged_after(baseline, perf, iterations, KT_VERDICT_PASS);
}

static void expect(const struct kt_baseline *baseline, const struct kt_perf *perf, int iterations,
		   enum kt_verdict verdict)
{
	struct kt_result result = judged(baseline, perf, iterations);

	cr_expect(eq(int, result.verdict, verdict), "%d: %s", iterations, result.reason ?: "");
	kt_result_deinit(&result);
}

#define BASELINE KT_CLEANUP(kt_baseline_deinit) struct kt_baseline baseline = KT_BASELINE_NULL

Test(baseline, what_is_worse_fails)
{
	BASELINE;
	struct kt_result result;

	add(&baseline, "t", 900, 60);
	add(&baseline, "t", 1100, 60);
	result = judged(&baseline, KT_PERF({ .metric = "iterations" }), 700);
	cr_assert(eq(int, result.verdict, KT_VERDICT_FAIL));
	cr_assert(eq(sz, result.n_failures, 1));
	cr_expect(eq(str, result.failures[0].file, (char *)"f.c"));
	cr_expect(eq(str, result.failures[0].what,
		     (char *)"'iterations' is worse than in the baseline 'out'"));
	cr_expect(eq(str, result.failures[0].expected,
		     (char *)"at least 900; the baseline is 1000, the mean of 2 runs; changes "
			     "count from 100 on"));
	cr_expect(eq(str, result.failures[0].got, (char *)"700, which is 0.7 times the baseline"));
	kt_result_deinit(&result);
}

Test(baseline, each_amount_of_a_gate_lets_pass)
{
	BASELINE;

	add(&baseline, "t", 1000, 60);
	expect(&baseline, KT_PERF({ .metric = "iterations" }), 901, KT_VERDICT_PASS);
	expect(&baseline, KT_PERF({ .metric = "iterations" }), 900, KT_VERDICT_FAIL);
	expect(&baseline, KT_PERF({ .metric = "iterations", .percent = 30 }), 701, KT_VERDICT_PASS);
	expect(&baseline, KT_PERF({ .metric = "iterations", .percent = 30 }), 700, KT_VERDICT_FAIL);
	expect(&baseline, KT_PERF({ .metric = "iterations", .absolute = 500 }), 501,
	       KT_VERDICT_PASS);
	expect(&baseline, KT_PERF({ .metric = "iterations", .absolute = 500 }), 500,
	       KT_VERDICT_FAIL);
	/* What is better is no failure, and the direction is the author's. */
	expect(&baseline, KT_PERF({ .metric = "iterations" }), 5000, KT_VERDICT_PASS);
	expect(&baseline, KT_PERF({ .metric = "iterations", .better = KT_LOWER }), 5000,
	       KT_VERDICT_FAIL);
}

Test(baseline, what_the_baseline_has_had_is_not_worse)
{
	BASELINE;

	add(&baseline, "t", 500, 60);
	add(&baseline, "t", 1500, 60);
	expect(&baseline, KT_PERF({ .metric = "iterations" }), 500, KT_VERDICT_PASS);
	expect(&baseline, KT_PERF({ .metric = "iterations" }), 499, KT_VERDICT_FAIL);
}

Test(baseline, nothing_measured_is_no_pass)
{
	BASELINE;
	struct kt_result result;

	add(&baseline, "other", 1000, 60);
	result = judged(&baseline, KT_PERF({ .metric = "iterations" }), 1000);
	cr_expect(eq(int, result.verdict, KT_VERDICT_INCONCLUSIVE));
	cr_expect(ne(ptr,
		     strstr(result.reason, "'iterations' cannot be compared with the baseline "
					   "'out': there it is not measured of this test"),
		     NULL));
	kt_result_deinit(&result);
	add(&baseline, "t", 1000, 60);
	expect(&baseline, KT_PERF({ .metric = "x.y", .better = KT_LOWER }), 1000,
	       KT_VERDICT_INCONCLUSIVE);
}

Test(baseline, what_is_worse_counts_more_than_what_is_not_measured)
{
	const struct kt_perf *both[] = {
		KT_PERF({ .metric = "x.y", .better = KT_LOWER }, { .metric = "iterations" }),
		KT_PERF({ .metric = "iterations" }, { .metric = "x.y", .better = KT_LOWER }),
	};
	BASELINE;

	add(&baseline, "t", 1000, 60);
	for (size_t i = 0; i < KT_ARRAY_LEN(both); i++) {
		struct kt_result result = judged(&baseline, both[i], 10);

		cr_expect(eq(int, result.verdict, KT_VERDICT_FAIL));
		cr_expect(eq(sz, result.n_failures, 1));
		kt_result_deinit(&result);
	}
}

Test(baseline, only_what_has_passed_is_judged)
{
	BASELINE;

	add(&baseline, "t", 1000, 60);
	for (enum kt_verdict verdict = 0; verdict < KT_N_VERDICTS; verdict++) {
		struct kt_result result =
			judged_after(&baseline, KT_PERF({ .metric = "iterations" }), 10, verdict);

		cr_expect(eq(sz, result.n_failures, verdict == KT_VERDICT_PASS));
		if (verdict != KT_VERDICT_PASS)
			cr_expect(eq(int, result.verdict, verdict));
		kt_result_deinit(&result);
	}
}

Test(baseline, another_time_is_not_compared)
{
	BASELINE;

	add(&baseline, "t", 1000, 0);
	expect(&baseline, KT_PERF({ .metric = "iterations" }), 10, KT_VERDICT_INCONCLUSIVE);
}

Test(baseline, the_name_with_the_kernel_comes_first)
{
	BASELINE;

	add(&baseline, "t", 1000, 60);
	add(&baseline, "t[7.0]", 500, 60);
	expect(&baseline, KT_PERF({ .metric = "iterations" }), 500, KT_VERDICT_PASS);
}

Test(baseline, without_one_nothing_is_judged)
{
	BASELINE;

	expect(&baseline, KT_PERF({ .metric = "iterations" }), 1, KT_VERDICT_PASS);
	add(&baseline, "t", 1000, 60);
	expect(&baseline, NULL, 1, KT_VERDICT_PASS);
}
