/* SPDX-License-Identifier: MIT */
#pragma once
/* The division of tests into shards, as the options want it. */

#include <ktest/test.h>

#include "framework/options/options.h"

/*
 * Keeps of the *@n tests those that belong to the shard of @options, in their order. *@ret_timings
 * becomes a hash of the times by which was divided; 0 when it was not by time. -ENOMEM, or why
 * --timings cannot be read.
 */
int kt_division_take(const struct kt_test **tests, size_t *n, const struct kt_options *options,
		     uint64_t *ret_timings, struct kt_err *reterr);
