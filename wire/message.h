/* SPDX-License-Identifier: MIT */
#pragma once
/* What is said over the bulk port: the frame types, and the structs of those with fixed payloads.
 */

#include <stdint.h>

#include "wire/frame.h"

/* Raised whenever a frame changes its meaning; both ends must agree exactly. */
#define KT_WIRE_VERSION 2

#define KT_WIRE_PORT_NAME "org.ktest.bulk"

/* An x86 I/O port that ends the machine when KT_WIRE_EXIT_VALUE is written to it. */
#define KT_WIRE_EXIT_PORT  0xf4
#define KT_WIRE_EXIT_VALUE 0x20

enum kt_message {
	/* guest to host */
	KT_MSG_HELLO = KT_FRAME_TYPE('H', 'E', 'L', 'O'),      /* JSON: wire/hello.h */
	KT_MSG_STEP_BEGIN = KT_FRAME_TYPE('S', 'T', 'E', 'P'), /* struct kt_msg_step */
	KT_MSG_STEP_END = KT_FRAME_TYPE('S', 'T', 'E', 'N'),   /* struct kt_msg_step */
	KT_MSG_STDOUT = KT_FRAME_TYPE('S', 'O', 'U', 'T'),     /* bytes, at most 4 KiB */
	KT_MSG_STDERR = KT_FRAME_TYPE('S', 'E', 'R', 'R'),     /* bytes, at most 4 KiB */
	KT_MSG_SCX_LOG = KT_FRAME_TYPE('S', 'L', 'O', 'G'),    /* what a scheduler has printed */
	KT_MSG_SCX_DUMP = KT_FRAME_TYPE('S', 'D', 'M', 'P'),   /* what the kernel dumps of it */
	KT_MSG_DMESG = KT_FRAME_TYPE('D', 'M', 'S', 'G'),      /* kernel log text */
	KT_MSG_RESULT = KT_FRAME_TYPE('R', 'S', 'L', 'T'),     /* wire/result.h */
	KT_MSG_CRASH = KT_FRAME_TYPE('C', 'R', 'S', 'H'),      /* struct kt_msg_crash */
	KT_MSG_SETTLED = KT_FRAME_TYPE('S', 'E', 'T', 'D'),    /* empty */
	KT_MSG_WOKE = KT_FRAME_TYPE('W', 'O', 'K', 'E'),       /* empty */

	/* host to guest */
	KT_MSG_SETTLE = KT_FRAME_TYPE('S', 'E', 'T', 'L'), /* empty: become small and quiet */
	KT_MSG_FILE = KT_FRAME_TYPE('F', 'I', 'L', 'E'),   /* struct kt_msg_file, path, bytes */
	KT_MSG_EXEC = KT_FRAME_TYPE('E', 'X', 'E', 'C'),   /* empty: run /init anew, say HELO */
	KT_MSG_WAKE = KT_FRAME_TYPE('W', 'A', 'K', 'E'),   /* struct kt_msg_wake; answer: WOKE */
	KT_MSG_RUN = KT_FRAME_TYPE('R', 'U', 'N', ' '),    /* wire/run.h */
	KT_MSG_RESULT_ACK = KT_FRAME_TYPE('R', 'A', 'C', 'K'), /* empty */
	KT_MSG_STDIN = KT_FRAME_TYPE('S', 'T', 'D', 'I'),      /* bytes, empty for end of file */
	KT_MSG_WINDOW = KT_FRAME_TYPE('W', 'I', 'N', 'S'),     /* struct kt_msg_window */
};

/* What must differ between guests that were restored from one image: comes with RUN, or ahead. */
struct kt_msg_wake {
	uint64_t realtime_ns; /* the host's CLOCK_REALTIME */
	uint8_t entropy[32];  /* for the random pool */
};

_Static_assert(sizeof(struct kt_msg_wake) == 40, "wire format");

/*
 * A piece of a file, followed by its path in the guest and by bytes that belong at @offset. The
 * file takes its place when the piece comes that ends at @total.
 */
struct kt_msg_file {
	uint32_t path_len; /* without a NUL */
	uint32_t mode;     /* permission bits */
	uint64_t offset;
	uint64_t total;
};

_Static_assert(sizeof(struct kt_msg_file) == 24, "wire format");

#define KT_FILE_PATH_MAX  4000u
#define KT_FILE_PIECE_MAX (256u << 10) /* bytes of a file in one frame */

#define KT_STDIO_CHUNK_MAX 4096u

/* The stimulus: what a step has set up by the time its hold begins, and again at its end. */
struct kt_msg_step {
	uint32_t index;      /* counts from 0 */
	uint32_t n_cgroups;  /* alive now */
	uint32_t n_workers;  /* alive now */
	uint32_t n_ops;      /* of this step */
	uint64_t elapsed_ns; /* since the test began */
	uint64_t op_kinds;   /* bit enum kt_op_kind is set for each kind in this step */
};

_Static_assert(sizeof(struct kt_msg_step) == 32, "wire format");

#define KT_CRASH_FRAMES_MAX 30u

/* Last words of a fatal signal in PID 1. Code addresses are relative to the load address of the
 * ELF. */
struct kt_msg_crash {
	uint32_t signal;
	int32_t code;           /* si_code */
	uint64_t fault_address; /* si_addr */
	uint32_t step;          /* UINT32_MAX outside the steps */
	uint32_t n_frames;      /* of frames[], innermost first */
	uint64_t frames[KT_CRASH_FRAMES_MAX];
};

_Static_assert(sizeof(struct kt_msg_crash) == 24 + 8 * KT_CRASH_FRAMES_MAX, "wire format");

struct kt_msg_window {
	uint16_t rows;
	uint16_t columns;
};

_Static_assert(sizeof(struct kt_msg_window) == 4, "wire format");
