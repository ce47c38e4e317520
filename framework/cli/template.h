/* SPDX-License-Identifier: MIT */
#pragma once
/* ktests template list|clear. */

#include "framework/options/options.h"

/* Runs the command and returns the exit status. */
int kt_template_command(const struct kt_options *options);
