/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Definitions (struct kt_cgroup_def): what a test's author says about a cgroup and what runs in it.
 * This file judges a definition, on the host or in the guest, and sets it up in the guest.
 */

#include <ktest/scenario.h>
#include <ktest/topology.h>

#include "util/err.h"

struct kt_scenario; /* guest/scenario/state.h */

/* Returns 0, or -EINVAL with a message when no cgroup can have the name @name. */
int kt_definition_check_name(const char *name, struct kt_err *reterr);

/*
 * Judges @def by itself, on a machine of @topology: its name, works, limits, CPUs and memory nodes.
 * Calls @found with a message for each fault, until @found returns other than 0. Returns what
 * @found has returned last; 0 without a fault.
 *
 * Needs no guest: the host judges all definitions before it runs a test. Whether the name is taken
 * is the caller's to judge, because that changes from step to step.
 */
int kt_definition_judge(const struct kt_cgroup_def *def, const struct kt_topology *topology,
			int (*found)(void *data, const char *fault), void *data);

/*
 * Creates the cgroup of @def with its limits, and starts its workers and its payload. Returns 0 or
 * a negative errno with a message; what exists by then stays until teardown.
 */
int kt_definition_set_up(struct kt_scenario *scenario, const struct kt_cgroup_def *def,
			 struct kt_err *reterr);
