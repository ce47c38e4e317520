/* SPDX-License-Identifier: MIT */
#pragma once
/* What the process of an attempt gives up before it has a machine. */

#include "framework/session/state.h"

/*
 * Confines the process. .post_vm is the author's code on the host: for a test that has one, the
 * process keeps the network, and the files that it can write. Returns 0 or a negative errno.
 */
int kt_session_confine(const struct kt_session_state *session, struct kt_err *reterr);
