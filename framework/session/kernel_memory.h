/* SPDX-License-Identifier: MIT */
#pragma once
/* The session's access to the memory of its guest's kernel: for the guest, for .post_vm. */

#include "framework/session/state.h"
#include "guest/test/kernel.h"

/* Serves KOPQ; a malformed one ends the session. */
void kt_session_on_kernel_request(struct kt_session_state *session, const struct kt_frame *frame);

/*
 * The kernel of the session's guest, which is looked for at the first call. It is good until the
 * machine is destroyed.
 */
int kt_session_inspect(struct kt_session_state *session, struct kt_inspect **ret_inspect,
		       struct kt_err *reterr);

/* Who serves .post_vm, whose machine stands still. */
struct kt_kernel_service kt_session_kernel_service(struct kt_session_state *session);

/* Frees what kt_session_inspect() has made; before the machine is destroyed. */
void kt_session_forget_kernel(struct kt_session_state *session);
