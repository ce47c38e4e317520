/* SPDX-License-Identifier: MIT */
#include "framework/compare/compare.h"

#include <errno.h>
#include <stdlib.h>

/* Both sides are sorted in the same way, so one walk along them finds what belongs together. */

/* Takes the samples of the row from *@at on, and returns how many. */
static size_t take(const struct kt_samples *samples, size_t at, const struct kt_sample *first,
		   struct kt_series *series)
{
	size_t n = 0;

	for (; at + n < samples->n && !kt_sample_order(&samples->at[at + n], first); n++)
		kt_series_add(series, samples->at[at + n].value);
	return n;
}

static void judge(struct kt_comparison *comparison, struct kt_compare_row *row)
{
	if (!row->a.n || !row->b.n)
		return;
	row->change = kt_judge(&row->gate, &row->a, &row->b);
	comparison->n_common++;
	comparison->by_change[row->change]++;
}

int kt_compare(const struct kt_samples *a, const struct kt_samples *b, const struct kt_gate *gates,
	       size_t n_gates, struct kt_comparison *ret_comparison)
{
	struct kt_comparison comparison = { .in_a = a, .in_b = b };
	size_t at_a = 0, at_b = 0;

	comparison.rows = calloc(a->n + b->n + 1, sizeof(*comparison.rows));
	if (!comparison.rows)
		return -ENOMEM;
	while (at_a < a->n || at_b < b->n) {
		struct kt_compare_row *row = &comparison.rows[comparison.n++];
		bool from_a = at_b == b->n ||
			      (at_a < a->n && kt_sample_order(&a->at[at_a], &b->at[at_b]) <= 0);
		const struct kt_sample *first = from_a ? &a->at[at_a] : &b->at[at_b];

		row->test = first->test;
		row->metric = first->metric;
		row->gate = kt_gate_find(gates, n_gates, row->metric);
		at_a += take(a, at_a, first, &row->a);
		at_b += take(b, at_b, first, &row->b);
		judge(&comparison, row);
	}
	*ret_comparison = comparison;
	return 0;
}

void kt_comparison_deinit(struct kt_comparison *comparison)
{
	free(comparison->rows);
	*comparison = KT_COMPARISON_NULL;
}
