/* SPDX-License-Identifier: MIT */
#pragma once
/* "ktests replay [RECORD]": the reports of an earlier run, from its record. */

#include "framework/options/options.h"

/*
 * Runs the command; @program is argv[0]. Returns what the run returned, as far as its record goes;
 * that of an early end for one that did not come to its end; KT_EXIT_STATUS_USAGE without a record.
 */
int kt_replay_command(const char *program, const struct kt_options *options);
