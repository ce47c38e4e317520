/* SPDX-License-Identifier: MIT */
#pragma once
/* The hold of a step: time passes, the workers run, and init watches. */

#include "guest/payload/set.h"
#include "guest/scenario/live.h"
#include "guest/scheduler/set.h"

/* What init watches during a hold. All is borrowed. */
struct kt_hold_watch {
	struct kt_live *live;                /* no worker may end */
	struct kt_scheduler_set *schedulers; /* the scheduler must not end unexpectedly */

	/*
	 * Payloads, which may end at any time. NULL in a .run function: children that the function
	 * has forked are its own to wait for, so nothing is reaped.
	 */
	const struct kt_payload_set *payloads;
};

/*
 * Returns 0 at @end_ns (CLOCK_MONOTONIC). Returns earlier: -ECHILD with a message when a worker
 * ends; KT_FAILED when the scheduler ends unexpectedly, which is recorded; another negative errno
 * with a message. With .payloads it reaps orphans meanwhile.
 */
int kt_hold_until(const struct kt_hold_watch *watch, uint64_t end_ns, struct kt_err *reterr);
