/* SPDX-License-Identifier: MIT */
#pragma once
/* QEMU Machine Protocol: one client on an inherited socket (qemu: docs/interop/qmp-spec.rst). */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

struct kt_qmp;

/* Called for every event; @data is the member "data" of the event, or NULL. */
typedef void (*kt_qmp_event_fn)(void *owner, const char *event, const json_t *data);

/* Takes over @fd, which is made non-blocking. */
int kt_qmp_new(int fd, kt_qmp_event_fn on_event, void *owner, struct kt_qmp **ret_qmp);
struct kt_qmp *kt_qmp_free(struct kt_qmp *qmp);

int kt_qmp_fd(const struct kt_qmp *qmp);

/*
 * Executes a command and waits for its answer; @arguments (may be NULL) is consumed. Events that
 * arrive meanwhile are delivered. *@ret_value, if wanted, is a new reference.
 */
int kt_qmp_execute(struct kt_qmp *qmp, const char *command, json_t *arguments, uint64_t deadline_ns,
		   json_t **ret_value, struct kt_err *reterr);

/*
 * Sends a command whose answer nobody waits for; @arguments (may be NULL) is consumed. That it
 * failed is told by the next kt_qmp_wait().
 */
int kt_qmp_send(struct kt_qmp *qmp, const char *command, json_t *arguments);

/*
 * Handles what arrives until @done, which an event handler sets, is true, or a command that was
 * sent before has failed. @what names the event for the error at the deadline.
 */
int kt_qmp_wait(struct kt_qmp *qmp, const bool *done, const char *what, uint64_t deadline_ns,
		struct kt_err *reterr);

/* Handles what has arrived; -EPIPE at the end of the stream. For the event loop. */
int kt_qmp_dispatch(struct kt_qmp *qmp);
