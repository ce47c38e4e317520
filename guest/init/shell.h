/* SPDX-License-Identifier: MIT */
#pragma once
/* Runs a shell or one command in the guest, with its standard streams on the host. */

#include "guest/port/port.h"
#include "wire/run.h"

/*
 * Runs a shell on a pseudo terminal of run->rows and run->columns until it ends. *@ret_status is
 * its exit status, 0..255, with 128 + N after signal N. 0 or a negative errno, such as -EPIPE when
 * the host is gone.
 */
int kt_shell_interactive(struct kt_port *port, const struct kt_run_request *run, int *ret_status,
			 struct kt_err *reterr);

/*
 * Runs run->command until it ends: by /bin/sh if the guest has it, else as words. Its standard
 * output and error are those of PID 1, its input comes from the host. Returns as above.
 */
int kt_shell_exec(struct kt_port *port, const struct kt_run_request *run, int *ret_status,
		  struct kt_err *reterr);
