/* SPDX-License-Identifier: MIT */
#pragma once
/* The numbers in a program's JSON output, by dotted names. The text is anybody's. */

#include <stdbool.h>
#include <stddef.h>

#include <ktest/payload.h>

#include "util/err.h"

#define KT_METRICS_MAX      10000u /* those beyond are dropped, as are those that are deeper */
#define KT_METRIC_DEPTH_MAX 32u    /* or have longer names */
#define KT_METRIC_NAME_MAX  500u

struct kt_metrics {
	struct kt_metric_value *at; /* in the order of the text */
	size_t n;
	size_t n_dropped;
};

#define KT_METRICS_NULL ((struct kt_metrics){ .n = 0 })

void kt_metrics_deinit(struct kt_metrics *metrics);

/*
 * Reads the first JSON object or array of @text that fills the rest of its line; what comes before is
 * skipped. Numbers and booleans count, by the way to them: "jobs.0.read.iops". Of two with one name the
 * last counts, at the place of the first. -ENODATA when there is no such JSON, with the reason why the first
 * attempt was none.
 */
int kt_metrics_parse(const char *text, size_t len, struct kt_metrics *ret_metrics,
		     struct kt_err *reterr);

/* NULL when there is none of that name. */
const struct kt_metric_value *kt_metrics_find(const struct kt_metric_value *at, size_t n,
					      const char *name);
