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
static void group(struct kt_plan *plan)
{
	for (size_t i = 1; i < plan->n; i++) {
		const struct kt_test *test = plan->tests[i];
		size_t at = i;

		while (at && !kt_test_same_machine(plan->tests[at - 1], test))
			at--;
		if (!at)
			continue; /* the first of its kind stays */
		memmove(&plan->tests[at + 1], &plan->tests[at], (i - at) * sizeof(*plan->tests));
		plan->tests[at] = test;
	}
}

int kt_plan_init(struct kt_plan *plan, const struct kt_selection *selection,
		 const struct kt_options *options, struct kt_err *reterr)
{
	int r;

	*plan = (struct kt_plan){ .n_before = selection->n };
	plan->tests = calloc(selection->n + 1, sizeof(*plan->tests));
	if (!plan->tests)
		return kt_err_oom(reterr);
	for (; plan->n < selection->n; plan->n++)
		plan->tests[plan->n] = selection->tests[plan->n];
	r = kt_division_take(plan->tests, &plan->n, options, &plan->timings, reterr);
	if (r < 0)
		return r;
	if (options->shuffle)
		shuffle(plan, options->seed);
	group(plan);
	return 0;
}

void kt_plan_deinit(struct kt_plan *plan)
{
	free(plan->tests);
	*plan = (struct kt_plan){ .n = 0 };
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
