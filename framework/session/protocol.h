/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The session's side of the protocol with the guest: what each frame means, and what is answered.
 */

#include "framework/session/state.h"

/* Queues a frame for the guest; ends the session when there is no memory for it. */
void kt_session_send(struct kt_session_state *session, enum kt_message type, const void *payload,
		     size_t len);

/*
 * Ends the session if the guest does not see the topology that the test asks for; otherwise the
 * guest is sent its payloads, and RUN or WAKE. Called with each HELO, and for a restored guest with
 * the HELO that it said before it was saved.
 */
void kt_session_check_guest(struct kt_session_state *session, const struct kt_hello *hello);

/* Handler of the source "go"; @data is the session. */
void kt_session_on_go(void *data, uint32_t events);

/* Handlers of struct kt_link_events; @data is the session. */
void kt_session_on_hello(void *data, const struct kt_hello *hello);
void kt_session_on_frame(void *data, const struct kt_frame *frame);
void kt_session_on_broken(void *data, const char *why);
void kt_session_on_console(void *data, const uint8_t *bytes, size_t len);
