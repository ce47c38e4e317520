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

/* A machine that was saved while PID 1 waited for the host. All borrowed. */
struct kt_shell_capsule {
	const struct kt_machine_config *config;
	const struct kt_machine_image *image;
	struct kt_link_position position;
	const struct kt_image *files; /* this program, which the guest has, and its shell */
	const struct kt_options *options;
};

/* As kt_shell_run(), in that machine. */
int kt_shell_reopen(const struct kt_shell_capsule *capsule, const char *command, int *ret_status,
		    struct kt_err *reterr);
