/* SPDX-License-Identifier: MIT */
#pragma once
/* "ktests inspect": typed values of a kernel as text or JSON. */

#include <stddef.h>

#include "framework/options/options.h"
#include "vmm/inspect/inspect.h"

/* Runs the command; returns the exit status. Values go to standard output, errors to stderr. */
int kt_inspect_command(const struct kt_options *options);

/*
 * Prints the values at the options' paths, or what was found of the kernel when there are none.
 * Returns how many of the paths could not be shown; each has its error on stderr.
 */
size_t kt_inspect_print(struct kt_inspect *inspect, const struct kt_options *options);

/* Prints the value at a path, or what a word says, as text. */
int kt_inspect_print_one(struct kt_inspect *inspect, const struct kt_options *options,
			 const char *path, struct kt_err *reterr);
