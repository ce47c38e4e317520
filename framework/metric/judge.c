/* SPDX-License-Identifier: MIT */
#include "framework/metric/judge.h"

#include <math.h>

#include "util/cleanup.h"

void kt_series_add(struct kt_series *series, double value)
{
	double distance = value - series->mean;

	series->min = series->n ? fmin(series->min, value) : value;
	series->max = series->n ? fmax(series->max, value) : value;
	series->n++;
	series->mean += distance / (double)series->n;
	series->squares += distance * (value - series->mean);
}

const char *kt_change_name(enum kt_change change)
{
	static const char *const names[] = { "same", "unclear", "differs", "better", "WORSE" };

	return names[change];
}

/* The quantile of Student's t-distribution for a two-sided test on the level of 5 %. */
static double critical_t(double freedom)
{
	static const double by_freedom[] = {
		12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
		2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
		2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
	};
	size_t n = KT_ARRAY_LEN(by_freedom), i;

	if (freedom <= 1)
		return by_freedom[0];
	if (freedom < (double)n) {
		/* The curve hangs below the line between two of its points: this is too strict. */
		i = (size_t)freedom;
		return by_freedom[i - 1] +
		       (freedom - (double)i) * (by_freedom[i] - by_freedom[i - 1]);
	}
	/* The bound falls on from 2.042: the one of the next lower row that tables have. */
	return freedom < 40 ? 2.042 : freedom < 60 ? 2.021 : freedom < 120 ? 2.000 : 1.980;
}

static bool differs_by_welch(const struct kt_series *a, const struct kt_series *b)
{
	double n_a = (double)a->n, n_b = (double)b->n;
	double a2 = a->squares / (n_a - 1) / n_a, b2 = b->squares / (n_b - 1) / n_b;
	double freedom = (a2 + b2) * (a2 + b2) / (a2 * a2 / (n_a - 1) + b2 * b2 / (n_b - 1));

	/* Without any spread, as with the same seed in virtual time, each difference is real. */
	if (a2 + b2 <= 0)
		return a->mean != b->mean;
	return fabs(a->mean - b->mean) > critical_t(freedom) * sqrt(a2 + b2);
}

/*
 * If only chance decides, each of the ways in which the values can be divided between the two sides
 * is equally likely, and in two of them the ranges are apart. With more than 40 ways, that happens
 * in less than 5 % of cases.
 */
static bool differs_by_range(const struct kt_series *a, const struct kt_series *b)
{
	double ways = 1;

	for (size_t i = 1; i <= a->n && ways <= 40; i++)
		ways = ways * (double)(b->n + i) / (double)i;
	return ways > 40 && (a->max < b->min || b->max < a->min);
}

static bool is_chance(const struct kt_series *a, const struct kt_series *b)
{
	return a->n > 1 && b->n > 1 && !differs_by_welch(a, b) && !differs_by_range(a, b);
}

enum kt_change kt_judge(const struct kt_gate *gate, const struct kt_series *a,
			const struct kt_series *b)
{
	double change = b->mean - a->mean;
	bool unseen = gate->unseen && !a->max && b->max > 0;

	if (change == 0 || fabs(change) < gate->absolute ||
	    fabs(change) < gate->relative * fabs(a->mean))
		return KT_CHANGE_NONE;
	if (!unseen && is_chance(a, b))
		return KT_CHANGE_UNCLEAR;
	if (gate->better == KT_BETTER_UNKNOWN)
		return KT_CHANGE_DIFFERENT;
	return (change > 0) == (gate->better == KT_HIGHER) ? KT_CHANGE_BETTER : KT_CHANGE_WORSE;
}
