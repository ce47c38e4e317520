/* SPDX-License-Identifier: MIT */
#pragma once
/* Programs that are packed for a test, as processes of the guest. */

#include <sys/types.h>

#include "util/err.h"

struct kt_program {
	const char *dir;              /* where it runs and lies, first in its PATH */
	const char *binary;           /* its name there */
	const char *const *args;      /* up to a NULL; may be NULL */
	const char *const *more_args; /* likewise */
	const char *cgroup;           /* NULL: where PID 1 is */
	int out, err;                 /* standard output and error */
	/* Instead of a program: what the process does, without PID 1's descriptors; its exit status. */
	int (*body)(const struct kt_program *program);
	const void *data;
	/* Called before it becomes a program; gives a descriptor, for PID 1 in *@ret_handed, or an errno. */
	int (*hand_over)(void);
	int *ret_handed;
};

/*
 * Starts it in a process group of its own, and returns when it is the program, so that one which cannot be
 * run is an error here. *@ret_pid stays 0 when there is no process; *@ret_pidfd is to be closed.
 */
int kt_program_start(const struct kt_program *program, pid_t *ret_pid, int *ret_pidfd,
		     struct kt_err *reterr);

/* A nameless file in memory for its output, which nobody is woken up for; to be closed. */
int kt_program_output(int *ret_fd, struct kt_err *reterr);
