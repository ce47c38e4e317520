/* SPDX-License-Identifier: MIT */
#pragma once
/* Which tests a run is about. */

#include <ktest/test.h>

#include "framework/options/options.h"

struct kt_selection {
	const struct kt_test **tests; /* in the order of registration */
	size_t n;
	unsigned int n_filtered; /* tests that were left out */
};

/* Chooses among @tests by the options' names, skips and filter. */
int kt_select(const struct kt_test_node *tests, const struct kt_options *options,
	      struct kt_selection *ret_selection);

/* Leaves only the tests of @shard. */
void kt_selection_keep_shard(struct kt_selection *selection, const struct kt_shard *shard);
void kt_selection_deinit(struct kt_selection *selection);

/* Whether @options choose a test called @name. */
bool kt_select_matches(const struct kt_options *options, const char *name);
