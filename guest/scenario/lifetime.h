/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The lifetime of a cgroup that a step creates: until the end of the last step that names it. The
 * guest tears cgroups down by this, and the host validates names by the same function.
 */

#include <ktest/scenario.h>

/*
 * The index of the last step, from @now on, that names the cgroup @name, one above it or one below
 * it. @now itself when no later step does. The search ends at a step that creates @name anew,
 * because that is another cgroup. @steps ends with .end.
 */
unsigned int kt_lifetime_end(const struct kt_step *steps, unsigned int now, const char *name);
