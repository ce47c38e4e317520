/* SPDX-License-Identifier: MIT */
#pragma once
/* Newer files from the host, and a newer PID 1: so that a changed test needs no boot. */

#include "guest/port/port.h"

/* Set for the program that takes over: "descriptor received sent" of the port. */
#define KT_UPDATE_VARIABLE "KTEST_PORT"

/* Writes the piece of a file that a FILE frame brings. */
int kt_update_file(const struct kt_frame *frame, struct kt_err *reterr);

/* Replaces PID 1 by /init, which goes on with the port. Returns only on failure. */
int kt_update_exec(struct kt_port *port, struct kt_err *reterr);

/* In the program that took over: the port of the one before. -ENOENT in a fresh guest. */
int kt_update_adopt_port(struct kt_port **ret_port, struct kt_err *reterr);
