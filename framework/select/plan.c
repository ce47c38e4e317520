/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "framework/select/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "framework/select/division.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/random.h"

/* Fisher-Yates: the order depends on @seed alone. */
static void shuffle(struct kt_plan *plan, uint64_t seed)
{
	for (size_t i = plan->n; i > 1; i--) {
		size_t k = kt_random_next(&seed) % i;
		const struct kt_test *other = plan->tests[k];

		plan->tests[k] = plan->tests[i - 1];
		plan->tests[i - 1] = other;
	}
}

/* Puts tests with the same machine next to one another, where the first of them stands. */
static void group(const struct kt_test **tests, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		const struct kt_test *test = tests[i];
		size_t at = i;

		while (at && !kt_test_same_machine(tests[at - 1], test))
			at--;
		if (!at)
			continue; /* the first of its kind stays */
		memmove(&tests[at + 1], &tests[at], (i - at) * sizeof(*tests));
		tests[at] = test;
	}
}

/* How many tests of the shard are of those that come first; the shard has kept their order. */
static size_t count_first(const struct kt_plan *plan, const struct kt_selection *selection)
{
	size_t n = 0;

	for (size_t i = 0; i < selection->n_first; i++)
		n += n < plan->n && plan->tests[n] == selection->tests[i];
	return n;
}

int kt_plan_init(struct kt_plan *plan, const struct kt_selection *selection,
		 const struct kt_options *options, struct kt_err *reterr)
{
	size_t n_first;
	int r;

	*plan = (struct kt_plan){ .n_before = selection->n, .filters = &selection->filters };
	plan->tests = calloc(selection->n + 1, sizeof(*plan->tests));
	if (!plan->tests)
		return kt_err_oom(reterr);
	for (; plan->n < selection->n; plan->n++)
		plan->tests[plan->n] = selection->tests[plan->n];
	r = kt_division_take(plan->tests, &plan->n, options, &plan->timings, reterr);
	if (r < 0)
		return r;
	n_first = options->shuffle ? 0 : count_first(plan, selection);
	if (options->shuffle)
		shuffle(plan, options->seed);
	group(plan->tests, n_first);
	group(plan->tests + n_first, plan->n - n_first);
	return 0;
}

void kt_plan_deinit(struct kt_plan *plan)
{
	free(plan->tests);
	*plan = (struct kt_plan){ .n = 0 };
}

bool kt_plan_has(const struct kt_plan *plan, const struct kt_test *test, const char *release)
{
	return kt_filters_ask(plan->filters, test, release) == KT_ANSWER_YES;
}

uint64_t kt_plan_seed(const struct kt_options *options, unsigned int iteration,
		      unsigned int attempt)
{
	bool same = options->seed_given && !options->explore;
	uint64_t which = (uint64_t)(same ? 0 : iteration - 1) << 32 | (attempt - 1);

	return which ? options->seed ^ XXH64(&which, sizeof(which), 0) : options->seed;
}

uint64_t kt_plan_test_seed(uint64_t seed, const struct kt_test *test)
{
	return XXH64(test->name, strlen(test->name), seed);
}
