/* SPDX-License-Identifier: MIT */
#pragma once
/* The time line of a run on the page of --html: a row for each slot, a bar for each attempt. */

#include "framework/report/report.h"

struct kt_timeline {
	uint64_t began_ns; /* CLOCK_MONOTONIC */
	unsigned int n_slots;
	unsigned int n_left; /* attempts for which there was no room */
	char *bars;          /* belongs to @out */
	size_t bars_len;
	FILE *out; /* a memory stream into @bars; NULL: out of memory */
};

/* The run begins now. kt_timeline_deinit() must follow. Returns 0 or -ENOMEM. */
int kt_timeline_init(struct kt_timeline *timeline);
void kt_timeline_deinit(struct kt_timeline *timeline);

/* Adds an attempt that has ended now; nothing of a test that had no machine. */
void kt_timeline_add(struct kt_timeline *timeline, const struct kt_outcome *outcome);

/* Writes the element, which is as wide as the run was long, @elapsed_ns. */
void kt_timeline_put(const struct kt_timeline *timeline, FILE *out, uint64_t elapsed_ns);
