/* SPDX-License-Identifier: MIT */
#include "framework/cli/again.h"

#include "framework/declaration/registry.h"
#include "util/names.h"

/* A record that does not list the tests of its program makes no test new. */
static enum kt_again judge_test(const void *data, const char *name)
{
	const struct kt_outstanding *again = data;

	if (kt_names_has(again->tests, again->n, name))
		return KT_AGAIN_FIRST;
	return again->n_known && !kt_names_has(again->known, again->n_known, name) ? KT_AGAIN_THEN
										   : KT_AGAIN_NOT;
}

size_t kt_again_count(const struct kt_outstanding *again)
{
	size_t n = 0;

	for (const struct kt_test_node *at = kt_registry(); at; at = at->next)
		n += kt_names_has(again->tests, again->n, at->test->name);
	return n;
}

static void say(const struct kt_outstanding *again, const struct kt_selection *selection, FILE *out)
{
	size_t n = kt_again_count(again), n_new = selection->n - selection->n_first;

	(void)fprintf(out, "rerun of '%s': %zu of %zu test%s that did not pass, %zu new\n",
		      again->path, selection->n_first, n, n == 1 ? "" : "s", n_new);
	if (again->n > n)
		(void)fprintf(out,
			      "%zu other tests did not pass, but this program no longer has them\n",
			      again->n - n);
}

int kt_again_select(const struct kt_outstanding *again, struct kt_selection *selection, FILE *out,
		    struct kt_err *reterr)
{
	int r = kt_selection_keep_again(selection, judge_test, again, reterr);

	if (r == 0)
		say(again, selection, out);
	return r;
}
