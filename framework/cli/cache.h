/* SPDX-License-Identifier: MIT */
#pragma once
/* "ktests cache list" and "ktests cache prune". */

#include "framework/options/options.h"

/* Returns the exit status. */
int kt_cache_command(const struct kt_options *options);
