/* SPDX-License-Identifier: MIT */
#pragma once
/* Holds: PID 1 lets time pass while workers run, and notices what must not happen meanwhile. */

#include "guest/payload/set.h"
#include "guest/scenario/live.h"
#include "guest/scheduler/set.h"

/* What a hold watches. All borrowed. */
struct kt_hold_watch {
	struct kt_live *live;
	struct kt_scheduler_set *schedulers;
	const struct kt_payload_set *payloads; /* NULL: children of other kinds are not reaped */
};

/*
 * Returns 0 at @end_ns (CLOCK_MONOTONIC). Returns early with -ECHILD when a worker ends, with
 * KT_FAILED when a scheduler ends that was not expected to, and with another negative errno on
 * failure. Reaps orphans; payloads and schedulers are reaped by their owners.
 */
int kt_hold_until(const struct kt_hold_watch *watch, uint64_t end_ns, struct kt_err *reterr);
