/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The guest's own trace of a test, where --trace-sched asks for it: who ran on which CPU, who woke
 * whom, and marks of what the test did. There is one, as there is one PID 1.
 */

#include "guest/port/port.h"

/* Is set in the environment of PID 1 for a test that is to be traced. */
#define KT_TRACE_VARIABLE "KTESTS_TRACE_SCHED"

/*
 * Begins the trace if the variable is set. Returns 0 also if it is not, or a negative errno of
 * tracefs.
 */
int kt_trace_begin(struct kt_err *reterr);

/*
 * Marks the beginning or the end of what lasts, one inside the other, or a moment. @what is of any
 * length; newlines in it become spaces. Nothing without a trace.
 */
void kt_trace_mark_begin(const char *what, const char *name);
void kt_trace_mark_end(void);
void kt_trace_mark(const char *what, const char *name);

/*
 * Ends the trace, if there is one, and sends its text. @began_ns: CLOCK_MONOTONIC when the test
 * began. Returns 0 or a negative errno.
 */
int kt_trace_end(struct kt_port *port, uint64_t began_ns, struct kt_err *reterr);
