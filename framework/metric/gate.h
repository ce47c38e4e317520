/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A gate says in which direction a metric improves, and by how much it has to move before that
 * counts: by an absolute amount and by a share of the first value, both.
 */

#include <stdbool.h>
#include <stddef.h>

#include <ktest/perf.h>

#include "util/err.h"

struct kt_gate {
	const char *metric;    /* name, or a pattern of fnmatch(3); borrowed */
	enum kt_better better; /* UNKNOWN: it is shown, and never worse */
	double absolute;       /* in the unit of the metric */
	double relative;       /* share of the mean of A */
	bool unseen;           /* a value above 0 is worse by itself where A has none but 0 */
};

#define KT_GATE_RELATIVE 0.1 /* the default of @relative */

#define KT_METRIC_FAILED "failed" /* 1 for a run that failed, 0 for one that passed */
#define KT_METRIC_MIPS   "mips"   /* speed of a vCPU in virtual time; 0 in real time */

/*
 * Reads METRIC=higher|lower|none[:ABSOLUTE[:PERCENT%]], which is overwritten: the gate borrows its
 * beginning. Returns 0 or -EINVAL.
 */
int kt_gate_parse(char *text, struct kt_gate *ret_gate, struct kt_err *reterr);

/*
 * The gate of @metric: the last of the @n of @gates that fits, else the built-in one of that name,
 * else one without a direction.
 */
struct kt_gate kt_gate_find(const struct kt_gate *gates, size_t n, const char *metric);
