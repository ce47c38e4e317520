/* SPDX-License-Identifier: MIT */
#pragma once
/* Child processes that are other programs. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* Looks @name up in PATH, unless it holds a slash. -ENOENT when nothing executable is there. */
int kt_process_find(const char *name, char *path, size_t room);

/* Default actions for all signals, and none blocked: for a child that becomes another program. */
void kt_process_reset_signals(void);

/* What a child gets; descriptors are not owned. */
struct kt_process_spec {
	const char *const *argv;
	int in, out, err; /* -1: /dev/null */
	const int *keep;  /* descriptors to inherit under their own numbers */
	size_t n_keep;
};

/*
 * Starts a child that dies with the calling thread's process (PR_SET_PDEATHSIG), with default
 * signal actions and an empty signal mask. *@ret_pidfd is to be closed by the caller, who also
 * reaps.
 */
int kt_process_spawn(const struct kt_process_spec *spec, pid_t *ret_pid, int *ret_pidfd,
		     struct kt_err *reterr);

/*
 * Runs a program to its end and collects standard output and error, at most 1 MiB, as one text. An
 * exit status other than 0 is -EREMOTEIO with the last lines of the output in the error.
 */
int kt_process_output(const char *const *argv, uint64_t deadline_ns, char **ret_text,
		      struct kt_err *reterr);
