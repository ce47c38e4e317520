/* SPDX-License-Identifier: MIT */
#pragma once
/* The failed moment is kept: when a session writes its machine into a capsule (vmm/capsule/). */

#include "framework/session/state.h"

/* Whether the options ask for a capsule, the verdict being what it is now, and none was tried. */
bool kt_session_wants_capsule(const struct kt_session_state *session);

/*
 * The guest has sent its result and waits for RACK: the moment to keep, because a person can go on
 * from there. The machine stands still meanwhile, and runs afterwards.
 */
void kt_session_keep_result(struct kt_session_state *session);

/* The session has ended, and its machine stands still: keeps what was not kept before. */
void kt_session_keep_end(struct kt_session_state *session);
