/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Downloads signed kernels from a Debian archive into the cache. The host's apt configuration is
 * read, for its mirror, and never changed.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct kt_kernel_fetch_options {
	const char *version; /* NULL: the newest kernel whose sched_ext BTF is consistent */
	const char *mirror;  /* URI; NULL: KTESTS_MIRROR, else the mirror of the host's apt */
	const char *suite;   /* of the archive; NULL: trixie-backports */
	/*
	 * Called with what is being done, and with the percentage of it that is done, or a negative
	 * number when that is not known. NULL: not called.
	 */
	void (*progress)(void *data, const char *what, double percent);
	void *data;        /* passed to @progress */
	uint64_t stall_ns; /* after which a download without progress is ended; 0: two minutes */
};

/*
 * Makes sure that a kernel is in the cache and returns its release in *@ret_release, to be freed. A
 * kernel that is there already is not downloaded again.
 *
 * Only one process fetches at a time; others wait for it. A kernel appears in the cache complete or
 * not at all, also when the process is killed. -ENOENT when the archive does not have the kernel or
 * a program of apt is missing; -EREMOTEIO when apt fails; -ETIMEDOUT when the mirror does not
 * answer or a download makes no progress.
 */
int kt_kernel_fetch(const struct kt_kernel_fetch_options *options, char **ret_release,
		    struct kt_err *reterr);
