/* SPDX-License-Identifier: MIT */
#include <math.h>

#include "framework/compare/compare.h"

/* The comparison as text: what got worse comes first, and the totals last. */

#define COLUMN 11 /* width of a number */

/* At least three digits, and none behind the point where they say nothing. */
static void put_number(FILE *out, double value)
{
	(void)fprintf(out, fabs(value) >= 1000 ? " %*.0f" : " %*.3g", COLUMN, value);
}

static void put_share(FILE *out, const struct kt_compare_row *row)
{
	if (row->a.mean != 0)
		(void)fprintf(out, " %+8.1f%%",
			      100 * (row->b.mean - row->a.mean) / fabs(row->a.mean));
	else
		(void)fprintf(out, " %9s", row->b.mean != 0 ? "new" : "0.0%");
}

static void put_row(FILE *out, const struct kt_compare_row *row)
{
	(void)fprintf(out, "%-8s", kt_change_name(row->change));
	put_number(out, row->a.mean);
	put_number(out, row->b.mean);
	put_share(out, row);
	(void)fprintf(out, " %5zu:%-5zu %s %s\n", row->a.n, row->b.n, row->test, row->metric);
}

static void put_rows(FILE *out, const struct kt_comparison *comparison, enum kt_change change)
{
	for (size_t i = 0; i < comparison->n; i++) {
		const struct kt_compare_row *row = &comparison->rows[i];

		if (row->a.n && row->b.n && row->change == change)
			put_row(out, row);
	}
}

/* Metrics that one side alone has: a test that was not run, or did not pass. */
static void put_lonely(FILE *out, const struct kt_comparison *comparison)
{
	for (size_t i = 0; i < comparison->n; i++) {
		const struct kt_compare_row *row = &comparison->rows[i];

		if (!row->a.n || !row->b.n)
			(void)fprintf(out, "only in %s: %s %s\n", row->a.n ? "A" : "B", row->test,
				      row->metric);
	}
}

void kt_comparison_put_text(FILE *out, const struct kt_comparison *comparison, bool all)
{
	const unsigned int *by = comparison->by_change;

	(void)fprintf(out, "A: %s, %u runs\nB: %s, %u runs\n", comparison->a,
		      comparison->in_a->n_runs, comparison->b, comparison->in_b->n_runs);
	(void)fprintf(out, "%-8s %*s %*s %9s %11s test metric\n", "", COLUMN, "A", COLUMN, "B",
		      "change", "values");
	for (int change = KT_N_CHANGES - 1; change >= 0; change--) {
		if (all || change != KT_CHANGE_NONE)
			put_rows(out, comparison, (enum kt_change)change);
	}
	put_lonely(out, comparison);
	(void)fprintf(out, "%u worse, %u better, %u unclear, %u without a direction, %u the same\n",
		      by[KT_CHANGE_WORSE], by[KT_CHANGE_BETTER], by[KT_CHANGE_UNCLEAR],
		      by[KT_CHANGE_DIFFERENT], by[KT_CHANGE_NONE]);
}
