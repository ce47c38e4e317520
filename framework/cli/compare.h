/* SPDX-License-Identifier: MIT */
#pragma once
/* "ktests compare A B": what has changed between two sets of results. */

#include "framework/cli/exit_status.h"
#include "framework/options/options.h"

/*
 * Runs the command. Returns KT_EXIT_STATUS_OK; _FAILED when a metric got worse; _NO_TESTS when the
 * two have nothing in common; _USAGE for a gate that is none; _HARNESS for results that cannot be
 * read; _REPORT for a page that cannot be written.
 */
enum kt_exit_status kt_compare_command(const struct kt_options *options);
