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

/*
 * The guest stands still, and says that its test has run for @elapsed_ns. The clocks of the run
 * queues, which stand in its memory, go on from there.
 */
void kt_session_note_time(struct kt_session_state *session, uint64_t elapsed_ns);

/*
 * Since the test began, when the latest clock of a run queue is @clock_ns. Clocks are behind by up
 * to a tick. -1: unknown.
 */
int64_t kt_session_elapsed_ns(const struct kt_session_state *session, uint64_t clock_ns);

/* Serves SNRQ; a malformed one ends the session. */
void kt_session_on_snapshot_request(struct kt_session_state *session, const struct kt_frame *frame);

/* Who serves .post_vm. */
struct kt_snapshot_service kt_session_snapshot_service(struct kt_session_state *session);

/* Frees what views have left behind. */
void kt_session_forget_snapshots(struct kt_session_state *session);
