/* SPDX-License-Identifier: MIT */
#include "wire/frame.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "wire/crc32c.h"
#include "wire/message.h"

/*
 * The sender seals one header per frame. The receiver is a state machine that is fed with whatever
 * bytes the port delivers: rx->have tells how much of the current frame has arrived, first the
 * header, then the payload. The peer is not trusted: nothing is allocated before check_header() has
 * bounded the length, and the first error is stored in rx->fault, because the beginning of the next
 * frame cannot be found in a broken stream.
 */

/* As on the wire, where it is little-endian. */
struct header {
	uint32_t type;
	uint32_t length;
	uint32_t sequence;
	uint32_t crc;
};

_Static_assert(sizeof(struct header) == KT_FRAME_HEADER_LEN, "wire format");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "headers are copied as they are");

/* The CRC that the header must carry: over the header with crc = 0, and the payload. */
static uint32_t frame_crc(struct header header, const void *payload)
{
	header.crc = 0;
	return kt_crc32c(kt_crc32c(0, &header, sizeof(header)), payload, header.length);
}

void kt_frame_seal(struct kt_frame_tx *tx, uint32_t type, const void *payload, uint32_t len,
		   uint8_t out[KT_FRAME_HEADER_LEN])
{
	struct header header = { .type = type, .length = len, .sequence = tx->sequence++ };

	header.crc = frame_crc(header, payload);
	memcpy(out, &header, sizeof(header));
}

void kt_frame_rx_deinit(struct kt_frame_rx *rx)
{
	free(rx->payload);
	*rx = KT_FRAME_RX_NULL;
}

const char *kt_frame_type_text(uint32_t type, char text[5])
{
	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)(type >> 8 * i);

		text[i] = c >= ' ' && c <= '~' ? (char)c : '?';
	}
	text[4] = '\0';
	return text;
}

/* Everything that can be wrong with a header but its CRC, which needs the payload. */
static int check_header(const struct kt_frame_rx *rx, const struct header *header,
			struct kt_err *reterr)
{
	char type[5];

	for (int i = 0; i < 4; i++) {
		unsigned char c = (unsigned char)(header->type >> 8 * i);

		if (c < ' ' || c > '~')
			return kt_err_set(reterr, -EBADMSG,
					  "malformed frame %u: type 0x%08x is not four characters",
					  rx->sequence, header->type);
	}
	kt_frame_type_text(header->type, type);
	if (header->length > KT_FRAME_PAYLOAD_MAX)
		return kt_err_set(reterr, -EBADMSG,
				  "malformed frame %u '%s': length %u is over the limit of %u",
				  rx->sequence, type, header->length, KT_FRAME_PAYLOAD_MAX);
	if (header->type == KT_MSG_HELLO && !header->sequence && rx->sequence)
		return kt_err_set(reterr, -ECONNRESET, "PID 1 of the guest was started again");
	if (header->sequence != rx->sequence)
		return kt_err_set(reterr, -EBADMSG,
				  "malformed frame '%s': sequence %u where %u was due", type,
				  header->sequence, rx->sequence);
	return 0;
}

/* Makes room for @len bytes and the NUL behind them. The room is kept for later frames. */
static int reserve_payload(struct kt_frame_rx *rx, size_t len)
{
	uint8_t *grown;

	if (len < rx->room)
		return 0;
	grown = realloc(rx->payload, len + 1);
	if (!grown)
		return -ENOMEM;
	rx->payload = grown;
	rx->room = len + 1;
	return 0;
}

/*
 * Copies up to @want bytes from *@data to @to, advances *@data and *@len, and returns the number of
 * bytes copied.
 */
static size_t move_bytes(uint8_t *to, size_t want, const uint8_t **data, size_t *len)
{
	size_t n = KT_MIN(want, *len);

	if (n)
		memcpy(to, *data, n);
	*data += n;
	*len -= n;
	return n;
}

/*
 * Returns 1 with a complete and checked header, 0 when more bytes are needed, or a negative errno.
 * The header is checked once, when its last byte arrives.
 */
static int take_header(struct kt_frame_rx *rx, const uint8_t **data, size_t *len,
		       struct header *ret_header, struct kt_err *reterr)
{
	bool whole = rx->have >= KT_FRAME_HEADER_LEN;
	int r;

	if (!whole)
		rx->have += move_bytes(rx->header + rx->have, KT_FRAME_HEADER_LEN - rx->have, data,
				       len);
	if (rx->have < KT_FRAME_HEADER_LEN)
		return 0;
	memcpy(ret_header, rx->header, sizeof(*ret_header));
	if (whole)
		return 1;
	r = check_header(rx, ret_header, reterr);
	if (r < 0)
		return r;
	r = reserve_payload(rx, ret_header->length);
	return r < 0 ? kt_err_oom(reterr) : 1;
}

static int take_frame(struct kt_frame_rx *rx, const uint8_t **data, size_t *len,
		      struct kt_frame *ret_frame, struct kt_err *reterr)
{
	struct header header;
	size_t had;
	char type[5];
	int r;

	r = take_header(rx, data, len, &header, reterr);
	if (r <= 0)
		return r;
	/* Bytes of the payload that arrived with earlier calls. */
	had = rx->have - KT_FRAME_HEADER_LEN;
	rx->have += move_bytes(rx->payload + had, header.length - had, data, len);
	if (rx->have < KT_FRAME_HEADER_LEN + header.length)
		return 0;
	if (frame_crc(header, rx->payload) != header.crc)
		return kt_err_set(reterr, -EBADMSG,
				  "malformed frame %u '%s': CRC 0x%08x, computed 0x%08x",
				  rx->sequence, kt_frame_type_text(header.type, type), header.crc,
				  frame_crc(header, rx->payload));
	rx->payload[header.length] = '\0';
	rx->sequence++;
	rx->have = 0;
	*ret_frame = (struct kt_frame){
		.type = header.type,
		.len = header.length,
		.payload = rx->payload,
	};
	return 1;
}

int kt_frame_rx_take(struct kt_frame_rx *rx, const uint8_t **data, size_t *len,
		     struct kt_frame *ret_frame, struct kt_err *reterr)
{
	int r;

	if (rx->fault)
		return kt_err_set(reterr, rx->fault, "the frame stream broke earlier");
	r = take_frame(rx, data, len, ret_frame, reterr);
	if (r < 0)
		rx->fault = r;
	return r;
}

size_t kt_frame_rx_missing(const struct kt_frame_rx *rx)
{
	struct header header;

	if (rx->have < KT_FRAME_HEADER_LEN)
		return KT_FRAME_HEADER_LEN - rx->have;
	memcpy(&header, rx->header, sizeof(header));
	return header.length - (rx->have - KT_FRAME_HEADER_LEN);
}
