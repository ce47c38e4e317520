/* SPDX-License-Identifier: MIT */
#pragma once
/* A struct kt_cgroup_def: what a test's author writes about a cgroup and what runs in it. */

#include <ktest/scenario.h>
#include <ktest/topology.h>

#include "util/err.h"

struct kt_scenario; /* guest/scenario/state.h */

/* -EINVAL with a message when no cgroup can have that name; 0 when one can. */
int kt_definition_check_name(const char *name, struct kt_err *reterr);

/*
 * Judges @def by itself, on a machine of @topology: its name, its works, its limits, its CPUs and its memory nodes.
 * Calls @found with a message for each fault, until @found returns other than 0, and returns that; 0 when @def has
 * no fault or @found has returned 0 for each. It needs no guest: the host judges every test with it before it runs any.
 * Whether the name is taken is not judged here, because that depends on what exists at the time.
 */
int kt_definition_judge(const struct kt_cgroup_def *def, const struct kt_topology *topology,
			int (*found)(void *data, const char *fault), void *data);

/*
 * Creates what @def says: the cgroup, its limits, its workers, its payload. Returns 0 or a negative errno with a
 * message; what has been created by then stays until teardown.
 */
int kt_definition_set_up(struct kt_scenario *scenario, const struct kt_cgroup_def *def,
			 struct kt_err *reterr);
