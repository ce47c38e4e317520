/* SPDX-License-Identifier: MIT */
#pragma once
/* The file systems that a guest needs. */

#include "util/err.h"

/* Mounts all of them; the error names the one that failed. What a kernel may lack is skipped. */
int kt_mounts_setup(struct kt_err *reterr);
