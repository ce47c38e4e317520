/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Snapshots of a test (ktest/snapshot.h): what the operation and the functions that a test calls
 * have in common. Both ask a service, which is the host.
 */

#include <pthread.h>
#include <stdbool.h>

#include "guest/port/port.h"
#include "util/err.h"
#include "wire/snapshot.h"

struct kt_ctx;
struct kt_view;

/* Who answers: in the guest the host behind the port; in .post_vm the session. */
struct kt_snapshot_service {
	/* NULL: nobody. 0, or a negative errno with a message. */
	int (*serve)(void *data, const struct kt_snapshot_request *request,
		     struct kt_snapshot_reply *ret_reply, struct kt_err *reterr);
	void *data;
};

/* Requests of @ctx go over @port from now on; NULL: nowhere. */
void kt_snapshots_use_port(struct kt_ctx *ctx, struct kt_port *port);

/* Takes a snapshot. Says on standard error if it has replaced one. */
int kt_snapshot_capture(struct kt_ctx *ctx, const char *name, bool periodic, struct kt_err *reterr);

/*
 * Asks for the value of a view as @form. The samples are in *@ret_reply, which is to be freed: one,
 * or one for each periodic snapshot. -EINVAL with a message for a view that cannot be asked for.
 */
int kt_snapshot_ask(struct kt_ctx *ctx, const struct kt_view *view, enum kt_snapshot_form form,
		    struct kt_snapshot_reply **ret_reply, struct kt_err *reterr);
