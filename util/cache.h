/* SPDX-License-Identifier: MIT */
#pragma once
/* The cache: $XDG_CACHE_HOME/ktest, or ~/.cache/ktest. All files outside a test's life are here. */

#include "util/err.h"

/* The path of @sub ("" for the cache itself) below the cache, created; to be freed. */
int kt_cache_path(const char *sub, char **ret_path, struct kt_err *reterr);

/*
 * Takes the lock @name below the cache, waiting for whoever holds it; released by closing
 * *@ret_fd, or by the kernel when the process dies. @on_wait, if not NULL, is called with @data
 * before waiting.
 */
int kt_cache_lock(const char *name, void (*on_wait)(void *data), void *data, int *ret_fd,
		  struct kt_err *reterr);

/* What follows the name of the thing in the name of a stage. */
#define KT_CACHE_STAGE_SUFFIX ".stage-"

/*
 * A new directory beside @path for building what will be @path: to be filled, then published.
 * Others that were left behind by killed builders are removed first, so the caller must hold the
 * lock that guards @path. The result is to be freed.
 */
int kt_cache_stage(const char *path, char **ret_stage, struct kt_err *reterr);

/* Makes @stage appear as @path in one step, in place of what was there. */
int kt_cache_publish(const char *stage, const char *path, struct kt_err *reterr);
