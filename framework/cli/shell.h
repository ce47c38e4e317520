/* SPDX-License-Identifier: MIT */
#pragma once
/* ktests shell: an interactive shell, or one command, in a machine like a test's. */

#include "framework/setup/setup.h"

/*
 * Boots the machine of @test (NULL for the default one) and connects it to this process's terminal,
 * or runs @command in it. *@ret_status is what the shell or the command ended with.
 */
int kt_shell_run(struct kt_setup *setup, const struct kt_kernel *kernel, const struct kt_test *test,
		 const char *command, int *ret_status, struct kt_err *reterr);
