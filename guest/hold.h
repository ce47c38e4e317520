/* SPDX-License-Identifier: MIT */
#pragma once
/* Letting time pass while workers run. */

#include "guest/live.h"

/*
 * Returns at @end_ns; earlier with -ECHILD when a worker ends, which none should. @reap: the end of other
 * children is PID 1's business; else they are left alone.
 */
int kt_hold_until(struct kt_live *live, uint64_t end_ns, bool reap, struct kt_err *reterr);
