/* SPDX-License-Identifier: MIT */
#pragma once
/* What the guest sees of itself: CPUs and their caches, its kernel, its binary. */

#include "util/err.h"
#include "wire/hello.h"

/*
 * Fills in all of *@ret_hello; see wire/hello.h. 0, or an error when the topology cannot be read.
 */
int kt_sysview_hello(struct kt_hello *ret_hello, struct kt_err *reterr);
