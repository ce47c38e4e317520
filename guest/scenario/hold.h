/* SPDX-License-Identifier: MIT */
#pragma once
/* Letting time pass while workers run. */

#include "guest/payload/set.h"
#include "guest/scenario/live.h"
#include "guest/scheduler/set.h"

/* What is looked after meanwhile. */
struct kt_hold_watch {
	struct kt_live *live;
	struct kt_scheduler_set *schedulers;
	const struct kt_payload_set *payloads; /* NULL: other children are left alone */
};

/*
 * Returns at @end_ns; earlier with -ECHILD when a worker ends, which none should, and with KT_FAILED when a
 * scheduler does that should not. Orphans are reaped, but not payloads and schedulers.
 */
int kt_hold_until(const struct kt_hold_watch *watch, uint64_t end_ns, struct kt_err *reterr);
