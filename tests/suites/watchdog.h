/* SPDX-License-Identifier: MIT */
#pragma once
/* The time of sched_ext's watchdog. */

#include <stdint.h>

#include "guest/test/ctx.h"

#define WATCHDOG_MAX_MS 30000 /* SCX_WATCHDOG_MAX_TIMEOUT in kernel/sched/ext_internal.h */

/* That of a test's .watchdog_ms: longer with --timeout-multiplier (guest/scheduler/set.c). */
static inline int64_t scaled_watchdog_ms(const struct kt_ctx *ctx, int64_t watchdog_ms)
{
	int64_t ms = watchdog_ms * ctx->time_scale_percent / 100;

	return ms < WATCHDOG_MAX_MS ? ms : WATCHDOG_MAX_MS;
}
