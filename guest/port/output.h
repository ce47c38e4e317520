/* SPDX-License-Identifier: MIT */
#pragma once
/* Standard output and error of PID 1 and its children, forwarded to the host by a thread. */

#include "guest/port/port.h"

struct kt_output;

/* Redirects descriptors 1 and 2 into pipes and starts forwarding them to @port. */
int kt_output_start(struct kt_port *port, struct kt_output **ret_output, struct kt_err *reterr);

/*
 * Sends all that was written before, or as much as comes until @deadline_ns: a process that goes on
 * writing is not waited for.
 */
void kt_output_flush(struct kt_output *output, uint64_t deadline_ns);

/* Puts the console back under descriptors 1 and 2, for a program that is about to take over. */
void kt_output_give_back(const struct kt_output *output);

/* For a signal handler: waits up to @ms until the thread has sent everything. */
void kt_output_drain(struct kt_output *output, int ms);
