/* SPDX-License-Identifier: MIT */
#pragma once
/* A struct kt_cgroup_def: what a test's author writes about a cgroup and what runs in it. */

#include <ktest/scenario.h>

#include "util/err.h"

struct kt_scenario; /* guest/scenario/state.h */

/*
 * Creates what @def says: the cgroup, its limits, its workers, its payload. Returns 0 or a negative errno with a
 * message; what has been created by then stays until teardown.
 */
int kt_definition_set_up(struct kt_scenario *scenario, const struct kt_cgroup_def *def,
			 struct kt_err *reterr);
