/* SPDX-License-Identifier: MIT */
#pragma once
/* Last words: a fatal signal in PID 1 is told to the host before the machine goes down. */

#include "guest/port/output.h"
#include "guest/port/port.h"

/* Installs the handlers. @step is read when a signal comes. The pointers must stay good. */
int kt_crash_install(struct kt_port *port, const int *step, struct kt_err *reterr);

/* Another place to read the step from. */
void kt_crash_watch_step(const int *step);

/* Standard output to drain before the last words. NULL when it is not forwarded. */
void kt_crash_set_output(struct kt_output *output);

/* Default actions again, for a child after fork(). */
void kt_crash_uninstall(void);
