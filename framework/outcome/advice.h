/* SPDX-License-Identifier: MIT */
#pragma once
/* What a user can do when the host has run out of something that a run needs much of. */

#include "util/err.h"

/*
 * Appends to the text what the limit is and how to stay below it, if @code, a negative errno, says
 * that the host's resources for running machines are used up: -EMFILE, -ENFILE, -ENOMEM, or -EAGAIN
 * of fork(2). Returns @code.
 */
int kt_advise(struct kt_err *reterr, int code);

/* Likewise for a file system that is full, -ENOSPC or -EDQUOT, where the cache is. */
int kt_advise_cache(struct kt_err *reterr, int code);
