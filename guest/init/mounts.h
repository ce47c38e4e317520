/* SPDX-License-Identifier: MIT */
#pragma once
/* Mounts the file systems that a guest needs. */

#include "util/err.h"

/*
 * Mounts all of them, and links /dev/fd and the standard streams. File systems that a kernel may
 * lack are skipped. 0 or a negative errno; the error text names the file system.
 */
int kt_mounts_setup(struct kt_err *reterr);
