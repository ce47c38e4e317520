/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/payload/metrics.h"
#include "guest/payload/payload.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"

UNIT_SUITE(metrics);
UNIT_SUITE(checks);

/* ---- flattening ------------------------------------------------------------------------------ */

static int parse(const char *text, struct kt_metrics *metrics, struct kt_err *err)
{
	*metrics = KT_METRICS_NULL;
	return kt_metrics_parse(text, strlen(text), metrics, err);
}

static double value_of(const struct kt_metrics *metrics, const char *name)
{
	const struct kt_metric_value *metric = kt_metrics_find(metrics->at, metrics->n, name);

	return metric ? metric->value : NAN;
}

Test(metrics, numbers_and_booleans_are_named_by_the_way_to_them)
{
	struct kt_metrics metrics;

	cr_assert(zero(int, parse("{\"jobs\":[{\"read\":{\"iops\":12.5,\"ok\":true}},{\"read\":3}],"
				  "\"no\":false,\"text\":\"7\",\"nothing\":null,\"e\":[],\"o\":{}}",
				  &metrics, NULL)));
	cr_assert(eq(sz, metrics.n, 4));
	cr_assert(eq(dbl, value_of(&metrics, "jobs.0.read.iops"), 12.5));
	cr_assert(eq(dbl, value_of(&metrics, "jobs.0.read.ok"), 1));
	cr_assert(eq(dbl, value_of(&metrics, "jobs.1.read"), 3));
	cr_assert(eq(dbl, value_of(&metrics, "no"), 0));
	cr_assert(eq(str, (char *)metrics.at[0].name, "jobs.0.read.iops"));
	cr_assert(zero(sz, metrics.n_dropped));
	kt_metrics_deinit(&metrics);
}

Test(metrics, text_around_the_json_is_skipped)
{
	static const struct {
		const char *text;
		const char *name;
		double value;
	} cases[] = {
		{ "{\"a\":1}", "a", 1 },
		{ "[4, 5]", "1", 5 },
		{ "fio: starting\n{\"a\":1}\nfio: done", "a", 1 },
		{ "[0] starting {x}\n[info] {\"a\":1}", "a", 1 },
		{ "{\"a\":1} \t\r\n{\"a\":2}", "a", 1 },
		{ "{\"a\":\n1\n}\n", "a", 1 },
		{ "\xff\xfe{\"a\":1}", "a", 1 },
		{ "{\"a\":1,\"nul\":\"\\u0000\"}", "a", 1 },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_metrics metrics;

		cr_assert(eq(int, parse(cases[i].text, &metrics, NULL), 0), "case %zu", i);
		cr_assert(eq(sz, metrics.n, i == 1 ? 2 : 1), "case %zu", i);
		cr_assert(eq(dbl, value_of(&metrics, cases[i].name), cases[i].value), "case %zu",
			  i);
		kt_metrics_deinit(&metrics);
	}
}

Test(metrics, what_is_no_json_is_none_and_says_why)
{
	static const struct {
		const char *text;
		const char *why;
	} cases[] = {
		{ "", "neither '{' nor '['" },
		{ "Time: 0.123", "neither '{' nor '['" },
		{ "{\"a\":", "at byte 0, line 1" },
		{ "text {\"a\":nan}", "at byte 5, line 1 from there: invalid token near 'nan'" },
		{ "{\"a\":NaN}", "invalid token" },
		{ "{\"a\":Infinity}", "invalid token" },
		{ "{\"a\":1e999}", "overflow" },
		{ "{\"a\":1} and more", "more text behind it" },
		{ "{\"a\":1", "line 1" },
		{ "{\"\\u0000\":1}", "NUL" },
		{ "{\"a\":\"\xff\"}", "decode byte 0xff" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_metrics metrics;
		struct kt_err err = KT_ERR_NULL;

		cr_assert(eq(int, parse(cases[i].text, &metrics, &err), -ENODATA), "case %zu", i);
		cr_assert(strstr(err.text, cases[i].why) != NULL, "case %zu: %s", i, err.text);
		cr_assert(zero(sz, metrics.n));
	}
}

Test(metrics, bytes_beyond_the_length_are_not_read)
{
	struct kt_metrics metrics = KT_METRICS_NULL;
	KT_FREE char *text = malloc(7);

	memcpy(text, "{\"a\":1}", 7);
	cr_assert(eq(int, kt_metrics_parse(text, 6, &metrics, NULL), -ENODATA));
	cr_assert(zero(int, kt_metrics_parse(text, 7, &metrics, NULL)));
	kt_metrics_deinit(&metrics);
	cr_assert(eq(int, kt_metrics_parse("a\0{", 3, &metrics, NULL), -ENODATA));
}

/* Integers of more than 64 bits are numbers, too. "NaN" in quotes is not a number. */
Test(metrics, numbers_of_any_size)
{
	struct kt_metrics metrics;

	cr_assert(zero(int, parse("{\"big\":123456789012345678901234567890,\"neg\":-5,"
				  "\"small\":1e-300,\"nan\":\"NaN\",\"inf\":\"inf\"}",
				  &metrics, NULL)));
	cr_assert(eq(sz, metrics.n, 3));
	cr_assert(epsilon_eq(dbl, value_of(&metrics, "big") / 1e29, 1.2345678901234568, 1e-9));
	cr_assert(eq(dbl, value_of(&metrics, "neg"), -5));
	kt_metrics_deinit(&metrics);
}

Test(metrics, of_two_with_one_name_the_last_counts)
{
	struct kt_metrics metrics;

	cr_assert(zero(int, parse("{\"a.b\":1,\"c\":2,\"a\":{\"b\":3},\"c\":4}", &metrics, NULL)));
	cr_assert(eq(sz, metrics.n, 2));
	cr_assert(eq(dbl, value_of(&metrics, "a.b"), 3));
	cr_assert(eq(dbl, value_of(&metrics, "c"), 4));
	cr_assert(eq(str, (char *)metrics.at[0].name, "a.b"));
	kt_metrics_deinit(&metrics);
}

/* ---- hostile text ---------------------------------------------------------------------------- */

static char *repeat(const char *text, size_t n, const char *end)
{
	char *all = malloc(strlen(text) * n + strlen(end) + 1), *at = all;

	for (size_t i = 0; i < n; i++)
		at = stpcpy(at, text);
	(void)strcpy(at, end);
	return all;
}

Test(metrics, what_is_too_deep_is_dropped)
{
	KT_FREE char *open = repeat("[", KT_METRIC_DEPTH_MAX + 1, "5");
	KT_FREE char *close = repeat("]", KT_METRIC_DEPTH_MAX + 1, "");
	KT_FREE char *text = malloc(strlen(open) + strlen(close) + 32);
	struct kt_metrics metrics;

	(void)sprintf(text, "[1, %s%s, 2]", open, close);
	cr_assert(zero(int, parse(text, &metrics, NULL)));
	cr_assert(eq(sz, metrics.n, 2));
	cr_assert(eq(sz, metrics.n_dropped, 1));
	kt_metrics_deinit(&metrics);
	/* With one level less, it is found. */
	(void)sprintf(text, "%s%s", open + 1, close + 1);
	cr_assert(zero(int, parse(text, &metrics, NULL)));
	cr_assert(eq(sz, metrics.n, 1));
	kt_metrics_deinit(&metrics);
}

Test(metrics, more_than_there_is_room_for_are_counted)
{
	KT_FREE char *numbers = repeat("7,", KT_METRICS_MAX + 5, "7]");
	KT_FREE char *text = malloc(strlen(numbers) + 2);
	struct kt_metrics metrics;

	(void)sprintf(text, "[%s", numbers);
	cr_assert(zero(int, parse(text, &metrics, NULL)));
	cr_assert(eq(sz, metrics.n, KT_METRICS_MAX));
	cr_assert(eq(sz, metrics.n_dropped, 6));
	kt_metrics_deinit(&metrics);
}

Test(metrics, long_names_are_dropped)
{
	KT_FREE char *name = repeat("n", KT_METRIC_NAME_MAX + 1, "");
	KT_FREE char *text = malloc(3 * strlen(name) + 64);
	struct kt_metrics metrics;

	(void)sprintf(text, "{\"%s\":1,\"a\":{\"%s\":2},\"%s\":3}", name, name + 2, name + 1);
	cr_assert(zero(int, parse(text, &metrics, NULL)));
	cr_assert(eq(sz, metrics.n, 1));
	cr_assert(eq(sz, metrics.n_dropped, 2));
	cr_assert(eq(dbl, value_of(&metrics, name + 1), 3));
	kt_metrics_deinit(&metrics);
}

/* A megabyte of brackets is refused quickly, whichever brackets they are. */
Test(metrics, brackets_do_not_take_for_ever, .timeout = 20)
{
	static const char *const parts[] = { "[", "{", "{\"a\":", "[{", "[1] x" };
	uint64_t began_ns = kt_now_ns();

	for (size_t i = 0; i < KT_ARRAY_LEN(parts); i++) {
		KT_FREE char *text = repeat(parts[i], (1 << 20) / strlen(parts[i]), "");
		struct kt_metrics metrics;

		cr_assert(eq(int, parse(text, &metrics, NULL), -ENODATA), "%s", parts[i]);
	}
	cr_assert(lt(u64, kt_now_ns() - began_ns, 10 * KT_NSEC_PER_SEC));
}

/* Cut off or changed at any place, it is read within its bounds; the sanitizers check that. */
Test(metrics, damaged_text_is_harmless)
{
	static const char good[] =
		"log [1]\n{\"a\":[1,{\"b\":-2.5e3,\"c\":\"\\u00e9\"},true],\"d\":{}}";

	for (size_t cut = 0; cut < sizeof(good); cut++) {
		for (int with = 0; with < 256; with += 5) {
			struct kt_metrics metrics = KT_METRICS_NULL;
			KT_FREE char *text = malloc(sizeof(good));

			memcpy(text, good, sizeof(good));
			text[cut] = (char)with;
			(void)kt_metrics_parse(text, sizeof(good) - 1, &metrics, NULL);
			kt_metrics_deinit(&metrics);
			(void)kt_metrics_parse(text, cut, &metrics, NULL);
			kt_metrics_deinit(&metrics);
		}
	}
}

/* ---- checks ---------------------------------------------------------------------------------- */

#define EXITED(code)     ((code) << 8)
#define SIGNALED(signal) (signal)

struct told {
	char text[4096];
};

static void on_failure(void *data, const char *what)
{
	struct told *told = data;
	size_t len = strlen(told->text);

	(void)snprintf(told->text + len, sizeof(told->text) - len, "%s\n", what);
}

static struct kt_payload_outcome outcome_of(int status, const char *out, const char *err)
{
	struct kt_payload_outcome outcome = {
		.status = status,
		.out = { .data = strdup(out), .len = strlen(out), .total = strlen(out) },
		.err = { .data = strdup(err), .len = strlen(err), .total = strlen(err) },
	};

	if (parse(out, &outcome.metrics, &outcome.metrics_fault) == 0)
		outcome.metrics_fault.text[0] = '\0';
	return outcome;
}

/* The failures of a payload with these checks that ended like this. */
static void expect_told(const struct kt_payload *payload, int status, const char *out,
			const char *err, const char *want)
{
	struct kt_payload_outcome outcome = outcome_of(status, out, err);
	struct told told = { "" };
	unsigned int n, lines = 0;

	if (!(payload->output & KT_OUTPUT_JSON))
		outcome.metrics_fault.text[0] = '\0';
	n = kt_payload_check(payload, &outcome, on_failure, &told);
	for (const char *at = told.text; *at; at++)
		lines += *at == '\n';
	cr_assert(eq(str, told.text, (char *)want));
	cr_assert(eq(u32, n, lines));
	kt_payload_outcome_deinit(&outcome);
}

static const struct kt_payload metric_payload = {
	.name = "p",
	.output = KT_OUTPUT_JSON,
	.metrics = KT_METRICS({ .name = "a", .unit = "s" }),
	.checks = KT_PAYLOAD_CHECKS(KT_METRIC_MIN("a", 1), KT_METRIC_MAX("a", 2),
				    KT_METRIC_RANGE("b.0", -1, 1), KT_METRIC_EXISTS("c")),
};

Test(checks, what_holds_is_not_told)
{
	expect_told(&metric_payload, EXITED(0), "{\"a\":1,\"b\":[-1],\"c\":true}", "", "");
	expect_told(&metric_payload, EXITED(3), "{\"a\":2,\"b\":[1],\"c\":false}", "", "");
}

Test(checks, each_that_fails_is_told)
{
	expect_told(&metric_payload, EXITED(0), "{\"a\":0.5,\"b\":[1.25],\"c\":1}", "",
		    "payload p: a is 0.5 s, and must be at least 1\n"
		    "payload p: b.0 is 1.25, and must be within -1..1\n");
	expect_told(&metric_payload, EXITED(0), "{\"a\":2.5,\"b\":[-2],\"c\":1}", "",
		    "payload p: a is 2.5 s, and must be at most 2\n"
		    "payload p: b.0 is -2, and must be within -1..1\n");
	expect_told(&metric_payload, EXITED(0), "{\"a\":1,\"b\":[0],\"C\":1}", "",
		    "payload p: there is no 'c' among the 3 numbers of its output, 'a' to 'C'\n");
	expect_told(&metric_payload, EXITED(0), "{\"a\":1,\"b\":[0],\"c\":\"1\"}", "",
		    "payload p: there is no 'c' among the 2 numbers of its output, 'a' to 'b.0'\n");
}

/* A missing metric fails every kind of check. Without JSON, there is only one failure. */
Test(checks, without_metrics_none_holds)
{
	expect_told(&metric_payload, EXITED(0), "{}", "",
		    "payload p: there is no 'a' in its output, whose JSON holds no number\n"
		    "payload p: there is no 'a' in its output, whose JSON holds no number\n"
		    "payload p: there is no 'b.0' in its output, whose JSON holds no number\n"
		    "payload p: there is no 'c' in its output, whose JSON holds no number\n");
	expect_told(&metric_payload, EXITED(0), "Time: 1", "",
		    "payload p: there is no JSON in its output: there is neither '{' nor '[' in "
		    "it\n");
}

static const struct kt_payload zero = { .name = "p", .output = KT_OUTPUT_EXIT_CODE };
static const struct kt_payload three = {
	.name = "p",
	.output = KT_OUTPUT_EXIT_CODE,
	.checks = KT_PAYLOAD_CHECKS(KT_EXIT_CODE(3)),
};
static const struct kt_payload any = { .name = "p" };

Test(checks, exit_codes)
{
	expect_told(&zero, EXITED(0), "", "", "");
	expect_told(&zero, EXITED(1), "out\n", "first\nno such file\n\n",
		    "payload p: it exited with status 1, not 0; its last words: no such file\n");
	expect_told(&zero, EXITED(2), "out", "",
		    "payload p: it exited with status 2, not 0; its last words: out\n");
	expect_told(&three, EXITED(3), "", "", "");
	expect_told(&three, EXITED(0), "", "", "payload p: it exited with status 0, not 3\n");
	expect_told(&three, SIGNALED(SIGSEGV), "", "",
		    "payload p: it was ended by signal 11 (Segmentation fault), and was to exit "
		    "with status 3\n");
	/* A program that signal 3 ends has not exited with status 3. */
	expect_told(&three, SIGNALED(3), "", "",
		    "payload p: it was ended by signal 3 (Quit), and was to exit with status 3\n");
	expect_told(&any, SIGNALED(SIGKILL), "", "", "");
	expect_told(&any, EXITED(1), "", "", "");
}
