/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The guest's own trace of a test (--trace-sched) as tracks: one for each of its CPUs, with who ran
 * and who woke whom, and one for what the test did: steps, and schedulers that came and went.
 */

#include "framework/report/guest_clock.h"
#include "framework/report/tracks.h"

struct kt_guest_trace {
	char *text;        /* lines, each with a NUL behind it; owned */
	size_t len;        /* bytes, the last NUL included */
	uint64_t began_ns; /* the guest's CLOCK_MONOTONIC when the test began */
	uint64_t lead_ns;  /* from the first event to then; 0: that came later */
};

#define KT_GUEST_TRACE_NULL ((struct kt_guest_trace){ .len = 0 })

/*
 * Takes over the text of ftrace @text, of @len bytes with a NUL behind. Returns 0, or -ENODATA if
 * it does not say when the test began: it is not whole, or there was no test.
 */
int kt_guest_trace_init(struct kt_guest_trace *trace, char *text, size_t len);
void kt_guest_trace_deinit(struct kt_guest_trace *trace);

/*
 * Adds the tracks, those of @process with threads from 1000 times its number on, until the file has
 * more than @max bytes. Returns how many events had no room, or -ENOMEM.
 */
int kt_guest_trace_put(const struct kt_guest_trace *trace, const struct kt_guest_clock *clock,
		       int process, size_t max, struct kt_tracks *tracks);
