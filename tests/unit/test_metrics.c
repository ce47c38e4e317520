/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest/payload/excerpt.h"
#include "guest/payload/metrics.h"
#include "guest/payload/payload.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

UNIT_SUITE(metrics);
UNIT_SUITE(checks);
UNIT_SUITE(excerpts);

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
		{ "{\"a\":1} and more", "more text follows" },
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

/* ---- TAP ------------------------------------------------------------------------------------- */

static const struct kt_payload tap = { .name = "p", .output = KT_OUTPUT_TAP };
static const struct kt_payload selftest = { .name = "p", .output = KT_OUTPUT_KSELFTEST };

Test(checks, tap_that_is_complete_passes)
{
	expect_told(&tap, EXITED(1), "TAP version 13\n1..2\nok 1 - a\nok 2 b\n", "", "");
	expect_told(&tap, EXITED(0), "noise\nok 1\r\nok 2 # SKIP no such CPU\n1..2\n", "", "");
	expect_told(&tap, EXITED(0), "1..2\nnot ok 1 # TODO later\nnot ok 2 x # XFAIL\n", "", "");
	/* A nested result counts in that of its parent. */
	expect_told(&tap, EXITED(0), "1..1\n  1..2\n  not ok 1\n  ok 2\nok 1\n", "", "");
	expect_told(&tap, EXITED(0), "1..1\nok 1 a # 5 skipped\nokay\nnot okay", "", "");
}

Test(checks, tap_that_fails_is_told)
{
	expect_told(&tap, EXITED(0), "1..3\nok 1\nnot ok 2 - wakes up\nok 3\n", "",
		    "payload p: not ok 2 - wakes up\n");
	expect_told(&tap, EXITED(0), "1..3\nok 1\nok 2", "",
		    "payload p: its plan is 1..3, and it reported 2 results\n");
	expect_told(&tap, EXITED(0), "ok 1\n", "",
		    "payload p: its output has results, but no plan (1..N)\n");
	expect_told(&tap, EXITED(0), "", "", "payload p: there is no TAP in its output\n");
	expect_told(&tap, EXITED(0), "1..2\nok 1\nBail out! no memory\n", "",
		    "payload p: it bailed out: no memory\n");
}

Test(checks, of_many_results_that_fail_some_are_told)
{
	char text[512] = "1..20\n";

	for (int i = 1; i <= 20; i++)
		(void)sprintf(text + strlen(text), "not ok %d\n", i);
	expect_told(&tap, EXITED(0), text, "",
		    "payload p: not ok 1\npayload p: not ok 2\npayload p: not ok 3\n"
		    "payload p: not ok 4\npayload p: not ok 5\npayload p: not ok 6\n"
		    "payload p: not ok 7\npayload p: not ok 8\n"
		    "payload p: 12 more results are \"not ok\"\n");
}

/* TAP behind what was kept could have failed. */
Test(checks, tap_that_was_not_kept_fails)
{
	struct kt_payload_outcome outcome = outcome_of(EXITED(0), "1..2\nok 1\n", "");
	struct told told = { "" };

	outcome.metrics_fault.text[0] = '\0';
	outcome.out.total = 1000;
	cr_assert(eq(u32, kt_payload_check(&tap, &outcome, on_failure, &told), 1));
	cr_assert(eq(str, told.text,
		     "payload p: of 1000 bytes of output 10 were kept; TAP after them is lost\n"));
	kt_payload_outcome_deinit(&outcome);
}

Test(checks, a_selftest_tells_by_its_status)
{
	expect_told(&selftest, EXITED(0), "", "", "");
	expect_told(&selftest, EXITED(4), "", "no root", "");
	expect_told(&selftest, EXITED(1), "", "no root",
		    "payload p: it exited with status 1, not 0; its last words: no root\n");
	expect_told(&selftest, SIGNALED(4), "", "",
		    "payload p: it was ended by signal 4 (Illegal instruction), and was to exit "
		    "with status 0\n");
	expect_told(&selftest, EXITED(0), "1..1\nnot ok 1 a\n", "", "payload p: not ok 1 a\n");
	expect_told(&selftest, EXITED(0), "ok 1 a\n", "", "");
}

static void expect_skip(const struct kt_payload *payload, int status, const char *out,
			const char *err, const char *want)
{
	struct kt_payload_outcome outcome = outcome_of(status, out, err);
	struct kt_err reason = KT_ERR_NULL;

	cr_assert(eq(int, kt_payload_skips(payload, &outcome, &reason), want != NULL), "%s", out);
	cr_assert(eq(str, reason.text, (char *)(want ?: "")));
	kt_payload_outcome_deinit(&outcome);
}

Test(checks, what_has_nothing_to_test_is_skipped)
{
	expect_skip(&selftest, EXITED(4), "1..1\n", "no root\n", "payload p: no root");
	expect_skip(&selftest, EXITED(4), "", "", "payload p: it has skipped everything");
	expect_skip(&selftest, EXITED(0), "", "no root\n", NULL);
	expect_skip(&tap, EXITED(4), "1..1\nok 1\n", "no root\n", NULL);
	expect_skip(&tap, EXITED(0), "1..0 # SKIP no sched_ext\n", "", "payload p: no sched_ext");
	expect_skip(&tap, EXITED(0), "1..2\nok 1 # SKIP a\nok 2 # skip b\n", "", "payload p: a");
	expect_skip(&tap, EXITED(0), "1..2\nok 1 # SKIP a\nok 2\n", "", NULL);
	expect_skip(&zero, EXITED(4), "1..0 # SKIP\n", "", NULL);
}

/* ---- excerpts -------------------------------------------------------------------------------- */

static char *excerpt_of(const char *text, size_t len)
{
	KT_CLOSE int fd = memfd_create("unit", MFD_CLOEXEC);
	char *excerpt;
	size_t n;

	cr_assert(zero(int, kt_write_full(fd, text, len)));
	excerpt = kt_excerpt_read(fd, &n);
	cr_assert(ne(ptr, excerpt, NULL));
	cr_assert(eq(sz, strlen(excerpt), n));
	return excerpt;
}

Test(excerpts, what_is_short_is_whole)
{
	KT_FREE char *none = excerpt_of("", 0), *some = excerpt_of("a\nb", 3);

	cr_assert(eq(str, none, ""));
	cr_assert(eq(str, some, "a\nb"));
}

Test(excerpts, of_many_lines_the_first_and_the_last_are_there)
{
	char text[4096] = "";
	KT_FREE char *excerpt = NULL;

	for (int i = 1; i <= 81; i++)
		(void)sprintf(text + strlen(text), "%d\n", i);
	excerpt = excerpt_of(text, strlen(text));
	cr_assert(ne(ptr, strstr(excerpt, "\n40\n[... 3 of 234 bytes left out ...]\n42\n"), NULL),
		  "%s", excerpt);
	cr_assert(zero(int, strncmp(excerpt, "1\n2\n", 4)));
	cr_assert(eq(str, excerpt + strlen(excerpt) - 4, "\n81\n"));
}

Test(excerpts, of_many_bytes_the_first_and_the_last_are_there)
{
	KT_FREE char *text = malloc(1 << 20), *excerpt = NULL;

	memset(text, 'x', 1 << 20);
	text[0] = 'a';
	text[(1 << 20) - 1] = 'z';
	excerpt = excerpt_of(text, 1 << 20);
	cr_assert(lt(sz, strlen(excerpt), KT_EXCERPT_BYTES + 100));
	cr_assert(ne(ptr, strstr(excerpt, "x\n[... 1040384 of 1048576 bytes left out ...]\nx"),
		     NULL));
	cr_assert(eq(chr, excerpt[0], 'a'));
	cr_assert(eq(chr, excerpt[strlen(excerpt) - 1], 'z'));
}
