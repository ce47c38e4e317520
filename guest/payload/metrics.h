/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Metrics: the numbers in the JSON output of a payload, such as fio's IOPS, each with a dotted
 * name.
 *
 * The payload's program measures and names them. Do not confuse them with
 *   telemetry (guest/worker/telemetry.h): what a worker measures about itself while it works;
 *   a report (guest/worker/report.h): what a worker says at its end, from its telemetry;
 *   a record (guest/scenario/record.h): statistics of each cgroup in each step of a scenario.
 */

#include <stdbool.h>
#include <stddef.h>

#include <ktest/payload.h>

#include "util/err.h"

/* Limits of what is kept from one text. Numbers beyond a limit are dropped and counted. */
#define KT_METRICS_MAX      10000u /* metrics */
#define KT_METRIC_DEPTH_MAX 32u    /* objects and arrays around a number */
#define KT_METRIC_NAME_MAX  500u   /* characters of a dotted name */

/* Owns the array and the names in it. */
struct kt_metrics {
	struct kt_metric_value *at; /* in the order of the text; NULL when there are none */
	size_t n;
	size_t n_dropped; /* numbers, objects and arrays that exceeded a limit */
};

#define KT_METRICS_NULL ((struct kt_metrics){ .n = 0 })

/* Frees the array and the names, and leaves @metrics empty. */
void kt_metrics_deinit(struct kt_metrics *metrics);

/*
 * Reads the metrics from the first JSON object or array in @text that is followed by the end of the
 * line. Text before it is skipped.
 *
 * Numbers become metrics, and booleans as 0 and 1. The name of a metric is the path to it, member
 * names and array indices with dots between them: "jobs.0.read.iops". If a name occurs twice, the
 * last value counts, at the place of the first.
 *
 * Returns 0, also when the JSON holds no number. -ENODATA when the text has no such JSON; the error
 * text says why it does not begin at the first bracket. -ENOMEM.
 */
int kt_metrics_parse(const char *text, size_t len, struct kt_metrics *ret_metrics,
		     struct kt_err *reterr);

/* Finds a metric in an array of @n by its whole name. Returns NULL when there is none. */
const struct kt_metric_value *kt_metrics_find(const struct kt_metric_value *at, size_t n,
					      const char *name);
