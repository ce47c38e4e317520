/* SPDX-License-Identifier: MIT */
#pragma once
/* --list: prints the selected tests, for people and for other test runners. */

#include <stdio.h>

#include "framework/options/options.h"
#include "framework/select/select.h"

/*
 * Writes the tests of @selection to @out in @format. Returns 0, -ENOMEM, or the negative errno of
 * the write.
 */
int kt_list(const struct kt_selection *selection, enum kt_list_format format, FILE *out,
	    struct kt_err *reterr);

/*
 * Writes to @out what has left out how many tests; nothing if nothing has. @verbose: also each of
 * them with its cause, and the filters as they were read.
 */
void kt_list_left_out(const struct kt_selection *selection, bool verbose, FILE *out);
