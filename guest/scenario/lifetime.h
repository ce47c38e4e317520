/* SPDX-License-Identifier: MIT */
#pragma once
/* How long a step's cgroup lives: until the end of the last step that names it. */

#include <ktest/scenario.h>

/*
 * The index of the last step, from @now on, that names the cgroup @name or one above or below it,
 * seen from step @now, in which it exists; @now itself when none does. A step that creates it anew
 * ends the search: that one is another cgroup.
 */
unsigned int kt_lifetime_end(const struct kt_step *steps, unsigned int now, const char *name);
