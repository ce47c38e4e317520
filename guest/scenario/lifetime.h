/* SPDX-License-Identifier: MIT */
#pragma once
/* The life of a cgroup that a step creates: it ends with the last step that names it. */

#include <ktest/scenario.h>

/*
 * Returns the index of the last step that names the cgroup @name, or one above or below it. The
 * search begins behind step @now, in which the cgroup exists, and ends at a step that creates
 * another cgroup of that name. Returns @now when no later step names it.
 */
unsigned int kt_lifetime_end(const struct kt_step *steps, unsigned int now, const char *name);
