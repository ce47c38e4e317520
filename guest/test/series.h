/* SPDX-License-Identifier: MIT */
#pragma once
/* Judges a series of values by a pattern (ktest/series.h). */

#include <stdbool.h>
#include <stddef.h>

#include <ktest/series.h>

struct kt_series_point {
	const char *name; /* of the snapshot; borrowed */
	double ms;        /* since the test began */
	double value;
	const char *fault; /* why there is no value; NULL: there is one. Borrowed */
};

enum kt_series_result {
	KT_SERIES_HOLDS,
	KT_SERIES_FAILS,
	KT_SERIES_TOO_FEW, /* values, to say anything */
};

struct kt_series_verdict {
	enum kt_series_result result;
	size_t at;      /* the point at which it fails */
	char text[400]; /* why; "" when it holds */
};

/*
 * @others: of KT_PATTERN_RATIO, the points of the other view, @n of them in the same order; else
 * NULL.
 */
struct kt_series_verdict kt_series_judge(const struct kt_pattern *pattern,
					 const struct kt_series_point *points,
					 const struct kt_series_point *others, size_t n);

/* Whether a point without a value fails the pattern, instead of being left out. */
bool kt_pattern_is_strict(const struct kt_pattern *pattern);

/* "should always be more than before"; returns @text. */
const char *kt_pattern_text(const struct kt_pattern *pattern, char *text, size_t room);
