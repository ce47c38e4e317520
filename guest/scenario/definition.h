/* SPDX-License-Identifier: MIT */
#pragma once
/* Whether the definition of a cgroup makes sense; judged before a run on the host. */

#include <ktest/scenario.h>
#include <ktest/topology.h>

/*
 * Calls @fault with one sentence for each thing that is wrong with @def in a machine with
 * @topology: its works, limits, cpuset and memory nodes. Its name depends on the other cgroups and
 * is not judged.
 */
void kt_definition_judge(const struct kt_cgroup_def *def, const struct kt_topology *topology,
			 void (*fault)(void *data, const char *text), void *data);
