/* SPDX-License-Identifier: MIT */
#pragma once
/* Brings signed kernels of a Debian archive into the cache, without touching the host's apt. */

#include <stddef.h>

#include "util/err.h"

struct kt_kernel_fetch_options {
	const char *version; /* NULL: the newest whose sched_ext BTF is consistent */
	const char *mirror;  /* NULL: KTESTS_MIRROR, else what the host's apt uses */
	const char *suite;   /* NULL: trixie-backports */
	/* Told what goes on: a sentence without a percentage (negative), or one with it. */
	void (*progress)(void *data, const char *what, double percent);
	void *data;
};

/*
 * *@ret_release is what is in the cache now, to be freed. Parallel calls wait for one another; one
 * that is killed leaves nothing that looks finished.
 */
int kt_kernel_fetch(const struct kt_kernel_fetch_options *options, char **ret_release,
		    struct kt_err *reterr);
