/* SPDX-License-Identifier: MIT */
#pragma once
/* A machine and the frames that are spoken with its guest. */

#include "vmm/machine.h"
#include "wire/frame.h"
#include "wire/message.h"

struct kt_link;

/* Called from the event loop; each may destroy nothing, but stop the loop. */
struct kt_link_events {
	void (*frame)(void *data, const struct kt_frame *frame);
	void (*console)(void *data, const uint8_t *bytes, size_t len);
	void (*broken)(
		void *data,
		const char *why); /* a malformed frame, or no guard; nothing comes after it */
	void (*exited)(void *data, const struct kt_machine_exit *exit);
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

/* Queues a frame of at most KT_FRAME_PAYLOAD_MAX bytes; -ENOMEM. */
int kt_link_send(struct kt_link *link, enum kt_message type, const void *payload, size_t len);

/* What guests of one image must not have in common: the host's time, and random bytes. */
int kt_link_make_wake(struct kt_msg_wake *ret_wake);
