/* SPDX-License-Identifier: MIT */
#pragma once
/* The phases of a session, and the verdicts of sessions that end without the guest's result. */

#include "framework/session/state.h"

/*
 * Records how long the present phase took, begins @phase and reports that to the runner. The guest
 * has @limit_ns to end the phase; kt_session_on_late() is called otherwise.
 */
void kt_session_enter(struct kt_session_state *session, enum kt_phase phase, uint64_t limit_ns);

/*
 * Records @verdict with the reason that @format makes, and stops the loop. KT_VERDICT_FAIL is
 * recorded as a failure at the test's own file and line, in the step that was running.
 */
void kt_session_end(struct kt_session_state *session, enum kt_verdict verdict, const char *format,
		    ...) __attribute__((format(printf, 3, 4)));

/* Handlers of struct kt_link_events; @data is the session. */
void kt_session_on_expired(void *data);
void kt_session_on_late(void *data, const char *what, uint64_t limit_ns);
void kt_session_on_exited(void *data, const struct kt_machine_exit *exit);
