/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A template job: a process that makes one template, as a session is a process that runs one test.
 */

#include "framework/setup/setup.h"

struct kt_outcome;

struct kt_template_job {
	/* All borrowed. */
	const struct kt_setup *setup;
	const struct kt_test *test; /* any test of the group: all have the same machine */
	const struct kt_kernel *kernel;
	struct kt_template_id id;    /* of the template to be made */
	struct kt_packages packages; /* packages of the image to put into it */
	struct kt_outcome *outcome;  /* receives the console and, after a failure, the reason */
	int report_fd;               /* the outcome is reported here, as a session does */
};

/* Exit statuses of a template job. */
#define KT_TEMPLATE_JOB_DONE     0 /* the template can be used */
#define KT_TEMPLATE_JOB_NO_CACHE 1 /* the cache is to blame: tests may boot their machines */
#define KT_TEMPLATE_JOB_NO_GUEST 2 /* the guest does not start: tests would fail to boot too */

/*
 * Builds the template unless another run has built it in the meantime. Starts from a template of
 * another program or of an older version if there is one. Returns the exit status: 0 when the
 * template can be used, 1 when tests cannot use it but may boot (the cache is to blame, or QEMU was
 * killed), 2 when the guest does not start.
 */
int kt_template_job_main(const struct kt_template_job *job);
