/* SPDX-License-Identifier: MIT */
#pragma once
/* The timeout of sched_ext's watchdog, as tests expect it. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "guest/test/ctx.h"

#define WATCHDOG_MAX_MS 30000 /* SCX_WATCHDOG_MAX_TIMEOUT in kernel/sched/ext_internal.h */

/*
 * The timeout in effect for a test with .watchdog_ms = @watchdog_ms. It grows with the run's
 * multiplier (--timeout-multiplier) up to the kernel's limit. guest/scheduler/set.c computes the
 * same; this is apart from it so that a test fails if that is wrong.
 */
static inline int64_t scaled_watchdog_ms(const struct kt_ctx *ctx, int64_t watchdog_ms)
{
	int64_t ms = watchdog_ms * ctx->time_scale_percent / 100;

	return ms < WATCHDOG_MAX_MS ? ms : WATCHDOG_MAX_MS;
}

/*
 * The seconds for which a task was stalled, as the kernel's @message says; 0: it says nothing.
 * Either can notice first: the work of the watchdog may be among the tasks that are left waiting.
 */
static inline double stalled_s(const char *message)
{
	const char *seconds = strstr(message, "failed to run for ")
				      ?: strstr(message, "watchdog failed to check in for ");

	return seconds ? atof(strstr(seconds, " for ") + strlen(" for ")) : 0;
}
