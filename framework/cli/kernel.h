/* SPDX-License-Identifier: MIT */
#pragma once
/* ktests kernel fetch|list|path. */

#include "framework/options/options.h"

/* Runs the command and returns the exit status. */
int kt_kernel_command(const struct kt_options *options);
