/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Monotonic time in nanoseconds. A deadline is a point on CLOCK_MONOTONIC, not a duration. The time
 * for which this process was suspended is left out (kt_clock_skip()).
 */

#include <stdint.h>
#include <time.h>

#define KT_NSEC_PER_SEC  UINT64_C(1000000000)
#define KT_NSEC_PER_MSEC UINT64_C(1000000)
#define KT_NSEC_PER_USEC UINT64_C(1000)
#define KT_NSEC_NEVER    UINT64_MAX /* the deadline that never comes */

extern uint64_t kt_clock_skipped_ns; /* private */

static inline uint64_t kt_now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * KT_NSEC_PER_SEC + (uint64_t)ts.tv_nsec - kt_clock_skipped_ns;
}

/* The date: nanoseconds since 1970-01-01 UTC. */
static inline uint64_t kt_realtime_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * KT_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/*
 * The CPU time of this thread. Limits on effort count it: a busy host, which gives the thread no
 * CPU, uses up none of them.
 */
static inline uint64_t kt_thread_cpu_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * KT_NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/*
 * Sets the clock of this process, and of those that it forks later, back by @ns, for which it was
 * suspended: every deadline moves by as much. The process has one thread, on the host.
 */
void kt_clock_skip(uint64_t ns);

/* Nanoseconds left until @deadline_ns; 0 when it has passed. */
static inline uint64_t kt_left_ns(uint64_t deadline_ns)
{
	uint64_t now = kt_now_ns();

	return now < deadline_ns ? deadline_ns - now : 0;
}

/*
 * Milliseconds left, as poll(2) takes them: rounded up, so that the deadline has passed when the
 * wait ends, and -1 (wait without a limit) for KT_NSEC_NEVER.
 */
static inline int kt_left_ms(uint64_t deadline_ns)
{
	uint64_t ms;

	if (deadline_ns == KT_NSEC_NEVER)
		return -1;
	ms = (kt_left_ns(deadline_ns) + KT_NSEC_PER_MSEC - 1) / KT_NSEC_PER_MSEC;
	return ms > INT32_MAX ? INT32_MAX : (int)ms;
}

/* The same point on the clock for system calls that take an absolute struct timespec. */
static inline struct timespec kt_timespec(uint64_t ns)
{
	return (struct timespec){
		.tv_sec = (time_t)(ns / KT_NSEC_PER_SEC),
		.tv_nsec = (long)(ns % KT_NSEC_PER_SEC),
	};
}
