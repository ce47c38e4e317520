/* SPDX-License-Identifier: MIT */
#pragma once
/* Takes newer files from the host and replaces PID 1: a test that was rebuilt needs no boot. */

#include "guest/port/port.h"

/*
 * The environment variable for the newer PID 1: "DESCRIPTOR RECEIVED SENT", the state of the port.
 */
#define KT_UPDATE_VARIABLE "KTEST_PORT"

/*
 * Writes the piece of a file that a FILE frame brings; the last piece completes the file. 0,
 * -EPROTO for a bad frame, or another negative errno.
 */
int kt_update_file(const struct kt_frame *frame, struct kt_err *reterr);

/*
 * Handles a REMOVE frame: removes files that the next test is not to see. Those that are not there
 * are passed over. 0, -EPROTO or an error of unlink(2).
 */
int kt_update_remove(const struct kt_frame *frame, struct kt_err *reterr);

/* Replaces PID 1 by /init, which continues with the port. Returns only on failure. */
int kt_update_exec(struct kt_port *port, struct kt_err *reterr);

/*
 * In the newer PID 1: takes over the port of the older one. -ENOENT in a guest that has just
 * booted, -EINVAL for a bad KT_UPDATE_VARIABLE, -ENOMEM.
 */
int kt_update_adopt_port(struct kt_port **ret_port, struct kt_err *reterr);
