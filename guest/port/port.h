/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The guest's end of the port to the host. Any thread may send frames; one thread receives them.
 * Frames are described in wire/frame.h, their contents in wire/message.h.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "wire/frame.h"
#include "wire/message.h"

struct kt_port;

/*
 * Uses host calls if the machine serves them (wire/hostcall.h). Otherwise opens the virtio port
 * called KT_WIRE_PORT_NAME, and waits for it to appear until @deadline_ns (CLOCK_MONOTONIC). The
 * port is never closed: PID 1 needs it until the machine ends. 0 or a negative errno.
 */
int kt_port_open(uint64_t deadline_ns, struct kt_port **ret_port, struct kt_err *reterr);

/* The numbers of frames received and sent so far. A new PID 1 continues from them. */
struct kt_port_position {
	uint32_t received;
	uint32_t sent;
};

struct kt_port_position kt_port_position(const struct kt_port *port);

/*
 * Takes over the open port @fd, -1 for host calls, from the program that ran as PID 1 before, at
 * the position where it stopped. 0 or -ENOMEM.
 */
int kt_port_adopt(int fd, struct kt_port_position position, struct kt_port **ret_port,
		  struct kt_err *reterr);

/*
 * Sends one frame with @len bytes of @payload; blocks while the host does not read. 0, -EMSGSIZE
 * when @len exceeds KT_FRAME_PAYLOAD_MAX, -EPIPE when the host is gone, or another error of
 * write(2).
 */
int kt_port_send(struct kt_port *port, enum kt_message type, const void *payload, size_t len);

/*
 * kt_port_send() of a frame without payload, after which the host saves the machine, or sends
 * something. With host calls no guest code runs before that: the point at which the machine is
 * saved does not depend on how quick the host is.
 */
int kt_port_send_and_stand(struct kt_port *port, enum kt_message type);

/*
 * Sends a frame of the type @ask that the host answers by one of the type @answer, and receives
 * that; for the thread that receives. With host calls, no guest code runs before the host has
 * answered. Errors are those of both, and -EPROTO for a frame of another type.
 */
int kt_port_ask(struct kt_port *port, enum kt_message ask, enum kt_message answer,
		const void *payload, size_t len, uint64_t deadline_ns, struct kt_frame *ret_frame,
		struct kt_err *reterr);

/*
 * Receives one frame; only one thread may call this. The payload of *@ret_frame is valid until the
 * next call. @deadline_ns may be KT_NSEC_NEVER, and is not used with host calls: the guest's clock
 * stands still while it waits. 0, -ETIMEDOUT, -EPIPE when the host has closed the
 * port, -EBADMSG for a broken frame (wire/frame.h), or an error of read(2).
 */
int kt_port_receive(struct kt_port *port, uint64_t deadline_ns, struct kt_frame *ret_frame,
		    struct kt_err *reterr);

/*
 * Waits until the host sends something or ends the machine, but no longer than @ms milliseconds of
 * the guest's clock. A signal handler may call this. What was sent may be lost: nothing can be
 * received afterwards.
 */
void kt_port_linger(struct kt_port *port, int ms);

/*
 * The descriptor, to poll it together with others: see kt_port_buffered(). The port owns it. -1
 * with host calls, which cannot be waited for beside others.
 */
int kt_port_fd(const struct kt_port *port);

/*
 * Whether received bytes are in the buffer, perhaps a whole frame. Then a caller must receive
 * before it polls the descriptor, which does not become readable for them.
 */
int kt_port_buffered(const struct kt_port *port);

/*
 * With host calls, in place of polling the descriptor: whether the host has sent something, for
 * which it waits up to @ms of the host's time. False without host calls.
 */
bool kt_port_poll(const struct kt_port *port, unsigned int ms);

/*
 * kt_port_send() for a signal handler: tries to get the lock for about a second, then sends without
 * it. @len must not exceed KT_FRAME_PAYLOAD_MAX.
 */
int kt_port_send_last_words(struct kt_port *port, enum kt_message type, const void *payload,
			    size_t len);
