/* SPDX-License-Identifier: MIT */
#pragma once
/* ktests shell: an interactive shell, or one command, in a machine like a test's. */

#include "framework/setup/setup.h"

/*
 * Starts the machine of @test (NULL: the default machine) and runs a shell in it, connected to this
 * process's terminal, or @command if that is not NULL. Returns 0 with the exit status of the shell
 * in *@ret_status (128 + N when this process received signal N), or a negative errno with the
 * reason in @reterr.
 */
int kt_shell_run(struct kt_setup *setup, const struct kt_kernel *kernel, const struct kt_test *test,
		 const char *command, int *ret_status, struct kt_err *reterr);
