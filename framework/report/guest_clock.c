/* SPDX-License-Identifier: MIT */
#include "framework/report/guest_clock.h"

/* All times of the guest come from it and can be any number; nothing is placed outside the run. */

struct kt_guest_clock kt_guest_clock_of(const struct kt_outcome *outcome, struct kt_span run,
					uint64_t lead_ns)
{
	const struct kt_result *result = &outcome->result;
	uint64_t whole_ns = KT_MAX(result->since_begin_ns, result->duration_ns);
	uint64_t run_ns = run.end_ns - run.begin_ns;
	struct kt_guest_clock clock = { .run = run, .zero_ns = run.begin_ns, .scale = 1 };

	if (outcome->mips && whole_ns) {
		clock.scale = (double)run_ns / ((double)whole_ns + (double)lead_ns);
		clock.zero_ns += (uint64_t)(clock.scale * (double)lead_ns);
	} else if (!outcome->mips && result->since_begin_ns) {
		/* The result was on its way for less than the guest had waited to begin. */
		clock.zero_ns = run.end_ns - KT_MIN(result->since_begin_ns, run_ns);
	}
	return clock;
}

uint64_t kt_guest_clock_place(const struct kt_guest_clock *clock, int64_t since_ns)
{
	double at_ns = (double)since_ns * clock->scale;

	if (at_ns <= -(double)(clock->zero_ns - clock->run.begin_ns))
		return clock->run.begin_ns;
	if (at_ns >= (double)(clock->run.end_ns - clock->zero_ns))
		return clock->run.end_ns;
	return clock->zero_ns + (uint64_t)(int64_t)at_ns;
}
