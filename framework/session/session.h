/* SPDX-License-Identifier: MIT */
#pragma once
/* A session: one process for one attempt of one test, with one machine. */

#include "framework/outcome/outcome.h"
#include "framework/setup/setup.h"

struct kt_session {
	const struct kt_setup *setup;
	const struct kt_template *template; /* to restore from; NULL: boot */
	struct kt_outcome *outcome;         /* holds test, iteration, attempt and captures */
	int report_fd;                      /* written to: see below */
	int go_fd; /* the test waits for the time at which it was wanted, as uint64_t; -1: no */
	uint64_t wanted_ns; /* that time when there is no waiting */
};

/* What the runner reads from a session, each on a line of its own. */
#define KT_SESSION_PHASE   "phase "   /* followed by the name of the phase that begins */
#define KT_SESSION_STEP    "step "    /* followed by the index of the step that begins */
#define KT_SESSION_OUTCOME "outcome " /* followed by kt_outcome_encode(); the last line */

/*
 * Runs the attempt. To be called in a process of its own, whose signals are in their default state.
 * Returns its exit status.
 */
int kt_session_main(const struct kt_session *session);

/* Writes one of the lines above. */
void kt_session_report(int report_fd, const char *kind, const char *text);
