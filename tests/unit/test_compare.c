/* SPDX-License-Identifier: MIT */
/* Results side by side: what is read of them, which gates hold, and what a difference is worth. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/compare/compare.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(compare);

/* Adds a result of test "t" with one worker that has done so many iterations. */
static void add(struct kt_samples *samples, const char *verdict, int iterations)
{
	KT_FREE char *text = kt_format(
		"{\"version\":1,\"test\":\"t\",\"verdict\":\"%s\",\"attempts\":[{},{\"result\":{"
		"\"scenario\":{\"workers\":[{\"iterations\":%d,\"group\":0,\"wall_ns\":100,"
		"\"cpu_ns\":50},{\"iterations\":%d,\"group\":0,\"wall_ns\":100,\"cpu_ns\":40,"
		"\"wake_p99_ns\":9000}],\"steps\":[{\"cgroups\":[{\"iterations\":%d}]}],"
		"\"payloads\":[{\"name\":\"p\",\"metrics\":{\"x.y\":1.5}},{\"name\":\"p\","
		"\"metrics\":{\"x.y\":2.5,\"x.z\":1e300}}]}}}]}",
		verdict, iterations, 2 * iterations, iterations);

	cr_assert(zero(int, kt_samples_add(samples, NULL, NULL, text, strlen(text), NULL)));
}

/* The value of the only sample of @metric. */
static double value_of(const struct kt_samples *samples, const char *metric)
{
	double value = -1;
	size_t n = 0;

	for (size_t i = 0; i < samples->n; i++) {
		if (!strcmp(samples->at[i].metric, metric)) {
			value = samples->at[i].value;
			n++;
		}
	}
	cr_assert(eq(sz, n, 1), "%s", metric);
	return value;
}

static const struct kt_compare_row *row_of(const struct kt_comparison *comparison,
					   const char *metric)
{
	for (size_t i = 0; i < comparison->n; i++) {
		if (!strcmp(comparison->rows[i].metric, metric))
			return &comparison->rows[i];
	}
	cr_fatal("no row %s", metric);
	return NULL;
}

Test(compare, a_result_becomes_numbers)
{
	KT_CLEANUP(kt_samples_deinit) struct kt_samples samples = KT_SAMPLES_NULL;

	add(&samples, "pass", 1000);
	kt_samples_sort(&samples);
	cr_expect(eq(dbl, value_of(&samples, "failed"), 0));
	cr_expect(eq(dbl, value_of(&samples, "iterations"), 3000));
	cr_expect(eq(dbl, value_of(&samples, "iterations_worst"), 1000));
	cr_expect(eq(dbl, value_of(&samples, "spread_percent"), 10));
	cr_expect(eq(dbl, value_of(&samples, "wake_p99_us"), 9));
	cr_expect(eq(dbl, value_of(&samples, "step.0.iterations"), 1000));
	cr_expect(eq(dbl, value_of(&samples, "p.x.y"), 2), "the mean of two payloads");
	cr_expect(eq(sz, samples.n, 12), "1e300 is no number to compute with");
}

Test(compare, what_did_not_pass_measures_nothing)
{
	KT_CLEANUP(kt_samples_deinit) struct kt_samples samples = KT_SAMPLES_NULL;

	add(&samples, "fail", 1000);
	cr_expect(eq(dbl, value_of(&samples, "failed"), 1));
	add(&samples, "skip", 1000);
	add(&samples, "inconclusive", 1000);
	cr_expect(eq(sz, samples.n, 1));
	cr_expect(eq(u32, samples.n_runs, 3));
}

Test(compare, damage_is_told)
{
	static const struct {
		const char *text;
		int r;
		const char *told;
	} cases[] = {
		{ "nonsense", -EBADMSG, "not JSON" },
		{ "{\"traceEvents\":[]}", -ENODATA, "no result" },
		{ "{\"test\":7,\"version\":1}", -EBADMSG, "'test'" },
		{ "{\"test\":\"t\",\"version\":2}", -EBADMSG, "'version'" },
		{ "{\"test\":\"t\",\"version\":1}", -EBADMSG, "'verdict'" },
		{ "{\"test\":\"t\",\"version\":1,\"verdict\":\"pass\",\"attempts\":[]}", -EBADMSG,
		  "'attempts'" },
	};
	KT_CLEANUP(kt_samples_deinit) struct kt_samples samples = KT_SAMPLES_NULL;

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_err err = KT_ERR_NULL;
		const char *text = cases[i].text;
		int r = kt_samples_add(&samples, NULL, NULL, text, strlen(text), &err);

		cr_expect(eq(int, r, cases[i].r), "%s", text);
		cr_expect(ne(ptr, strstr(err.text, cases[i].told), NULL), "%s", err.text);
	}
	cr_expect(eq(sz, samples.n, 0));
}

Test(compare, a_kernel_of_several)
{
	static const char text[] = "{\"version\":1,\"test\":\"t[7.0]\",\"verdict\":\"pass\","
				   "\"attempts\":[{}]}";
	KT_CLEANUP(kt_samples_deinit) struct kt_samples samples = KT_SAMPLES_NULL;

	cr_expect(zero(int, kt_samples_add(&samples, "6.12", NULL, text, strlen(text), NULL)));
	cr_expect(eq(sz, samples.n, 0));
	cr_expect(zero(int, kt_samples_add(&samples, "7.0", NULL, text, strlen(text), NULL)));
	cr_assert(eq(sz, samples.n, 1));
	cr_expect(eq(str, samples.at[0].test, "t"));
}

static struct kt_series series(size_t n, const double *values)
{
	struct kt_series all = KT_SERIES_NULL;

	for (size_t i = 0; i < n; i++)
		kt_series_add(&all, values[i]);
	return all;
}

#define SERIES(...)                                                                                \
	series(sizeof((double[]){ __VA_ARGS__ }) / sizeof(double), (double[]){ __VA_ARGS__ })

static enum kt_change judge(enum kt_better better, double absolute, double relative,
			    struct kt_series a, struct kt_series b)
{
	struct kt_gate gate = { "m", better, absolute, relative, false };

	return kt_judge(&gate, &a, &b);
}

Test(compare, both_amounts_of_the_gate_must_be_passed)
{
	cr_expect(eq(int, judge(KT_LOWER, 50, 0.25, SERIES(100), SERIES(140)), KT_CHANGE_NONE));
	cr_expect(eq(int, judge(KT_LOWER, 50, 0.25, SERIES(1000), SERIES(1200)), KT_CHANGE_NONE));
	cr_expect(eq(int, judge(KT_LOWER, 50, 0.25, SERIES(100), SERIES(150)), KT_CHANGE_WORSE));
	cr_expect(eq(int, judge(KT_LOWER, 50, 0.25, SERIES(150), SERIES(100)), KT_CHANGE_BETTER));
	cr_expect(eq(int, judge(KT_HIGHER, 50, 0.25, SERIES(150), SERIES(100)), KT_CHANGE_WORSE));
	cr_expect(eq(int, judge(KT_BETTER_UNKNOWN, 50, 0.25, SERIES(150), SERIES(100)),
		     KT_CHANGE_DIFFERENT));
}

Test(compare, repeats_must_rule_out_chance)
{
	/* t = 3.16 with 3.5 degrees of freedom; 2.98 is the bound. */
	cr_expect(eq(int, judge(KT_LOWER, 0, 0.1, SERIES(9, 10, 11), SERIES(12, 13, 15)),
		     KT_CHANGE_WORSE));
	/* t = 1.83 with 3.9 degrees. */
	cr_expect(eq(int, judge(KT_LOWER, 0, 0.1, SERIES(8, 10, 12), SERIES(11, 13, 15.6)),
		     KT_CHANGE_UNCLEAR));
	/* An outlier hides the difference from the t-test; the ranges show it. */
	cr_expect(eq(int, judge(KT_LOWER, 0, 0.1, SERIES(9, 10, 11, 10), SERIES(12, 13, 12, 900)),
		     KT_CHANGE_WORSE));
	/* With three against three, ranges are apart in one of ten cases by chance. */
	cr_expect(eq(int, judge(KT_LOWER, 0, 0.1, SERIES(9, 10, 11), SERIES(12, 13, 900)),
		     KT_CHANGE_UNCLEAR));
	/* Without any spread there is no chance. */
	cr_expect(eq(int, judge(KT_LOWER, 0, 0.1, SERIES(9, 9), SERIES(12, 12)), KT_CHANGE_WORSE));
}

Test(compare, the_first_failure_is_worse_by_itself)
{
	KT_CLEANUP(kt_samples_deinit) struct kt_samples a = KT_SAMPLES_NULL, b = KT_SAMPLES_NULL;
	KT_CLEANUP(kt_comparison_deinit) struct kt_comparison one = KT_COMPARISON_NULL;

	for (int i = 0; i < 20; i++) {
		add(&a, "pass", 1000);
		add(&b, i ? "pass" : "fail", 1000);
	}
	kt_samples_sort(&a);
	kt_samples_sort(&b);
	cr_assert(zero(int, kt_compare(&a, &b, NULL, 0, &one)));
	cr_expect(eq(int, row_of(&one, "failed")->change, KT_CHANGE_WORSE));
	cr_expect(eq(int, row_of(&one, "iterations")->change, KT_CHANGE_NONE));
	cr_expect(eq(u32, one.by_change[KT_CHANGE_WORSE], 1));
	cr_expect(eq(sz, row_of(&one, "iterations")->b.n, 19));
}

Test(compare, what_one_side_has_alone_is_not_judged)
{
	KT_CLEANUP(kt_samples_deinit) struct kt_samples a = KT_SAMPLES_NULL, b = KT_SAMPLES_NULL;
	KT_CLEANUP(kt_comparison_deinit) struct kt_comparison one = KT_COMPARISON_NULL;

	add(&a, "pass", 1000);
	add(&b, "fail", 1000);
	kt_samples_sort(&a);
	kt_samples_sort(&b);
	cr_assert(zero(int, kt_compare(&a, &b, NULL, 0, &one)));
	cr_expect(eq(sz, one.n_common, 1), "the verdict");
	cr_expect(eq(sz, row_of(&one, "iterations")->b.n, 0));
	cr_expect(eq(int, row_of(&one, "iterations")->change, KT_CHANGE_NONE));
}

Test(compare, gates_are_parsed)
{
	char whole[] = "p.x=higher:5:20%", brief[] = "p.*=lower";
	struct kt_gate gates[2], found;
	struct kt_err err;

	cr_assert(zero(int, kt_gate_parse(brief, &gates[0], &err)));
	cr_assert(zero(int, kt_gate_parse(whole, &gates[1], &err)));
	found = kt_gate_find(gates, 2, "p.x");
	cr_expect(eq(int, found.better, KT_HIGHER));
	cr_expect(eq(dbl, found.absolute, 5));
	cr_expect(eq(dbl, found.relative, 0.2));
	cr_expect(eq(int, kt_gate_find(gates, 2, "p.y").better, KT_LOWER));
	cr_expect(eq(int, kt_gate_find(gates, 2, "q").better, KT_BETTER_UNKNOWN));
	cr_expect(eq(int, kt_gate_find(gates, 2, "step.a b.iterations").better, KT_HIGHER));
}

Test(compare, wrong_gates_are_refused)
{
	static const char *const wrong[] = {
		"",           "m",           "=lower",      "m=faster",     "m=lower:",
		"m=lower:-1", "m=lower:1:2", "m=lower:nan", "m=lower:1:2%%"
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(wrong); i++) {
		KT_FREE char *text = strdup(wrong[i]);
		struct kt_err err = KT_ERR_NULL;
		struct kt_gate gate;

		cr_expect(eq(int, kt_gate_parse(text, &gate, &err), -EINVAL), "%s", wrong[i]);
		cr_expect(ne(ptr, strstr(err.text, "--gate"), NULL));
	}
}

Test(compare, a_page_shows_names_as_text)
{
	static const char text[] =
		"{\"version\":1,\"test\":\"<script>\\u001b[1m\",\"verdict\":\"pass\","
		"\"attempts\":[{\"result\":{\"scenario\":{\"payloads\":[{\"name\":\"<b>\","
		"\"metrics\":{\"\\u0007<script>\":1}}]}}}]}";
	KT_CLEANUP(kt_samples_deinit) struct kt_samples a = KT_SAMPLES_NULL;
	KT_CLEANUP(kt_comparison_deinit) struct kt_comparison one = KT_COMPARISON_NULL;
	KT_FREE char *page = NULL;
	size_t len;
	FILE *out = open_memstream(&page, &len);

	cr_assert(zero(int, kt_samples_add(&a, NULL, NULL, text, strlen(text), NULL)));
	kt_samples_sort(&a);
	cr_assert(zero(int, kt_compare(&a, &a, NULL, 0, &one)));
	one.a = one.b = "</p><script>";
	kt_comparison_put_html(out, &one);
	(void)fputc('\n', out);
	kt_comparison_put_text(out, &one, true);
	(void)fclose(out);
	*strstr(page, "\nA: ") = '\0';
	cr_expect(zero(ptr, strstr(page, "<script")), "%s", page);
	cr_expect(ne(ptr, strstr(page, "&lt;b&gt;.&lt;script&gt;"), NULL), "%s", page);
	cr_expect(zero(ptr, strchr(page, '\033')));
	cr_expect(zero(ptr, strchr(page + strlen(page) + 1, '\033')));
	cr_expect(zero(ptr, strchr(page + strlen(page) + 1, '\a')));
}
