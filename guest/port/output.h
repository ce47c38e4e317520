/* SPDX-License-Identifier: MIT */
#pragma once
/* Standard output and error of PID 1 and its children, forwarded to the host by a thread. */

#include "guest/port/port.h"

struct kt_output;

/*
 * Redirects descriptors 1 and 2 into pipes and starts a thread that forwards them to @port, which
 * must stay valid as long as PID 1 runs. So does *@ret_output. 0 or a negative errno.
 */
int kt_output_start(struct kt_port *port, struct kt_output **ret_output, struct kt_err *reterr);

/*
 * Makes the thread call @fn with @data at @at_ns. Setting that does not wake the thread, so that it
 * costs a restored guest nothing. Called once at most.
 */
void kt_output_call_at(struct kt_output *output, uint64_t at_ns, void (*fn)(void *data),
		       void *data);

/*
 * Sends everything that was written before the call. A process that continues to write is not
 * waited for longer than until @deadline_ns (CLOCK_MONOTONIC).
 */
void kt_output_flush(struct kt_output *output, uint64_t deadline_ns);

/* Makes descriptors 1 and 2 the console again: for a newer PID 1, before its exec. */
void kt_output_give_back(const struct kt_output *output);

/* For a signal handler: waits up to @ms milliseconds until the thread has sent everything. */
void kt_output_drain(struct kt_output *output, int ms);
