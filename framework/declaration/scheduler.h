/* SPDX-License-Identifier: MIT */
#pragma once
/* Validation of KT_SCHEDULER() declarations. */

#include <stdio.h>

#include <ktest/scheduler.h>

/* Writes one line for each fault of each declaration to @out. Returns the number of faults. */
unsigned int kt_schedulers_validate(const struct kt_scheduler_node *nodes, FILE *out);
