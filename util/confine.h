/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a process gives up for good, before it meets somebody who is hostile.
 *
 * A confinement is made once, by a process that stays as it is, and entered by its children. What
 * the host does not allow is left out, and kt_confinement_describe() tells it. Programs that a
 * confined process starts are confined, too.
 */

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

enum kt_confine_part {
	/* No capabilities, and no program that would give some. Every host can do that. */
	KT_CONFINE_PRIVILEGES = 1 << 0,
	/*
	 * System calls by which a process changes the host, or looks into others (mount, ptrace,
	 * bpf, ...) fail with EPERM (seccomp).
	 */
	KT_CONFINE_CALLS = 1 << 1,
	/* All files are read-only but those that were named (Landlock). */
	KT_CONFINE_FILES = 1 << 2,
	/* No interface (a network namespace) and, with CALLS, no socket but UNIX ones. */
	KT_CONFINE_NETWORK = 1 << 3,
};

struct kt_confinement {
	unsigned int parts; /* enum kt_confine_part: what this host can do */
	int landlock;       /* version of Landlock's interface; 0: none */
	int user_fd; /* the user namespace that owns the network namespace; -1: none needed */
	int net_fd;  /* the network namespace; -1: none */
};

#define KT_CONFINEMENT_NULL ((struct kt_confinement){ .user_fd = -1, .net_fd = -1 })

/* Finds out what the host can do. Starts a child, which has ended on return. Never fails. */
void kt_confinement_init(struct kt_confinement *ret);
void kt_confinement_deinit(struct kt_confinement *confinement);

/* Writes for people what holds, "privileges, calls, files, network", and what does not. */
void kt_confinement_describe(const struct kt_confinement *confinement, char *text, size_t room);

/* What a process still needs. Borrowed. */
struct kt_confine_needs {
	unsigned int keeps; /* enum kt_confine_part: parts that are not given up */
	const char *const
		*writable; /* paths of directories and files; those missing are left out */
	size_t n_writable;
	const char *const *readable; /* likewise, and without effect but for root: see below */
	size_t n_readable;
	/*
	 * A directory whose files may get names in others, and so be written as they are there, but
	 * not removed. NULL: none.
	 */
	const char *linked;
	int writable_fd; /* a kept file that may be opened anew for writing; -1: none */
	/*
	 * Descriptors that stay open, -1 among them standing for none. All others but the standard
	 * streams are closed: what a process has inherited can be written to in spite of FILES.
	 */
	const int *kept_fds;
	size_t n_kept_fds;
};

/*
 * Confines the calling process, which has one thread. Returns 0, or a negative errno when a part
 * that the host can do could not be done; the process must not go on then.
 *
 * Root without its capabilities may be denied files of other users: a process that could not reach
 * what it needs any more keeps CAP_DAC_OVERRIDE.
 */
int kt_confine(const struct kt_confinement *confinement, const struct kt_confine_needs *needs,
	       struct kt_err *reterr);

/*
 * The calling thread, which is confined, starts neither processes nor programs any more: EPERM.
 * Does nothing without KT_CONFINE_CALLS.
 */
int kt_confine_programs(const struct kt_confinement *confinement, struct kt_err *reterr);
