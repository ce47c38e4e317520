/* SPDX-License-Identifier: MIT */
#pragma once
/* "ktests open": what is in a capsule, by paths, as a core, or as a machine that can go on. */

#include "framework/options/options.h"

/* Runs the command; returns the exit status. */
int kt_open_command(const char *program, const struct kt_options *options);
