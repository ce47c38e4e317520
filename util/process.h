/* SPDX-License-Identifier: MIT */
#pragma once
/* Child processes that execute another program. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/*
 * Looks for the executable @name in the directories of PATH; a name with a slash is a path already.
 * Writes the path to @path, which has @room bytes. -ENOENT when there is no such program or its
 * path does not fit.
 */
int kt_process_find(const char *name, char *path, size_t room);

/*
 * Restores the default action of every signal and unblocks all of them. A child calls it before it
 * executes another program, which would inherit ignored and blocked signals.
 */
void kt_process_reset_signals(void);

/* What a child gets. The caller keeps its descriptors. */
struct kt_process_spec {
	const char *const *argv; /* NULL-terminated; argv[0] is the path of the program */
	int in, out, err;        /* standard streams; -1: /dev/null */
	const int *keep;         /* further descriptors, inherited under their own numbers */
	size_t n_keep;
};

/*
 * Starts a child with default signal actions and an empty signal mask. The kernel kills it when the
 * calling thread ends (PR_SET_PDEATHSIG). The caller closes *@ret_pidfd and reaps *@ret_pid.
 *
 * Returns only after the child has executed the program, so that a program that cannot be executed
 * is an error of this call: then there is no child to reap.
 */
int kt_process_spawn(const struct kt_process_spec *spec, pid_t *ret_pid, int *ret_pidfd,
		     struct kt_err *reterr);

/*
 * Runs a program to its end and returns its standard output and error as one text of at most 1 MiB,
 * to be freed; what exceeds that is dropped. Standard input is /dev/null.
 *
 * -EREMOTEIO when the program fails, with the last lines of its output in the error; -ETIMEDOUT
 * when it has not ended at @deadline_ns, after which it is killed.
 */
int kt_process_output(const char *const *argv, uint64_t deadline_ns, char **ret_text,
		      struct kt_err *reterr);

/* Whether the process was stopped by a signal or a debugger. False when there is none (@pid 0). */
bool kt_process_is_stopped(pid_t pid);

/*
 * Names a process for people: its number, its name, and whether it is stopped or has ended. The
 * text is to be freed; NULL without memory.
 */
char *kt_process_describe(pid_t pid);
