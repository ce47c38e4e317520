/* SPDX-License-Identifier: MIT */
#pragma once
/* Starts programs that were packed for a test as child processes of PID 1. */

#include <sys/types.h>

#include "util/err.h"

/* What to start. All is borrowed until kt_program_start() returns. */
struct kt_program {
	const char *dir;              /* where it runs; first in its PATH and LD_LIBRARY_PATH */
	const char *binary;           /* its file name in @dir; also argv[0] */
	const char *const *args;      /* further arguments up to a NULL; may be NULL */
	const char *const *more_args; /* likewise, after @args */
	const char *cgroup;           /* NULL: the cgroup of PID 1 */
	int out, err;                 /* descriptors for standard output and error */

	/*
	 * If not NULL, the forked process calls this instead of executing a program, and exits with
	 * the returned status. Descriptors other than 0, 1 and 2 are closed before.
	 */
	int (*body)(const struct kt_program *program);
	const void *data; /* for @body */

	/*
	 * If not NULL, the child calls this before its exec. It returns a descriptor, which PID 1
	 * receives in *@ret_handed, or a negative errno, which fails the start.
	 */
	int (*hand_over)(void);
	int *ret_handed; /* to be closed; -1 when none was received */
};

/*
 * Starts a program in a process group of its own, with /dev/null as standard input. Returns 0 when
 * the exec has succeeded; with @body, when the body is about to run.
 *
 * -ENOEXEC when the child has reported why it cannot run; other errors when there is no child.
 * *@ret_pid and *@ret_pidfd are set as soon as there is a child, also on failure: the caller reaps
 * it and closes the pidfd.
 */
int kt_program_start(const struct kt_program *program, pid_t *ret_pid, int *ret_pidfd,
		     struct kt_err *reterr);

/*
 * Opens a nameless file in memory for the output of a program. Unlike a pipe it needs no reader, so
 * writing wakes up no other process. The caller closes *@ret_fd. 0 or a negative errno.
 */
int kt_program_output(int *ret_fd, struct kt_err *reterr);
