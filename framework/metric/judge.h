/* SPDX-License-Identifier: MIT */
#pragma once
/* What a difference between two series of values is worth. */

#include "framework/metric/gate.h"

/* What is kept of a series. */
struct kt_series {
	size_t n;
	double mean, min, max;
	double squares; /* sum of the squared distances from the mean */
};

#define KT_SERIES_NULL ((struct kt_series){ .n = 0 })

/* Adds a value, which must be finite. */
void kt_series_add(struct kt_series *series, double value);

enum kt_change {
	KT_CHANGE_NONE,      /* less than the gate lets pass */
	KT_CHANGE_UNCLEAR,   /* more, but repeats differ as much by chance */
	KT_CHANGE_DIFFERENT, /* more, of a metric without a direction */
	KT_CHANGE_BETTER,
	KT_CHANGE_WORSE,
	KT_N_CHANGES,
};

/* "same", "unclear", "differs", "better", "WORSE". */
const char *kt_change_name(enum kt_change change);

/*
 * Judges the change from @a to @b, of which each has a value. It counts when the means differ by
 * both amounts of the gate. Where both have repeats, chance must be ruled out, too: by the t-test
 * of Welch on the level of 5 %, or by ranges that do not meet and are unlikely not to.
 */
enum kt_change kt_judge(const struct kt_gate *gate, const struct kt_series *a,
			const struct kt_series *b);
