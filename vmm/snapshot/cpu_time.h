/* SPDX-License-Identifier: MIT */
#pragma once
/* What each CPU has spent its time with, and how many interrupts it has had. */

#include <jansson.h>

#include "util/err.h"
#include "vmm/inspect/walk.h"

/*
 * An array with an object for each CPU: the times of /proc/stat in ns (kernel_cpustat), "irqs" and
 * "softirqs" (kstat). A number that a kernel does not have is left out.
 */
int kt_cpu_time_json(struct kt_walk *walk, json_t **ret_json, struct kt_err *reterr);
