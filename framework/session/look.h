/* SPDX-License-Identifier: MIT */
#pragma once
/* The command "inspect" of a test: when the session lets it look into the guest's kernel. */

#include "framework/session/state.h"

/* The hold of step @index is over. */
void kt_session_look_at_step(struct kt_session_state *session, unsigned int index);

/* The test is over; looks unless that was done. */
void kt_session_look_at_end(struct kt_session_state *session);
