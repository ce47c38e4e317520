/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Last words: when PID 1 gets a fatal signal, it sends the signal, the step of the test and a
 * backtrace to the host before the machine powers off.
 */

#include "guest/port/output.h"
#include "guest/port/port.h"

/*
 * Installs the handlers. @step is read when a signal comes: the running step, -1 outside the steps.
 * @port and @step must stay valid as long as PID 1 runs. 0, -ENOMEM or an error of sigaltstack(2)
 * or sigaction(2).
 */
int kt_crash_install(struct kt_port *port, const int *step, struct kt_err *reterr);

/* Reads the step from another place from now on, under the same condition. */
void kt_crash_watch_step(const int *step);

/*
 * The forwarded standard output, which is drained before the last words. NULL: it is not forwarded.
 */
void kt_crash_set_output(struct kt_output *output);

/* Restores the default actions: for a child after fork(), whose crash is not one of PID 1. */
void kt_crash_uninstall(void);
