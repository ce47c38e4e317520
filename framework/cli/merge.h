/* SPDX-License-Identifier: MIT */
#pragma once
/* "ktests merge DIR...": the shards of a run become one, with one report of each form. */

#include "framework/cli/exit_status.h"
#include "framework/options/options.h"

/*
 * Runs the command; @program is argv[0]. Returns what a run of all the tests would return;
 * KT_EXIT_STATUS_HARNESS when the shards are not proved to be one whole run: then nothing is
 * written; _REPORT for a report that cannot be written.
 */
int kt_merge_command(const char *program, const struct kt_options *options);
