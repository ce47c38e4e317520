/* SPDX-License-Identifier: MIT */
#pragma once
/* The reporters that the options ask for, and the exit status that follows from what they got. */

#include "framework/cli/exit_status.h"
#include "framework/report/report.h"

/* Where text for people goes: standard output, unless another report is written there. */
FILE *kt_reporters_text_stream(const struct kt_options *options);

/* The link where the next reporter of the list goes. */
struct kt_reporter **kt_reporters_end_link(struct kt_reporter **list);

/*
 * Adds the console's, and what --tap, --junit, --gtest_output and --html ask for. Returns 0 or
 * -ENOMEM.
 */
int kt_reporters_make(const struct kt_options *options, struct kt_reporter **list);

/* What --bisect makes of an exit status. One of a signal stays: it ends the bisection. */
int kt_bisect_status(int status);

/*
 * The worst of what happened, in the order signal, failure, harness, report, skip. A test that
 * failed must not be hidden by trouble of the harness.
 */
int kt_reporters_exit_status(const struct kt_options *options, const struct kt_counts *counts,
			     int signal, bool report_failed);
