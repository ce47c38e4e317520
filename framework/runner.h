/* SPDX-License-Identifier: MIT */
#pragma once
/* The runner: which attempts go when, one session process each, until all have ended. */

#include "framework/report.h"
#include "framework/select.h"
#include "framework/session.h"

/* Exit statuses; see docs/running.md. */
enum kt_exit_status {
	KT_STATUS_OK = 0,
	KT_STATUS_USAGE = 2,
	KT_STATUS_NO_TESTS = 4,
	KT_STATUS_SKIPPED = 77,
	KT_STATUS_HARNESS = 99,
	KT_STATUS_FAILED = 100,
	KT_STATUS_SETUP = 105,
	KT_STATUS_REPORT = 110,
	KT_STATUS_SIGNAL = 128,
};

/*
 * Runs the selected tests and reports them. *@ret_signal is the signal that ended the run early, or
 * 0. @reporters have been begun.
 */
int kt_runner_run(const struct kt_selection *selection, const struct kt_options *options,
		  const struct kt_session_config *config, struct kt_reporter *reporters, bool color,
		  struct kt_counts *ret_counts, int *ret_signal, struct kt_err *reterr);
