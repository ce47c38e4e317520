/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where a template comes from. A run in virtual time is a function of the seed and of the moment at
 * which its machine was saved. That moment follows from the program and the kernel alone if the
 * template was made by a boot of this very program, and has no file that only other tests need.
 */

#include "framework/setup/setup.h"

/* Whether the test's template must be such a one: see enum kt_template_choice. */
bool kt_origin_must_be_own(const struct kt_setup *setup, const struct kt_test *test);

/* Whether @template is such a one, with the packages that the test's group puts into it. */
bool kt_origin_is_own(const struct kt_setup *setup, struct kt_packages packages,
		      const struct kt_template *template);
