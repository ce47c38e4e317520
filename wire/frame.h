/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Frames: how the byte stream of the bulk port is divided into messages.
 *
 * A frame is a 16-byte little-endian header {u32 type, u32 length, u32 sequence, u32 crc} and
 * @length bytes of payload. The type is four printable ASCII characters. Each direction counts its
 * frames from 0. The CRC-32C covers the header, with crc = 0, and the payload.
 *
 * The receiver does not trust the sender: it checks the length before it allocates anything, and
 * after the first malformed frame it accepts no other.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define KT_FRAME_HEADER_LEN  16u        /* bytes */
#define KT_FRAME_PAYLOAD_MAX (1u << 20) /* bytes; a longer payload is malformed */

#define KT_FRAME_TYPE(a, b, c, d)                                                                  \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* The sending side of one direction; all zeros at the beginning. */
struct kt_frame_tx {
	uint32_t sequence; /* of the next frame */
};

/*
 * Writes the header of a frame whose payload is the @len bytes at @payload, at most
 * KT_FRAME_PAYLOAD_MAX, and counts the frame. The caller sends the header and then the payload.
 */
void kt_frame_seal(struct kt_frame_tx *tx, uint32_t type, const void *payload, uint32_t len,
		   uint8_t header[KT_FRAME_HEADER_LEN]);

/* The receiving side of one direction. */
struct kt_frame_rx {
	uint32_t sequence;                   /* that the next frame must have */
	size_t have;                         /* bytes of the current frame, header included */
	uint8_t header[KT_FRAME_HEADER_LEN]; /* of the current frame, as far as it has arrived */
	uint8_t *payload;                    /* owned; grows to the longest payload so far */
	size_t room;                         /* bytes allocated at @payload */
	int fault;                           /* the error that ended the stream; 0: none yet */
};

/* A received frame. */
struct kt_frame {
	uint32_t type;
	uint32_t len; /* bytes of payload */
	/* Owned by the receiver, valid until its next call; a NUL that is not counted follows. */
	const uint8_t *payload;
};

#define KT_FRAME_RX_NULL ((struct kt_frame_rx){ 0 })

void kt_frame_rx_deinit(struct kt_frame_rx *rx);

/*
 * Takes bytes from *@data until a frame is complete, and advances *@data and *@len by the bytes
 * taken. Returns 1 with the frame in *@ret_frame, or 0 when all bytes are taken and the frame is
 * still incomplete. -EBADMSG for a wrong type, length, sequence or CRC; -ENOMEM. After an error
 * every further call returns that error.
 */
int kt_frame_rx_take(struct kt_frame_rx *rx, const uint8_t **data, size_t *len,
		     struct kt_frame *ret_frame, struct kt_err *reterr);

/*
 * Returns how many bytes may be taken before the next frame can be complete: the rest of its
 * header, or the rest of its payload once the header is there. At least 1.
 */
size_t kt_frame_rx_missing(const struct kt_frame_rx *rx);

/* Writes the four characters of @type, unprintable ones as '?', to @text and returns @text. */
const char *kt_frame_type_text(uint32_t type, char text[5]);
