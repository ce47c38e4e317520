/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Decisions about captures: which is taken, when, and what they amount to at the end. Nothing here
 * captures; the owner does what a function says and tells what came of it.
 *
 * One capture is in flight at a time, whoever wants it: the thread that owns the machine takes it
 * from begin to end while no vCPU runs, so nothing can ask for another one meanwhile. Captures on
 * request have no state here: they are taken before an error, and after it, all the same.
 */

#include <stdbool.h>
#include <stdint.h>

/* ---- The captures of an error ----
 *
 * Idle -> TookEarly -> Done. The early capture, if it is wanted, is taken when a task has waited
 * for half of the watchdog's time; the late one when the error is claimed. Both are wanted once.
 */
enum kt_dual_state {
	KT_DUAL_IDLE,
	KT_DUAL_TOOK_EARLY, /* waits for the error */
	KT_DUAL_DONE,       /* the late capture was taken, or cannot be any more */
};

enum kt_dual_event {
	KT_DUAL_WAITS,   /* a task has waited for half of the watchdog's time */
	KT_DUAL_CLAIMED, /* an error was claimed */
	KT_DUAL_REFUSED, /* it was, but no capture can be taken of it */
	KT_DUAL_ENDED,   /* the test is over */
	KT_DUAL_N_EVENTS,
};

enum kt_dual_act {
	KT_DUAL_NOTHING,
	KT_DUAL_TAKE_EARLY,
	KT_DUAL_TAKE_LATE,
};

/* What came of a capture. */
enum kt_capture_quality {
	KT_CAPTURE_NONE,     /* it was not taken */
	KT_CAPTURE_DEGRADED, /* parts of it could not be read */
	KT_CAPTURE_WHOLE,
};

struct kt_dual {
	bool wants_early;
	enum kt_dual_state state;
	enum kt_capture_quality early, late;
	bool suppressed; /* an error was claimed, of which no capture could be taken */
};

/* Says what @event calls for, and moves the state. Events of the past change nothing any more. */
enum kt_dual_act kt_dual_on(struct kt_dual *dual, enum kt_dual_event event);

/* Tells what came of the capture that kt_dual_on() has called for. */
void kt_dual_took(struct kt_dual *dual, enum kt_dual_act act, enum kt_capture_quality quality);

/* What the captures of a test amount to. */
enum kt_dual_schema {
	KT_DUAL_SCHEMA_NONE,   /* no error, no early capture */
	KT_DUAL_SCHEMA_SINGLE, /* the late capture alone */
	KT_DUAL_SCHEMA_DUAL,
	KT_DUAL_SCHEMA_LATE_DEGRADED,               /* the late one alone, with parts missing */
	KT_DUAL_SCHEMA_EARLY_DEGRADED,              /* both, parts of the early one missing */
	KT_DUAL_SCHEMA_EARLY_PRE_LATE_DEGRADED,     /* both, parts of the late one missing */
	KT_DUAL_SCHEMA_EARLY_ONLY_LATE_SUPPRESSED,  /* the error had no capture */
	KT_DUAL_SCHEMA_EARLY_ONLY_LATE_NEVER_FIRED, /* there was no error */
	KT_DUAL_N_SCHEMAS,
};

enum kt_dual_schema kt_dual_schema(const struct kt_dual *dual);

/* "none", "single", "dual", "late-degraded", "early-degraded", ... */
const char *kt_dual_schema_name(enum kt_dual_schema schema);

/* ---- The captures of a watch ---- */
struct kt_watch_limit {
	uint64_t interval_ns; /* between two captures; 0: no limit of the rate */
	uint64_t n_max;       /* captures in all; 0: only hits are counted */
	uint64_t n_hits;      /* so far */
	uint64_t n_taken;
	uint64_t n_left_out; /* hits without a capture */
	uint64_t last_ns;    /* of the capture that was taken last */
};

/* Counts a hit at @now_ns of the guest, and says whether it is captured. */
bool kt_watch_limit_take(struct kt_watch_limit *limit, uint64_t now_ns);
