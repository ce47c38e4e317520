/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The cache directory: $XDG_CACHE_HOME/ktest, or ~/.cache/ktest. It holds everything that outlives
 * a run: kernels, initramfs images, templates, locks and the measurements of the host.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

/*
 * Creates the directory @sub below the cache ("" is the cache itself) and returns its path in
 * *@ret_path, to be freed. Errors: -ENOMEM and those of mkdir(2).
 */
int kt_cache_path(const char *sub, char **ret_path, struct kt_err *reterr);

/*
 * Takes the exclusive lock @name, a file in locks/ below the cache, and waits without a limit while
 * another process holds it. @on_wait, if not NULL, is called with @data once before the wait.
 * Closing *@ret_fd releases the lock, and so does the kernel when the process dies.
 */
int kt_cache_lock(const char *name, void (*on_wait)(void *data), void *data, int *ret_fd,
		  struct kt_err *reterr);

/*
 * Removes the stages in the directory @sub of the cache whose builders were killed. The lock that
 * guards an entry NAME is called @lock, or with @per_entry @lock followed by NAME; a stage whose
 * lock is held is in use and stays. Returns how many were removed; @ret_bytes, if not NULL, gets
 * their size on disk.
 */
unsigned int kt_cache_sweep(const char *sub, const char *lock, bool per_entry, uint64_t *ret_bytes);

/* The size on disk of a file, or of a directory with everything in it; 0 when it is not there. */
uint64_t kt_cache_disk_bytes(const char *path);

/*
 * Marks the directory @path as in use until *@ret_fd is closed, so that kt_cache_remove() leaves
 * it. Where the file system has no locks, or the directory cannot be opened, *@ret_fd is -1.
 */
void kt_cache_use(const char *path, int *ret_fd);

/*
 * Removes an entry of the cache. -EBUSY when a process uses it (kt_cache_use()); errno of
 * unlink(2).
 */
int kt_cache_remove(const char *path);

/* A stage of PATH is called PATH, this suffix, and six random characters. */
#define KT_CACHE_STAGE_SUFFIX ".stage-"

/*
 * Creates a stage: an empty directory beside @path, in which the caller builds what
 * kt_cache_publish() then moves to @path. *@ret_stage is its path, to be freed.
 *
 * Stages of @path that killed builders left behind are removed first. A stage that is still in use
 * would be removed too, so the caller must hold the lock that guards @path.
 */
int kt_cache_stage(const char *path, char **ret_stage, struct kt_err *reterr);

/* Moves @stage to @path in one step and removes what was at @path before. */
int kt_cache_publish(const char *stage, const char *path, struct kt_err *reterr);
