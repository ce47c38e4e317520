/* SPDX-License-Identifier: MIT */
#pragma once
/* Which overrides of the project file each test has. */

#include "framework/options/options.h"
#include "framework/options/override.h"

/*
 * Decides the rules of @options for the @n tests. Of several rules that choose a test, the first
 * one with a member decides that member. Options that the environment or the command line has given
 * win over rules. Returns 0; -EINVAL for a filter that is wrong or asks for kernels; -ENOMEM.
 */
int kt_overrides_init(struct kt_overrides *overrides, const struct kt_options *options,
		      const struct kt_test *const *tests, size_t n, struct kt_err *reterr);
void kt_overrides_deinit(struct kt_overrides *overrides);
