/* SPDX-License-Identifier: MIT */
#pragma once
/* "new DIR": a project of one's own, with a test that passes. */

#include "framework/cli/exit_status.h"

/*
 * Writes the files of docs/examples/new into @dir, which is created if it is not there, and prints
 * how they are built. Files that are there already are never written to. Returns
 * KT_EXIT_STATUS_OK, KT_EXIT_STATUS_USAGE when a file is there, or KT_EXIT_STATUS_HARNESS when one
 * cannot be written.
 */
enum kt_exit_status kt_new_command(const char *dir);
