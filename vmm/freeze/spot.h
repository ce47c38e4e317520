/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a watch is to be set on: a path of vmm/inspect/path.h, or a place in a BPF map, which no
 * path leads to:
 *
 *	spot = path  |  "map(" NAME ")" ("[" KEY "]")? ("[cpu " NUMBER "]")? steps
 *
 * NAME is as for kt_maps_find(). Of a data section the first step is a variable: "map(.bss).stall".
 * KEY is the index of an array, or the number that is the key of another map.
 */

#include "vmm/inspect/inspect.h"
#include "vmm/watch.h"

/*
 * Finds the address of @spot, and if watch->len is 0 the length, and sign and bits of the value. A
 * condition needs a number then. A symbol without a type can be watched if the length is given.
 * Returns 0 or a negative errno.
 */
int kt_spot_find(struct kt_inspect *inspect, const char *spot, struct kt_watch *watch,
		 struct kt_err *reterr);
