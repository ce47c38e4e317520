/* SPDX-License-Identifier: MIT */
#pragma once
/* Letting time pass while workers run. */

#include "guest/live.h"
#include "guest/payload_set.h"

/*
 * Returns at @end_ns; earlier with -ECHILD when a worker ends, which none should. Orphans are reaped, but not
 * @payloads; with NULL other children are left alone.
 */
int kt_hold_until(struct kt_live *live, const struct kt_payload_set *payloads, uint64_t end_ns,
		  struct kt_err *reterr);
