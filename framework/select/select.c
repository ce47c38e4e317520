/* SPDX-License-Identifier: MIT */
#include "framework/select/select.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/* @exact: the pattern must be the whole name; otherwise it may be any part of the name. */
static bool matches_any(const struct kt_strings *patterns, const char *name, bool exact)
{
	for (size_t i = 0; i < patterns->n; i++) {
		if (exact ? !strcmp(name, patterns->at[i]) : !!strstr(name, patterns->at[i]))
			return true;
	}
	return false;
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

/* Names and the GoogleTest filter must both match; --skip wins over both. */
bool kt_select_matches(const struct kt_options *options, const char *name)
{
	if (options->tests.n && !matches_any(&options->tests, name, options->exact))
		return false;
	if (options->gtest_filter && !gtest_matches(options->gtest_filter, name))
		return false;
	return !matches_any(&options->skips, name, options->exact);
}

int kt_select(const struct kt_test_node *tests, const struct kt_options *options,
	      struct kt_selection *ret_selection)
{
	struct kt_selection selection = { .n = 0 };

	for (const struct kt_test_node *at = tests; at; at = at->next) {
		const struct kt_test **grown;

		if (!kt_select_matches(options, at->test->name)) {
			selection.n_filtered++;
			continue;
		}
		grown = reallocarray(selection.tests, selection.n + 1, sizeof(*grown));
		if (!grown) {
			kt_selection_deinit(&selection);
			return -ENOMEM;
		}
		selection.tests = grown;
		grown[selection.n++] = at->test;
	}
	*ret_selection = selection;
	return 0;
}

unsigned int kt_selection_keep_virtual(struct kt_selection *selection)
{
	size_t n = 0, before = selection->n;

	for (size_t i = 0; i < before; i++) {
		if (selection->tests[i]->time != KT_REAL_TIME)
			selection->tests[n++] = selection->tests[i];
	}
	selection->n = n;
	return (unsigned int)(before - n);
}

void kt_selection_deinit(struct kt_selection *selection)
{
	free(selection->tests);
	*selection = (struct kt_selection){ .n = 0 };
}
