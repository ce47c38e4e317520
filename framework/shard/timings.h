/* SPDX-License-Identifier: MIT */
#pragma once
/* How long tests took in earlier runs, from the records of their shards. */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* What "ktests merge -o DIR" writes to DIR: a record of all shards as one. */
#define KT_TIMINGS_FILE "timings.json"

struct kt_timing {
	char *test;
	uint64_t ms;
};

struct kt_timings {
	struct kt_timing *at; /* sorted by test and time */
	size_t n;
};

#define KT_TIMINGS_NULL ((struct kt_timings){ .n = 0 })

void kt_timings_deinit(struct kt_timings *timings);

/*
 * Reads @path: a record, or a directory with records, its own timings.json among them. -ENOENT when
 * a directory has none; -EBADMSG for a damaged one. The error names the file.
 */
int kt_timings_read(const char *path, struct kt_timings *ret_timings, struct kt_err *reterr);

/* The median of a test's times; -1 when there is none. */
int64_t kt_timings_median_ms(const struct kt_timings *timings, const char *test);
