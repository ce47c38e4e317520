/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A client of the QEMU Machine Protocol, over an inherited socket (qemu:
 * docs/interop/qmp-spec.rst).
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

struct kt_qmp;

/* Called for every event. @data is the member "data" of the event, or NULL; borrowed. */
typedef void (*kt_qmp_event_fn)(void *owner, const char *event, const json_t *data);

/*
 * Makes a client of the socket @fd, which it owns from then on and makes non-blocking. @on_event is
 * called with @owner. Returns 0 or -ENOMEM; @fd stays the caller's then.
 */
int kt_qmp_new(int fd, kt_qmp_event_fn on_event, void *owner, struct kt_qmp **ret_qmp);

/* Tells which process is QEMU: deadlines move by what the host steals from it. */
void kt_qmp_set_pid(struct kt_qmp *qmp, pid_t pid);

/* Closes the socket. NULL is allowed. Returns NULL, to be stored back. */
struct kt_qmp *kt_qmp_free(struct kt_qmp *qmp);

/* The socket, for the event loop; owned by the client. */
int kt_qmp_fd(const struct kt_qmp *qmp);

/*
 * Executes a command and waits for its answer, and delivers events meanwhile. @arguments may be
 * NULL, and is consumed. *@ret_value, a new reference, is the value that the command returns;
 * @ret_value may be NULL. Returns 0, -EREMOTEIO when the command failed, -ETIMEDOUT, -EPIPE when
 * QEMU is gone, or another negative errno.
 */
int kt_qmp_execute(struct kt_qmp *qmp, const char *command, json_t *arguments, uint64_t deadline_ns,
		   json_t **ret_value, struct kt_err *reterr);

/*
 * Sends a command without waiting for its answer. If the command fails, the next kt_qmp_wait()
 * returns its error. @arguments may be NULL, and is consumed. Returns 0 or a negative errno.
 */
int kt_qmp_send(struct kt_qmp *qmp, const char *command, json_t *arguments);

/*
 * Handles what arrives until *@done is true, which an event handler sets. Returns 0; -EREMOTEIO
 * when a command of kt_qmp_send() has failed; -ETIMEDOUT with an error that names @what; -EPIPE
 * when QEMU is gone; or another negative errno.
 */
int kt_qmp_wait(struct kt_qmp *qmp, const bool *done, const char *what, uint64_t deadline_ns,
		struct kt_err *reterr);

/*
 * Handles what has arrived, without waiting. Called when the socket is readable. Returns 0, -EPIPE
 * at the end of the stream, or another negative errno.
 */
int kt_qmp_dispatch(struct kt_qmp *qmp);
