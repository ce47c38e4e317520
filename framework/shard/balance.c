/* SPDX-License-Identifier: MIT */
#include "framework/shard/balance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/* A test that costs nothing is taken for one that costs a little, so that many do not pile up. */
#define LEAST_COST 1u

static int by_cost(const void *a, const void *b)
{
	const struct kt_load *left = *(const struct kt_load *const *)a;
	const struct kt_load *right = *(const struct kt_load *const *)b;

	if (left->cost != right->cost)
		return left->cost > right->cost ? -1 : 1;
	return strcmp(left->test, right->test);
}

/* The first one of those with the least. */
static unsigned int lightest(const uint64_t *sums, unsigned int n)
{
	unsigned int least = 0;

	for (unsigned int i = 1; i < n; i++) {
		if (sums[i] < sums[least])
			least = i;
	}
	return least;
}

int kt_balance(const struct kt_load *loads, size_t n, unsigned int n_parts, unsigned int *ret_parts)
{
	KT_FREE const struct kt_load **order = calloc(n + 1, sizeof(*order));
	KT_FREE uint64_t *sums = calloc(n_parts, sizeof(*sums));

	if (!order || !sums)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		order[i] = &loads[i];
	qsort((void *)order, n, sizeof(*order), by_cost);
	for (size_t i = 0; i < n; i++) {
		unsigned int part = lightest(sums, n_parts);

		sums[part] += KT_MAX(order[i]->cost, (uint64_t)LEAST_COST);
		ret_parts[order[i] - loads] = part;
	}
	return 0;
}
