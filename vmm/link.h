/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A machine, the frames exchanged with its guest, and the deadline of what the guest does next.
 *
 * Sessions, shells and the making of templates all talk to a guest through a link. The link decodes
 * HELO and refuses a guest of another protocol version. When the guest says BYE, it ends the
 * machine, which looks as if the guest had powered off; a guest that says BYE before it has got
 * RACK, or while other processes run in it, is broken. It holds one deadline, and remembers what
 * the guest has to do by then.
 */

#include "vmm/machine.h"
#include "wire/frame.h"
#include "wire/hello.h"
#include "wire/message.h"

struct kt_link;

/* Called from the event loop. None may free the link; each may stop the loop. */
struct kt_link_events {
	/* The guest said HELO, in this version of the protocol; the machine is guarded already. */
	void (*hello)(void *data, const struct kt_hello *hello);
	/* Any other frame that is well-formed; its payload is good until the handler returns. */
	void (*frame)(void *data, const struct kt_frame *frame);
	/* Bytes of the kernel's console. */
	void (*console)(void *data, const uint8_t *bytes, size_t len);
	/* A malformed frame or HELO, BYE too early, an unguarded machine. No frame follows. */
	void (*broken)(void *data, const char *why);
	/* As in struct kt_machine_events. NULL: nobody watches. */
	void (*stopped)(void *data, const struct kt_machine_stop *stop);
	/* The machine has ended; nothing follows. */
	void (*exited)(void *data, const struct kt_machine_exit *exit);
	/* The guest has not done within @limit_ns what kt_link_await() named. */
	void (*late)(void *data, const char *what, uint64_t limit_ns);
	/* By the guest's own clock, the limit has passed that it was given. NULL: none is given. */
	void (*expired)(void *data);
};

/* How many frames went each way, modulo 2^32. A restored guest goes on counting from there. */
struct kt_link_position {
	uint32_t received;
	uint32_t sent;
};

/*
 * Makes a link and its machine, which is not started. @loop, @events and @data are borrowed for the
 * life of the link. Returns 0 or -ENOMEM.
 */
int kt_link_new(struct kt_loop *loop, enum kt_vmm vmm, const struct kt_link_events *events,
		void *data, struct kt_link **ret_link, struct kt_err *reterr);

/* Destroys the machine too. NULL is allowed. Returns NULL, to be stored back. */
struct kt_link *kt_link_free(struct kt_link *link);

/*
 * Keeps the machine from now on: when the guest says BYE, its vCPUs are stopped instead, and the
 * owner is told all the same that the guest has powered off. The guest's memory stays as it is
 * until the link is freed.
 */
void kt_link_keep(struct kt_link *link);

/*
 * The fault that broke the stream of frames, a negative errno: -EBADMSG for a malformed frame,
 * -ECONNRESET when the program that is PID 1 was started again without being asked, -EPROTO for a
 * BYE too early. 0: none.
 */
int kt_link_fault(const struct kt_link *link);

/* Whether the guest has said BYE, in order. A machine that ends without it has lost its guest. */
bool kt_link_has_bye(const struct kt_link *link);

/* The machine of the link; owned by the link. */
struct kt_machine *kt_link_machine(const struct kt_link *link);

/* How many frames went each way so far. */
struct kt_link_position kt_link_position(const struct kt_link *link);

/* Goes on from @position; before the machine is restored. */
void kt_link_set_position(struct kt_link *link, struct kt_link_position position);

/*
 * Sets the deadline, in place of the one before: when kt_machine_clock_ns() has advanced by
 * @limit_ns, late() is called with @what, unless this or kt_link_await_nothing() is called earlier.
 * @what says what the guest has to do, as a verb ("settle"); it is borrowed.
 */
void kt_link_await(struct kt_link *link, const char *what, uint64_t limit_ns);

/* Removes the deadline. */
void kt_link_await_nothing(struct kt_link *link);

/* Returns the @what of the deadline, "" when there is none. */
const char *kt_link_awaited(const struct kt_link *link);

/*
 * Queues a frame for the guest; never blocks. From RACK on, the guest may say BYE. Returns 0,
 * -ENOMEM, or -EMSGSIZE when @len is larger than KT_FRAME_PAYLOAD_MAX.
 */
int kt_link_send(struct kt_link *link, enum kt_message type, const void *payload, size_t len);

/*
 * Fills in what must differ between guests that were restored from one image: the host's time and
 * random bytes. Returns 0, or -EIO when the host has no random bytes.
 */
int kt_link_make_wake(struct kt_msg_wake *ret_wake);
