/* SPDX-License-Identifier: MIT */
#pragma once
/* The making of a template, in a process of its own like a session. */

#include "framework/setup/setup.h"

struct kt_outcome;

struct kt_template_job {
	const struct kt_setup *setup;
	const struct kt_test *test; /* one of those that the template is for */
	const struct kt_kernel *kernel;
	struct kt_template_id id;
	uint64_t packages;          /* of the image that are to be in it */
	struct kt_outcome *outcome; /* its verdict, reason and console say what became of it */
	int report_fd;              /* as a session's */
};

/*
 * Builds the template if nobody else has in the meantime, beginning with one of another program or of
 * an older version if there is one. Returns the exit status: 0 when the template can be used, 1 when
 * tests cannot have it but may boot (the cache is to blame, or QEMU was killed), 2 when the guest does not get up.
 */
int kt_template_job_main(const struct kt_template_job *job);

#define KT_TEMPLATE_JOB_DONE     0
#define KT_TEMPLATE_JOB_NO_CACHE 1
#define KT_TEMPLATE_JOB_NO_GUEST 2
