/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where the time of a guest lies on the host's clock. The two meet where the test has begun and
 * where its result has come; a guest in virtual time has a clock of its own, which is stretched
 * between the two: the order and the proportions are right.
 */

#include <stdint.h>

#include "framework/outcome/outcome.h"
#include "framework/report/tracks.h"

struct kt_guest_clock {
	struct kt_span run; /* the phase; nothing lies outside */
	uint64_t zero_ns;   /* in it: the beginning of the test */
	double scale;       /* the host's nanoseconds in one of the guest; 1 in real time */
};

/*
 * The clock of an attempt whose phase "run" was @run. @lead_ns: of the guest's time before the test
 * began, that has to lie in the phase, too.
 */
struct kt_guest_clock kt_guest_clock_of(const struct kt_outcome *outcome, struct kt_span run,
					uint64_t lead_ns);

/* The point that the guest's clock has @since_ns after the test began; negative: before. */
uint64_t kt_guest_clock_place(const struct kt_guest_clock *clock, int64_t since_ns);
