/* SPDX-License-Identifier: MIT */
#pragma once
/* Checks the declarations of schedulers, before any file or kernel is looked at. */

#include <stdio.h>

#include <ktest/scheduler.h>

/* Writes a line to @out for each fault of the declarations in @nodes; returns their number. */
unsigned int kt_schedulers_validate(const struct kt_scheduler_node *nodes, FILE *out);
