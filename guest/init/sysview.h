/* SPDX-License-Identifier: MIT */
#pragma once
/* What the guest sees of itself: CPUs and their caches, the kernel's addresses. */

#include "util/err.h"
#include "wire/hello.h"

/* Fills everything of a hello. */
int kt_sysview_hello(struct kt_hello *ret_hello, struct kt_err *reterr);
