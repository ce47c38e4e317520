/* SPDX-License-Identifier: MIT */
#include "framework/select/select.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "framework/select/division.h"
#include "util/cleanup.h"
#include "util/nearest.h"

/*
 * The first pattern that matches; NULL: none does. @exact: it must be the whole name; otherwise it
 * may be any part of the name.
 */
static const char *find_name(const struct kt_strings *patterns, const char *name, bool exact)
{
	for (size_t i = 0; i < patterns->n; i++) {
		if (exact ? !strcmp(name, patterns->at[i]) : !!strstr(name, patterns->at[i]))
			return patterns->at[i];
	}
	return NULL;
}

/*
 * Whether @name matches one of the patterns up to @end, which colons separate. A pattern may
 * begin with a suite, as "ktest.": what follows the first dot is tried too.
 */
static bool gtest_any(const char *patterns, const char *end, const char *name)
{
	while (patterns < end) {
		size_t len = strcspn(patterns, ":");
		KT_FREE char *pattern = NULL;

		len = KT_MIN(len, (size_t)(end - patterns));
		pattern = strndup(patterns, len);
		if (pattern &&
		    (fnmatch(pattern, name, 0) == 0 ||
		     (strchr(pattern, '.') && fnmatch(strchr(pattern, '.') + 1, name, 0) == 0)))
			return true;
		patterns += len + 1;
	}
	return false;
}

/* A filter of GoogleTest: POSITIVE[-NEGATIVE], each a list of patterns with * and ?. */
static bool gtest_matches(const char *filter, const char *name)
{
	const char *minus = strchr(filter, '-');
	const char *end = filter + strlen(filter);

	if (minus && gtest_any(minus + 1, end, name))
		return false;
	return minus == filter || gtest_any(filter, minus ?: end, name);
}

/* The first cause that leaves @test out, in the order of enum kt_cause; KT_N_CAUSES: none does. */
static enum kt_cause find_cause(const struct kt_selection *selection,
				const struct kt_options *options, const struct kt_test *test,
				const char **ret_detail)
{
	const struct kt_skip_line *line = kt_skip_lines_find(&selection->skip_lines, test->name);
	const char *skip = find_name(&options->skips, test->name, options->exact);

	if (options->tests.n && !find_name(&options->tests, test->name, options->exact))
		return KT_CAUSE_NAME;
	if (options->gtest_filter && !gtest_matches(options->gtest_filter, test->name))
		return KT_CAUSE_GTEST;
	if (kt_filters_ask(&selection->filters, test, NULL) == KT_ANSWER_NO)
		return KT_CAUSE_FILTER;
	*ret_detail = skip ?: line ? line->reason : NULL;
	if (skip)
		return KT_CAUSE_SKIP;
	if (line)
		return KT_CAUSE_SKIP_FILE;
	if (options->ignored == KT_IGNORED_ONLY && !test->disabled)
		return KT_CAUSE_IGNORED;
	return KT_N_CAUSES;
}

/* kt_select() has made room for every test in both lists. */
static void leave_out(struct kt_selection *selection, const struct kt_test *test,
		      enum kt_cause cause, const char *detail)
{
	selection->left_out[selection->n_left_out++] = (struct kt_left_out){ test, cause, detail };
}

static int make_room(struct kt_selection *selection, const struct kt_test_node *tests)
{
	size_t n = 0;

	for (const struct kt_test_node *at = tests; at; at = at->next)
		n++;
	selection->tests = calloc(n + 1, sizeof(*selection->tests));
	selection->left_out = calloc(n + 1, sizeof(*selection->left_out));
	return selection->tests && selection->left_out ? 0 : -ENOMEM;
}

int kt_select(const struct kt_test_node *tests, const struct kt_options *options,
	      struct kt_selection *ret_selection, struct kt_err *reterr)
{
	KT_CLEANUP(kt_selection_deinit) struct kt_selection selection = { .n = 0 };
	int r = make_room(&selection, tests) < 0 ? kt_err_oom(reterr) : 0;

	r = r ?: kt_filters_init(&selection.filters, &options->filters, reterr);
	r = r ?: kt_skip_lines_init(&selection.skip_lines, &options->skip_files, reterr);
	if (r < 0)
		return r;
	for (const struct kt_test_node *at = tests; at; at = at->next) {
		const char *detail = NULL;
		enum kt_cause cause = find_cause(&selection, options, at->test, &detail);

		if (cause == KT_N_CAUSES)
			selection.tests[selection.n++] = at->test;
		else
			leave_out(&selection, at->test, cause, detail);
	}
	r = kt_overrides_init(&selection.overrides, options, selection.tests, selection.n, reterr);
	if (r < 0)
		return r;
	selection.n_filtered = (unsigned int)selection.n_left_out;
	*ret_selection = selection;
	selection = (struct kt_selection){ .n = 0 };
	return 0;
}

static bool has_test(const struct kt_test_node *tests, const char *name, bool exact)
{
	const struct kt_strings one = { .at = &name, .n = 1 };

	while (tests && !find_name(&one, tests->test->name, exact))
		tests = tests->next;
	return tests;
}

static const char *nearest_test(const struct kt_test_node *tests, const char *name)
{
	struct kt_nearest nearest = KT_NEAREST_NULL;

	for (; tests; tests = tests->next)
		kt_nearest_offer_part(&nearest, name, tests->test->name);
	return nearest.name;
}

/* A test that was to be left out runs, and that may be found out late. */
static void tell_skips(const struct kt_test_node *tests, const struct kt_options *options,
		       FILE *out)
{
	for (size_t i = 0; i < options->skips.n; i++) {
		const char *name = options->skips.at[i], *meant = nearest_test(tests, name);

		if (meant && !has_test(tests, name, options->exact))
			(void)fprintf(out,
				      "warning: --skip: no test is called '%s'; did you mean "
				      "'%s'?\n",
				      name, meant);
	}
}

size_t kt_select_tell_names(const struct kt_test_node *tests, const struct kt_options *options,
			    const struct kt_filters *filters, FILE *out)
{
	size_t n = 0;

	kt_filters_tell(filters, tests, out);
	tell_skips(tests, options, out);
	for (size_t i = 0; i < options->tests.n; i++) {
		const char *name = options->tests.at[i], *meant;

		if (has_test(tests, name, options->exact))
			continue;
		n++;
		meant = nearest_test(tests, name);
		if (meant || options->tests.n > 1)
			(void)fprintf(out, "warning: no test is called '%s'%s%s%s\n", name,
				      meant ? "; did you mean '" : "", meant ?: "",
				      meant ? "'?" : "");
	}
	return n;
}

unsigned int kt_selection_keep_virtual(struct kt_selection *selection)
{
	size_t n = 0, before = selection->n;

	for (size_t i = 0; i < before; i++) {
		if (selection->tests[i]->time != KT_REAL_TIME)
			selection->tests[n++] = selection->tests[i];
		else
			leave_out(selection, selection->tests[i], KT_CAUSE_REAL_TIME, NULL);
	}
	selection->n = n;
	return (unsigned int)(before - n);
}

int kt_selection_keep_again(struct kt_selection *selection,
			    enum kt_again (*judge)(const void *data, const char *name),
			    const void *data, struct kt_err *reterr)
{
	KT_FREE const struct kt_test **new_ones = calloc(selection->n + 1, sizeof(*new_ones));
	size_t n_first = 0, n_new = 0;

	if (!new_ones)
		return kt_err_oom(reterr);
	for (size_t i = 0; i < selection->n; i++) {
		const struct kt_test *test = selection->tests[i];
		enum kt_again again = judge(data, test->name);

		if (again == KT_AGAIN_FIRST)
			selection->tests[n_first++] = test;
		else if (again == KT_AGAIN_THEN)
			new_ones[n_new++] = test;
		else
			leave_out(selection, test, KT_CAUSE_RERUN, NULL);
	}
	memcpy(&selection->tests[n_first], new_ones, n_new * sizeof(*new_ones));
	selection->n_first = n_first;
	selection->n = n_first + n_new;
	return 0;
}

int kt_selection_keep_shard(struct kt_selection *selection, const struct kt_options *options,
			    struct kt_err *reterr)
{
	size_t n = selection->n, kept = 0;
	KT_FREE const struct kt_test **before = calloc(n + 1, sizeof(*before));
	uint64_t timings;
	int r;

	if (!before)
		return kt_err_oom(reterr);
	memcpy(before, selection->tests, n * sizeof(*before));
	r = kt_division_take(selection->tests, &selection->n, options, &timings, reterr);
	for (size_t i = 0; r == 0 && i < n; i++) {
		if (kept < selection->n && selection->tests[kept] == before[i])
			kept++;
		else
			leave_out(selection, before[i], KT_CAUSE_SHARD, NULL);
	}
	return r;
}

void kt_selection_deinit(struct kt_selection *selection)
{
	free(selection->tests);
	free(selection->left_out);
	kt_filters_deinit(&selection->filters);
	kt_skip_lines_deinit(&selection->skip_lines);
	kt_overrides_deinit(&selection->overrides);
	*selection = (struct kt_selection){ .n = 0 };
}

const char *kt_cause_text(enum kt_cause cause)
{
	static const char *const texts[KT_N_CAUSES] = {
		[KT_CAUSE_NAME] = "name",
		[KT_CAUSE_GTEST] = "--gtest_filter",
		[KT_CAUSE_FILTER] = "-E",
		[KT_CAUSE_SKIP] = "--skip",
		[KT_CAUSE_SKIP_FILE] = "--skip-file",
		[KT_CAUSE_IGNORED] = "--run-ignored only",
		[KT_CAUSE_REAL_TIME] = "--explore",
		[KT_CAUSE_RERUN] = "--rerun",
		[KT_CAUSE_SHARD] = "the shard",
	};

	return texts[cause];
}
