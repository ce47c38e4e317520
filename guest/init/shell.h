/* SPDX-License-Identifier: MIT */
#pragma once
/* A shell or one command in the guest, with standard streams on the host. */

#include "guest/port/port.h"
#include "wire/run.h"

/* Runs a shell on a pseudo terminal until it ends; *@ret_status as the shell shows it, 0..255. */
int kt_shell_interactive(struct kt_port *port, const struct kt_run_request *run, int *ret_status,
			 struct kt_err *reterr);

/* Runs run->command; descriptors 1 and 2 are those of PID 1, input comes from the host. */
int kt_shell_exec(struct kt_port *port, const struct kt_run_request *run, int *ret_status,
		  struct kt_err *reterr);
