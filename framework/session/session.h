/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A session: the process that makes one attempt of one test, with one machine. The runner forks it
 * and reads what it reports.
 */

#include "framework/outcome/outcome.h"
#include "framework/setup/setup.h"
#include "util/clock.h"

struct kt_session {
	/* All borrowed. */
	const struct kt_setup *setup;
	const struct kt_template *template; /* to restore from; NULL: boot */
	struct kt_template_id template_id;  /* of @template; unused without one */
	struct kt_outcome *outcome; /* names test, iteration and attempt; receives the rest */
	int report_fd;              /* written to: the lines below */
	/*
	 * The session makes its guest ready and then waits here for a uint64_t, the time at which
	 * the runner wanted the test (CLOCK_MONOTONIC). -1: the test begins at once.
	 */
	int go_fd;
	uint64_t wanted_ns; /* that time, when go_fd is -1 */
};

/* Then the runner ends the session. */
#define KT_POST_VM_LIMIT_NS (60 * KT_NSEC_PER_SEC)
#define KT_CAPSULE_LIMIT_NS (600 * KT_NSEC_PER_SEC)

/* The beginnings of the lines that a session reports. */
#define KT_SESSION_PHASE   "phase "   /* followed by the name of the phase that begins */
#define KT_SESSION_STEP    "step "    /* followed by the index of the step that begins */
#define KT_SESSION_POST_VM "post_vm"  /* alone: .post_vm begins */
#define KT_SESSION_PAUSED  "paused"   /* alone: SIGTSTP was obeyed; SIGCONT is waited for */
#define KT_SESSION_CAPSULE "capsule"  /* alone: a capsule is being written */
#define KT_SESSION_OUTCOME "outcome " /* followed by kt_outcome_encode(); the last line */

/*
 * Makes the attempt. SIGTSTP pauses its machine, until SIGCONT. Called in a process of its own,
 * with default signal actions. Returns its exit status: 0, or 1 when the outcome could not be
 * reported.
 */
int kt_session_main(const struct kt_session *session);

/* Writes the line that @kind begins and @text ends. Errors are ignored. */
void kt_session_report(int report_fd, const char *kind, const char *text);
