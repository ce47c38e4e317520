/* SPDX-License-Identifier: MIT */
/* The expressions of -E. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ktest/scheduler.h>

#include "framework/select/filter.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/nearest.h"

UNIT_SUITE(filter);
UNIT_SUITE(nearest);

static const struct kt_scheduler fifo = { .name = "fifo" };
static const struct kt_scheduler lottery = { .name = "lottery" };
static const struct kt_scheduler rusty = { .name = "rusty" };

static const struct kt_test test = {
	.name = "cgroup_freeze",
	.file = "../tests/suites/cgroup.c",
	.tags = KT_TAGS("slow", "needs-64"),
	.topology = { .llcs = 2, .cores = 3 },
	.scheduler = &fifo,
	.schedulers = KT_SCHEDULERS(&lottery),
	.steps = KT_STEPS({ KT_OPS(KT_ATTACH_SCHEDULER(&rusty)) }),
};

static struct kt_filter *parse(const char *text)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_filter *filter = NULL;

	cr_assert(zero(int, kt_filter_parse(text, &filter, &err)), "%s: %s", text, err.text);
	return filter;
}

static enum kt_answer ask(const char *text, const char *release)
{
	struct kt_filter *filter = parse(text);
	enum kt_answer answer = kt_filter_ask(filter, &test, release);

	kt_filter_free(filter);
	return answer;
}

Test(filter, predicates)
{
	static const char *const chosen[] = {
		"all()",
		"test(freeze)",
		"test(~group_f)",
		"test(=cgroup_freeze)",
		"test(#cgroup*)",
		"test(/^cgroup_(freeze|thaw)$/)",
		"test( freeze )",
		" test ( =cgroup_freeze ) ",
		"tag(slow)",
		"tag(needs-*)",
		"tag(/^n.*[0-9]{2}$/)",
		"scheduler(fifo)",
		"scheduler(lot*)",
		"scheduler(=rusty)",
		"topology(llcs=2)",
		"topology(cpus=6)",
		"topology(numa_nodes=1)",
		"topology(memory_nodes=0)",
		"topology(threads=1)",
		"topology(/^cpus=[4-8]$/)",
		"file(cgroup.c)",
		"file(suites/*.c)",
		"file(../tests/suites/cgroup.c)",
		"file(~suites/)",
		"test(thaw) | tag(slow)",
		"test(freeze) & tag(slow)",
		"!test(thaw)",
		"all() - none()",
		"none() - all() | all()",
	};
	static const char *const others[] = {
		"test(freeze) - tag(slow)",
		"test(freeze) & tag(fast)",
		"test(thaw) | tag(fast)",
		"!test(freeze)",
		"none()",
		"test(thaw)",
		"test(=freeze)",
		"test(#group*)",
		"test(/^freeze/)",
		"tag(slo)",
		"tag(=Slow)",
		"scheduler(rust)",
		"topology(llcs=22)",
		"topology(llcs=1)",
		"topology(cpus=5)",
		"file(group.c)",
		"file(=cgroup.c)",
		"tag(x)",
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(chosen); i++)
		cr_assert(eq(int, ask(chosen[i], NULL), KT_ANSWER_YES), "%s", chosen[i]);
	for (size_t i = 0; i < KT_ARRAY_LEN(others); i++)
		cr_assert(eq(int, ask(others[i], NULL), KT_ANSWER_NO), "%s", others[i]);
}

Test(filter, a_kernel_is_decided_when_it_is_known)
{
	cr_assert(eq(int, ask("kernel(6.1)", "6.1.55-cloud-amd64"), KT_ANSWER_YES));
	cr_assert(eq(int, ask("kernel(6.1)", "6.16.3-cloud-amd64"), KT_ANSWER_NO));
	cr_assert(eq(int, ask("kernel(#*cloud*)", "6.16.3-cloud-amd64"), KT_ANSWER_YES));
	cr_assert(eq(int, ask("kernel(6.1)", NULL), KT_ANSWER_MAYBE));
	cr_assert(eq(int, ask("!kernel(6.1)", NULL), KT_ANSWER_MAYBE));
	cr_assert(eq(int, ask("all() - kernel(6.1)", NULL), KT_ANSWER_MAYBE));
	cr_assert(eq(int, ask("test(thaw) & kernel(6.1)", NULL), KT_ANSWER_NO));
	cr_assert(eq(int, ask("test(freeze) | kernel(6.1)", NULL), KT_ANSWER_YES));
}

static char *print(const char *text)
{
	struct kt_filter *filter = parse(text);
	char *printed = NULL;
	size_t len;
	FILE *out = open_memstream(&printed, &len);

	cr_assert(ne(ptr, out, NULL));
	kt_filter_print(filter, out);
	(void)fclose(out);
	kt_filter_free(filter);
	return printed;
}

/* What is printed of a filter is how it was read, and is read the same again. */
Test(filter, precedence)
{
	static const char *const cases[][2] = {
		{ "test(a) | test(b) & tag(c)", "(test(~a) | (test(~b) & tag(#c)))" },
		{ "test(a) or test(b) and tag(c)", "(test(~a) | (test(~b) & tag(#c)))" },
		{ "test(a) & test(b) | tag(c)", "((test(~a) & test(~b)) | tag(#c))" },
		{ "test(a) + test(b) - tag(c)", "(test(~a) | (test(~b) - tag(#c)))" },
		{ "test(a) - test(b) - tag(c)", "((test(~a) - test(~b)) - tag(#c))" },
		{ "not test(a) and tag(b)", "(!test(~a) & tag(#b))" },
		{ "!(test(a) and tag(b))", "!(test(~a) & tag(#b))" },
		{ "not(test(a))&!!all()", "(!test(~a) & !!all())" },
		{ "test(a\\)b) | test(/a\\/(b|c)/)", "(test(~a\\)b) | test(/a\\/(b|c)/))" },
		{ "tag(#a*)|file(x)|kernel(6.1)", "((tag(#a*) | file(x)) | kernel(6.1))" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		KT_FREE char *once = print(cases[i][0]);
		KT_FREE char *again = print(once);

		cr_assert(eq(str, once, (char *)cases[i][1]));
		cr_assert(eq(str, again, once));
	}
}

Test(filter, errors_name_the_place_and_what_would_be_right)
{
	static const char *const cases[][2] = {
		{ "", "at the end: a predicate" },
		{ "test(a) & tga(b)",
		  "at character 11, 'tga(b)': unknown predicate; did you mean tag()" },
		{ "freeze",
		  "at character 1, 'freeze': a predicate is meant to be here; for a part of "
		  "a test's name, write test(freeze)" },
		{ "wombat(x)", "there are test, tag, kernel" },
		{ "test", "at the end: '(' must follow 'test'" },
		{ "test(a", "a ')' is missing" },
		{ "test()", "like test(freeze)" },
		{ "test(=)", "like test(freeze)" },
		{ "all(x)", "all() takes nothing" },
		{ "(test(a)", "at character 1, '(test(a)': nothing closes" },
		{ "test(a) test(b)", "at character 9, 'test(b)': an operator is missing" },
		{ "test(a) && test(b)",
		  "at character 10, '& test(b)': the operator is a single '&'" },
		{ "test(a) || test(b)", "a single '|'" },
		{ "test(a))", "at character 8" },
		{ "test(/(/)", "the regular expression is wrong" },
		{ "test(/a/x)", "must follow the regular expression" },
		{ "test(/(a)\\1/)", "must not refer back" },
		{ "test(/(((a{99}){99}){99})/)", "repeats more than" },
		{ "test(/(((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)/)", "repeats more than" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_filter *filter = NULL;
		struct kt_err err = KT_ERR_NULL;

		cr_assert(eq(int, kt_filter_parse(cases[i][0], &filter, &err), -EINVAL), "%s",
			  cases[i][0]);
		cr_assert(eq(ptr, filter, NULL));
		cr_assert(ne(ptr, strstr(err.text, cases[i][1]), NULL), "%s: %s", cases[i][0],
			  err.text);
	}
}

Test(filter, length_and_depth_are_bounded)
{
	char text[KT_FILTER_TEXT_MAX + 8];
	struct kt_filter *filter = NULL;

	memset(text, '!', sizeof(text));
	(void)strcpy(&text[KT_FILTER_DEPTH_MAX - 1], "all()");
	cr_assert(zero(int, kt_filter_parse(text, &filter, NULL)));
	filter = kt_filter_free(filter);
	memset(text, '!', sizeof(text));
	(void)strcpy(&text[KT_FILTER_DEPTH_MAX], "all()");
	cr_assert(eq(int, kt_filter_parse(text, &filter, NULL), -EINVAL));

	memset(text, ' ', sizeof(text));
	(void)strcpy(&text[KT_FILTER_TEXT_MAX - 5], "all()");
	cr_assert(zero(int, kt_filter_parse(text, &filter, NULL)));
	filter = kt_filter_free(filter);
	memset(text, ' ', sizeof(text));
	(void)strcpy(&text[KT_FILTER_TEXT_MAX - 4], "all()");
	cr_assert(eq(int, kt_filter_parse(text, &filter, NULL), -EINVAL));
}

Test(filter, several_are_joined_by_or)
{
	const char *texts[] = { "test(thaw)", "tag(slow)", "none()" };
	struct kt_strings strings = { texts, 3 };
	struct kt_filters filters;

	cr_assert(zero(int, kt_filters_init(&filters, &strings, NULL)));
	cr_assert(eq(int, kt_filters_ask(&filters, &test, NULL), KT_ANSWER_YES));
	kt_filters_deinit(&filters);
	texts[1] = "none()";
	cr_assert(zero(int, kt_filters_init(&filters, &strings, NULL)));
	cr_assert(eq(int, kt_filters_ask(&filters, &test, NULL), KT_ANSWER_NO));
	kt_filters_deinit(&filters);
	strings.n = 0;
	cr_assert(zero(int, kt_filters_init(&filters, &strings, NULL)));
	cr_assert(eq(int, kt_filters_ask(&filters, &test, NULL), KT_ANSWER_YES));
	kt_filters_deinit(&filters);
}

static const struct kt_test other = { .name = "io_uring", .tags = KT_TAGS("v2") };

/* What is said of @text when there are two tests. */
static char *told(const char *text)
{
	struct kt_test_node last = { &other, NULL }, first = { &test, &last };
	struct kt_strings strings = { &text, 1 };
	struct kt_filters filters;
	char *said = NULL;
	size_t len;
	FILE *out = open_memstream(&said, &len);

	cr_assert(ne(ptr, out, NULL));
	cr_assert(zero(int, kt_filters_init(&filters, &strings, NULL)));
	kt_filters_tell(&filters, &first, out);
	kt_filters_deinit(&filters);
	(void)fclose(out);
	return said;
}

Test(filter, a_value_of_no_test_is_told_with_the_one_that_may_be_meant)
{
	static const char *const cases[][3] = {
		{ "tag(slwo)", "tag(slwo)", "tag(slow)" },
		{ "!tag(=slwo) & all()", "tag(=slwo)", "tag(=slow)" },
		{ "all() | test(frezze)", "test(frezze)", "test(cgroup_freeze)" },
		{ "test(=io_urign)", "test(=io_urign)", "test(=io_uring)" },
		{ "scheduler(lotery)", "scheduler(lotery)", "scheduler(lottery)" },
		{ "topology(lcls=2)", "topology(lcls=2)", "topology(llcs=2)" },
		{ "file(cgrop.c)", "file(cgrop.c)", "file(cgroup.c)" },
	};
	static const char *const silent[] = {
		"tag(slow)",   "tag(wombat)",  "tag(slw*)",   "tag(/slwo/)", "topology(llcs=7)",
		"kernel(6.1)", "test(freeze)", "file(group)", "tag(v3)",     "none()",
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		KT_FREE char *said = told(cases[i][0]);
		char expected[256];

		(void)snprintf(expected, sizeof(expected),
			       "warning: -E: no test matches %s; did you mean %s?\n", cases[i][1],
			       cases[i][2]);
		cr_assert(eq(str, said, expected));
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(silent); i++) {
		KT_FREE char *said = told(silent[i]);

		cr_assert(eq(str, said, ""), "%s", silent[i]);
	}
}

static const char *nearest(const char *word)
{
	static const char *const names[] = { "test", "tag", "kernel", "scheduler", "timeout" };
	struct kt_nearest nearest = KT_NEAREST_NULL;

	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++)
		kt_nearest_offer(&nearest, word, names[i]);
	return nearest.name ?: "";
}

Test(nearest, slips_of_the_finger)
{
	cr_assert(eq(str, (char *)nearest("tga"), "tag"));
	cr_assert(eq(str, (char *)nearest("tests"), "test"));
	cr_assert(eq(str, (char *)nearest("est"), "test"));
	cr_assert(eq(str, (char *)nearest("shedular"), "scheduler"));
	cr_assert(eq(str, (char *)nearest("time-out"), "timeout"));
	cr_assert(eq(str, (char *)nearest("wombat"), ""));
	cr_assert(eq(str, (char *)nearest(""), ""));
	cr_assert(eq(str, (char *)nearest("test-test-test-test-test-test-test-test-test"), ""));
}

static const char *nearest_part(const char *word)
{
	static const char *const names[] = { "cgroup_freeze", "cgroup_freeze_twice", "a_b_c_",
					     "_" };
	struct kt_nearest nearest = KT_NEAREST_NULL;

	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++)
		kt_nearest_offer_part(&nearest, word, names[i]);
	return nearest.name ?: "";
}

Test(nearest, parts_of_names)
{
	cr_assert(eq(str, (char *)nearest_part("frezze"), "cgroup_freeze"));
	cr_assert(eq(str, (char *)nearest_part("twise"), "cgroup_freeze_twice"));
	cr_assert(eq(str, (char *)nearest_part("frezze_twice"), "cgroup_freeze_twice"));
	cr_assert(eq(str, (char *)nearest_part("cgrup_freeze"), "cgroup_freeze"));
	cr_assert(eq(str, (char *)nearest_part("wombat"), ""));
	cr_assert(eq(str, (char *)nearest_part("frezze_wombat"), ""));
}
