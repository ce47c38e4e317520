/* SPDX-License-Identifier: MIT */
#pragma once
/* The selection: the tests that the names, --skip and filters of the command line choose. */

#include <ktest/test.h>

#include "framework/options/options.h"

struct kt_selection {
	const struct kt_test **tests; /* in the order of registration; owned */
	size_t n;
	unsigned int n_filtered; /* tests of the binary that were not chosen */
};

/* Chooses among @tests by the options' names, skips and filter. Returns 0 or -ENOMEM. */
int kt_select(const struct kt_test_node *tests, const struct kt_options *options,
	      struct kt_selection *ret_selection);

/* Removes the tests that ask for real time, of which --explore finds nothing. Returns how many. */
unsigned int kt_selection_keep_virtual(struct kt_selection *selection);
void kt_selection_deinit(struct kt_selection *selection);

/* Whether @options choose a test called @name. */
bool kt_select_matches(const struct kt_options *options, const char *name);
