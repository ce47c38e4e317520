/* SPDX-License-Identifier: MIT */
#pragma once
/* The guest's end of the bulk port: frames out from any thread, frames in to one. */

#include <stdint.h>

#include "util/err.h"
#include "wire/frame.h"
#include "wire/message.h"

struct kt_port;

/* Finds the virtio port called KT_WIRE_PORT_NAME and opens it, waiting for it until @deadline_ns.
 */
int kt_port_open(uint64_t deadline_ns, struct kt_port **ret_port, struct kt_err *reterr);

/* Frames received and sent so far: with the descriptor, what a new program needs to go on. */
struct kt_port_position {
	uint32_t received;
	uint32_t sent;
};

struct kt_port_position kt_port_position(const struct kt_port *port);

/* Takes over a port from the program that ran before, at the place where it stopped. */
int kt_port_adopt(int fd, struct kt_port_position position, struct kt_port **ret_port,
		  struct kt_err *reterr);

/* Sends one frame; blocks while the host does not read. -EPIPE when the host is gone. */
int kt_port_send(struct kt_port *port, enum kt_message type, const void *payload, size_t len);

/*
 * Receives one frame, or -ETIMEDOUT. The frame's payload is good until the next call. Only one
 * thread may receive.
 */
int kt_port_receive(struct kt_port *port, uint64_t deadline_ns, struct kt_frame *ret_frame,
		    struct kt_err *reterr);

/* The descriptor, to wait for readability together with others. */
int kt_port_fd(const struct kt_port *port);

/* Whether a whole frame may already be in the receive buffer, so that the descriptor says nothing.
 */
int kt_port_buffered(const struct kt_port *port);

/* kt_port_send() for a signal handler: takes the lock if it comes free within about a second. */
int kt_port_send_last_words(struct kt_port *port, enum kt_message type, const void *payload,
			    size_t len);
