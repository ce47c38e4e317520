/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The story of an attempt: that of the snapshots which were taken when its scheduler erred
 * (vmm/snapshot/story.h), and of how the guest saw the scheduler end.
 */

#include <jansson.h>

#include "framework/outcome/outcome.h"

/*
 * A story as of kt_story_make(), with two members more: "repeatable", whether the seed repeats it,
 * and "snapshots", the names of those that it is made of, an array. JSON's null when neither the
 * snapshots nor the guest know of a scheduler's end. NULL: out of memory.
 *
 * The end that the guest reports fills in what no snapshot has.
 */
json_t *kt_outcome_story(const struct kt_outcome *outcome);
