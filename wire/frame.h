/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Frames: how bytes on the bulk port become messages.
 *
 * A frame is a 16-byte little-endian header {u32 type, u32 length, u32 sequence, u32 crc} and
 * @length bytes of payload. The type is four ASCII characters. Each direction counts its frames
 * from 0. The CRC-32C covers the header with crc = 0 and the payload. The receiver treats its peer
 * as hostile: the length is checked before anything is allocated, and the first fault is final.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define KT_FRAME_HEADER_LEN  16u
#define KT_FRAME_PAYLOAD_MAX (1u << 20)

#define KT_FRAME_TYPE(a, b, c, d)                                                                  \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* The writing side of one direction. */
struct kt_frame_tx {
	uint32_t sequence; /* of the next frame */
};

/* Fills @header for a payload of @len (at most KT_FRAME_PAYLOAD_MAX) bytes and counts the frame. */
void kt_frame_seal(struct kt_frame_tx *tx, uint32_t type, const void *payload, uint32_t len,
		   uint8_t header[KT_FRAME_HEADER_LEN]);

/* The reading side of one direction. */
struct kt_frame_rx {
	uint32_t sequence; /* expected next */
	size_t have;       /* bytes of the current frame so far */
	uint8_t header[KT_FRAME_HEADER_LEN];
	uint8_t *payload; /* room for one frame, grown on demand */
	size_t room;
	int fault; /* negative errno once the stream is broken */
};

/* A received frame; @payload belongs to the receiver and is good until its next call. */
struct kt_frame {
	uint32_t type;
	uint32_t len;
	const uint8_t *payload; /* followed by a NUL byte that is not part of it */
};

#define KT_FRAME_RX_NULL ((struct kt_frame_rx){ 0 })

void kt_frame_rx_deinit(struct kt_frame_rx *rx);

/*
 * Takes bytes from *@data, advancing *@data and *@len. Returns 1 with a frame in *@ret_frame, 0
 * when the bytes are used up, or a negative errno: -EBADMSG for a bad type, length, sequence or
 * CRC. After an error every further call returns it again.
 */
int kt_frame_rx_take(struct kt_frame_rx *rx, const uint8_t **data, size_t *len,
		     struct kt_frame *ret_frame, struct kt_err *reterr);

/* The four characters of @type as text, unprintable ones as '?'. */
const char *kt_frame_type_text(uint32_t type, char text[5]);
