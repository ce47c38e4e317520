/* SPDX-License-Identifier: MIT */
/* Frames from a guest. Byte 0: whether CRCs are corrected; byte 1: bytes per arrival. */
#include <stdbool.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "util/cleanup.h"
#include "wire/frame.h"

/* A mutated frame would never get past its CRC: each frame gets the correct sequence and CRC. */
static void make_right(uint8_t *data, size_t size)
{
	struct kt_frame_tx tx = { 0 };

	while (size >= KT_FRAME_HEADER_LEN) {
		uint32_t type, len;

		memcpy(&type, data, 4);
		memcpy(&len, data + 4, 4);
		if (len > size - KT_FRAME_HEADER_LEN)
			return;
		kt_frame_seal(&tx, type, data + KT_FRAME_HEADER_LEN, len, data);
		data += KT_FRAME_HEADER_LEN + len;
		size -= KT_FRAME_HEADER_LEN + len;
	}
}

static void check_frame(const struct kt_frame *frame)
{
	char type[5];

	KT_FUZZ_ASSERT(frame->len <= KT_FRAME_PAYLOAD_MAX);
	KT_FUZZ_ASSERT(frame->payload[frame->len] == '\0');
	KT_FUZZ_ASSERT(strlen(kt_frame_type_text(frame->type, type)) == 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kt_frame_rx rx = KT_FRAME_RX_NULL;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *copy = NULL;
	const uint8_t *at;
	size_t piece;
	int r = 0;

	if (size < 2)
		return 0;
	copy = kt_fuzz_text(data + 2, size - 2);
	if (data[0] & 1)
		make_right((uint8_t *)copy, size - 2);
	at = (const uint8_t *)copy;
	for (size_t left = size - 2; left; left -= piece) {
		const uint8_t *bytes = at;
		size_t len = piece = KT_MIN(left, (size_t)data[1] + 1);
		struct kt_frame frame;

		while ((r = kt_frame_rx_take(&rx, &bytes, &len, &frame, &err)) > 0)
			check_frame(&frame);
		KT_FUZZ_ASSERT(r < 0 ? rx.fault == r && err.text[0] : len == 0);
		at += piece;
	}
	kt_frame_rx_deinit(&rx);
	return 0;
}
