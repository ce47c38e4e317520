/* SPDX-License-Identifier: MIT */
#pragma once
/* The snapshots of a session: taken of its machine, kept with the outcome, and read by the test. */

#include "framework/session/state.h"
#include "guest/test/snapshot.h"
#include "vmm/snapshot/snapshot.h"

/*
 * Takes a snapshot of the machine, which must stand still, and keeps it under the name of @moment.
 * If @moment has no registers, nor a reason for that, they are read: it must be paused then.
 *
 * -ENOSPC when there are KT_SNAPSHOTS_MAX others; @evict: the oldest goes. If the kernel cannot
 * be read, a placeholder is kept, and the error is returned. *@ret_replaced: one with the same name
 * is gone; may be NULL.
 */
int kt_session_take_snapshot(struct kt_session_state *session,
			     const struct kt_snapshot_moment *moment, bool evict,
			     bool *ret_replaced, struct kt_err *reterr);

/* Serves SNRQ; a malformed one ends the session. */
void kt_session_on_snapshot_request(struct kt_session_state *session, const struct kt_frame *frame);

/* Who serves .post_vm. */
struct kt_snapshot_service kt_session_snapshot_service(struct kt_session_state *session);

/* Frees what views have left behind. */
void kt_session_forget_snapshots(struct kt_session_state *session);
