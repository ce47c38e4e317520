/* SPDX-License-Identifier: MIT */
#pragma once
/* The runner: runs the tests of a plan, several at a time, until all have ended. */

#include "framework/report/report.h"
#include "framework/select/plan.h"
#include "framework/setup/setup.h"

/*
 * Runs the tests of @plan on all kernels of @setup, and reports each outcome to @reporters, which
 * have begun; the caller ends them.
 *
 * *@ret_counts and *@ret_signal are set in every case: what was counted, and the signal that
 * ended the run early, or 0. Blocks SIGINT, SIGTERM and SIGHUP, and leaves them blocked. Returns
 * 0, whatever the verdicts are, or a negative errno when the run itself could not go on.
 */
int kt_runner_run(const struct kt_plan *plan, struct kt_setup *setup, struct kt_reporter *reporters,
		  struct kt_counts *ret_counts, int *ret_signal, struct kt_err *reterr);
