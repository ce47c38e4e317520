/* SPDX-License-Identifier: MIT */
#pragma once
/* The runner: which attempts go when, until all have ended. */

#include "framework/report/report.h"
#include "framework/select/plan.h"
#include "framework/setup/setup.h"

/*
 * Runs the tests of the plan and reports them. *@ret_signal is the signal that ended the run early,
 * or 0. @reporters have been begun.
 */
int kt_runner_run(const struct kt_plan *plan, struct kt_setup *setup, struct kt_reporter *reporters,
		  bool color, struct kt_counts *ret_counts, int *ret_signal, struct kt_err *reterr);
