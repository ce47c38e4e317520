/* SPDX-License-Identifier: MIT */
#pragma once
/* A session: one process for one attempt of one test, with one machine. */

#include "framework/host.h"
#include "framework/kernel.h"
#include "framework/outcome.h"

/* What all sessions of a run have in common. */
struct kt_session_config {
	const struct kt_host *host;
	const struct kt_kernel *kernel;
	int image_fd;
	const char *append; /* to the kernel command line; may be NULL */
	uint64_t boot_timeout_ns;
	uint64_t timeout_ns; /* 0: what the test says, times the multiplier */
	double timeout_multiplier;
	bool no_capture; /* copy the guest's output to this process's own */
	bool verbose;    /* with no_capture: the console too */
};

/* The machine of a test. */
struct kt_machine_topology kt_session_topology(const struct kt_test *test);
unsigned int kt_session_memory_mib(const struct kt_test *test);

/* The same as a whole; it borrows @cmdline and all that @config points to. */
struct kt_machine_config kt_session_machine_config(const struct kt_session_config *config,
						   const struct kt_test *test, const char *cmdline);

/* How long the test may take from its start to its result. */
uint64_t kt_session_run_limit_ns(const struct kt_session_config *config,
				 const struct kt_test *test);

/* The kernel command line, to be freed. */
char *kt_session_cmdline(const struct kt_session_config *config);

/* What the runner reads from a session, one after the other, each on a line of its own. */
#define KT_SESSION_PHASE   "phase "   /* followed by the name of the phase that begins */
#define KT_SESSION_STEP    "step "    /* followed by the index of the step that begins */
#define KT_SESSION_OUTCOME "outcome " /* followed by kt_outcome_encode(); the last line */

/*
 * Runs the attempt of which @outcome holds test, iteration and captures, telling @report_fd. To be
 * called in a process of its own, whose signals are in their default state. Returns its exit
 * status.
 */
int kt_session_main(const struct kt_session_config *config, struct kt_outcome *outcome,
		    int report_fd);
