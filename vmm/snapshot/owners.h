/* SPDX-License-Identifier: MIT */
#pragma once
/* Which BPF maps belong to which scheduler. */

#include <jansson.h>

#include "vmm/inspect/inspect.h"

/*
 * Sets the member "scheduler" of each map of @maps, which kt_maps_json() has made, that was loaded
 * with a scheduler of sched_ext: the address of its struct scx_sched. What cannot be found out is
 * left as it is.
 */
void kt_snapshot_mark_maps(struct kt_inspect *inspect, json_t *maps);
