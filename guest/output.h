/* SPDX-License-Identifier: MIT */
#pragma once
/* Standard output and error of PID 1 and its children, forwarded to the host by a thread. */

#include "guest/port.h"

struct kt_output;

/* Redirects descriptors 1 and 2 into pipes and starts forwarding them to @port. */
int kt_output_start(struct kt_port *port, struct kt_output **ret_output, struct kt_err *reterr);

/*
 * Gives descriptors 1 and 2 back to the console and waits until everything written before has been
 * sent. No other process may hold the pipes; -ETIMEDOUT if one does until @deadline_ns.
 */
int kt_output_stop(struct kt_output *output, uint64_t deadline_ns, struct kt_err *reterr);

/* For a signal handler: waits up to @ms until the pipes are empty. */
void kt_output_drain(const struct kt_output *output, int ms);
