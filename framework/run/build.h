/* SPDX-License-Identifier: MIT */
#pragma once
/* Building the template of a group, as a job of the run. */

#include "framework/run/run.h"

/*
 * Starts the job that builds the template of @group, which is MISSING. The group is BUILDING
 * until the job ends, and READY, COLD or FAILED then.
 *
 * False when nothing has changed: the budget has no room, or memory is short (a fault of the
 * run). If the job cannot start for another reason, the group becomes COLD at once and the result
 * is true.
 */
bool kt_build_start(struct kt_run *run, struct kt_group *group);
