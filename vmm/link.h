/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A machine, the frames exchanged with its guest, and what the guest is waited for.
 *
 * Sessions, shells and the making of templates all attend a guest through a link. The link decodes
 * HELO and refuses a guest of another protocol version; it holds the one deadline and remembers what
 * the deadline is for.
 */

#include "vmm/machine.h"
#include "wire/frame.h"
#include "wire/hello.h"
#include "wire/message.h"

struct kt_link;

/* Called from the event loop. None may free the link; each may stop the loop. */
struct kt_link_events {
	/* The guest has said HELO, in this version of the protocol. */
	void (*hello)(void *data, const struct kt_hello *hello);
	/* Any other frame. */
	void (*frame)(void *data, const struct kt_frame *frame);
	/* Text of the kernel's console. */
	void (*console)(void *data, const uint8_t *bytes, size_t len);
	/* A malformed frame, or a machine that cannot be guarded. No frame follows. */
	void (*broken)(void *data, const char *why);
	/* The machine has ended. */
	void (*exited)(void *data, const struct kt_machine_exit *exit);
	/* The guest has not done within @limit_ns what kt_link_await() named. */
	void (*late)(void *data, const char *what, uint64_t limit_ns);
};

/* How many frames went each way: what a link to a restored guest has to go on from. */
struct kt_link_position {
	uint32_t received;
	uint32_t sent;
};

/* @loop, @events and @data are borrowed for the life of the link. */
int kt_link_new(struct kt_loop *loop, const struct kt_link_events *events, void *data,
		struct kt_link **ret_link, struct kt_err *reterr);

/* Destroys the machine too; NULL is allowed. */
struct kt_link *kt_link_free(struct kt_link *link);

struct kt_machine *kt_link_machine(const struct kt_link *link);
struct kt_link_position kt_link_position(const struct kt_link *link);

/* Goes on with the frames of a machine that is restored. */
void kt_link_set_position(struct kt_link *link, struct kt_link_position position);

/*
 * (Re-)arms the deadline: unless it is moved or taken back within @limit_ns, late() is called with
 * @what, which is borrowed.
 */
void kt_link_await(struct kt_link *link, const char *what, uint64_t limit_ns);
void kt_link_await_nothing(struct kt_link *link);

/* Returns what the guest is waited for, "" when it is nothing. */
const char *kt_link_awaited(const struct kt_link *link);

/* Queues a frame of at most KT_FRAME_PAYLOAD_MAX bytes; -ENOMEM. */
int kt_link_send(struct kt_link *link, enum kt_message type, const void *payload, size_t len);

/* What guests of one image must not have in common: the host's time, and random bytes. */
int kt_link_make_wake(struct kt_msg_wake *ret_wake);
