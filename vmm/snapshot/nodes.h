/* SPDX-License-Identifier: MIT */
#pragma once
/* The memory of each NUMA node. */

#include <jansson.h>

#include "util/err.h"
#include "vmm/inspect/walk.h"

/*
 * An array with an object for each node that has memory: its pages, those that are free, and the
 * zones they are in. The kernel folds the numbers of CPUs into those of a zone now and then, so
 * "free" may be off by some pages for each CPU.
 */
int kt_nodes_json(struct kt_walk *walk, json_t **ret_json, struct kt_err *reterr);
