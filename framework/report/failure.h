/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What there is to know of a failure, for the sidecar's file TEST.failure.json and for the page of
 * --html. docs/results.md describes the file.
 */

#include "framework/report/report.h"

#define KT_FAILURE_SCHEMA  "ktest-failure"
#define KT_FAILURE_VERSION 1 /* to be raised when a member changes its meaning */

/* Bytes of snapshots in a file; of those that do not fit, it says where they are. */
#define KT_FAILURE_SNAPSHOTS_MAX (16u << 20)

/*
 * The latest attempt of @outcome that was a failure, be it that the last one passed; NULL: none
 * was.
 */
const struct kt_outcome *kt_report_failed_attempt(const struct kt_outcome *outcome);

/* The file about an attempt that failed, as text to be freed. NULL: out of memory. */
char *kt_report_failure_json(const struct kt_run_info *info, const struct kt_outcome *outcome);
