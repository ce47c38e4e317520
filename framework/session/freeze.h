/* SPDX-License-Identifier: MIT */
#pragma once
/* The session's freeze coordinator: ends of schedulers, and what the test wants watched. */

#include "framework/session/state.h"
#include "guest/test/watch.h"

/* Serves WTRQ; a malformed one ends the session. */
void kt_session_on_watch_request(struct kt_session_state *session, const struct kt_frame *frame);

/* The machine stands at a watch. */
void kt_session_on_stopped(void *data, const struct kt_machine_stop *stop);

/* The test is over, and the machine still there: the outcome gets what the coordinator knows. */
void kt_session_end_freeze(struct kt_session_state *session);

/* What .post_vm may read, made of the outcome; good as long as that. */
struct kt_freeze_view *kt_session_freeze_view(const struct kt_session_state *session);
void kt_session_free_view(struct kt_freeze_view *view);
