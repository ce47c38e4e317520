/* SPDX-License-Identifier: MIT */
#pragma once
/* Two sets of samples side by side. */

#include <stdio.h>

#include "framework/compare/samples.h"
#include "framework/metric/judge.h"

/* A metric of a test. The texts are borrowed from the samples. */
struct kt_compare_row {
	const char *test;
	const char *metric;
	struct kt_gate gate;
	struct kt_series a, b; /* empty where the other side alone has the metric */
	enum kt_change change; /* NONE then */
};

struct kt_comparison {
	struct kt_compare_row *rows; /* by test and metric */
	size_t n;
	size_t n_common;                      /* rows with values on both sides */
	unsigned int by_change[KT_N_CHANGES]; /* rows on both sides, by their change */
	const char *a, *b;                    /* names of the two sides, for people; borrowed */
	const struct kt_samples *in_a, *in_b; /* borrowed */
};

#define KT_COMPARISON_NULL ((struct kt_comparison){ .n = 0 })

/*
 * Compares sorted samples, which must outlive the comparison, by the @n_gates of @gates. Returns 0
 * or -ENOMEM.
 */
int kt_compare(const struct kt_samples *a, const struct kt_samples *b, const struct kt_gate *gates,
	       size_t n_gates, struct kt_comparison *ret_comparison);

void kt_comparison_deinit(struct kt_comparison *comparison);

/*
 * Write the comparison: as text with the rows that changed, and with the others if @all; and as a
 * page of HTML with all rows, which loads nothing.
 */
void kt_comparison_put_text(FILE *out, const struct kt_comparison *comparison, bool all);
void kt_comparison_put_html(FILE *out, const struct kt_comparison *comparison);
