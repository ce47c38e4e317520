/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The messages of the bulk port: the type of each frame, and the payloads that are fixed structs.
 * Both ends run on the same machine type, so structs are sent as they are in memory.
 */

#include <stdint.h>

#include "wire/frame.h"

/* To be raised with every change of a payload's meaning: both ends must have the same version. */
#define KT_WIRE_VERSION 10

/* The name of the virtio-serial port. */
#define KT_WIRE_PORT_NAME "org.ktest.bulk"

enum kt_message {
	/* from the guest to the host */
	KT_MSG_HELLO = KT_FRAME_TYPE('H', 'E', 'L', 'O'),            /* JSON: wire/hello.h */
	KT_MSG_STEP_BEGIN = KT_FRAME_TYPE('S', 'T', 'E', 'P'),       /* struct kt_msg_step */
	KT_MSG_STEP_END = KT_FRAME_TYPE('S', 'T', 'E', 'N'),         /* struct kt_msg_step */
	KT_MSG_STDOUT = KT_FRAME_TYPE('S', 'O', 'U', 'T'),           /* bytes: KT_STDIO_CHUNK_MAX */
	KT_MSG_STDERR = KT_FRAME_TYPE('S', 'E', 'R', 'R'),           /* bytes: KT_STDIO_CHUNK_MAX */
	KT_MSG_SCX_LOG = KT_FRAME_TYPE('S', 'L', 'O', 'G'),          /* a scheduler's output */
	KT_MSG_SCX_DUMP = KT_FRAME_TYPE('S', 'D', 'M', 'P'),         /* the kernel's dump of it */
	KT_MSG_TRACE = KT_FRAME_TYPE('T', 'R', 'A', 'C'),            /* text of ftrace */
	KT_MSG_DMESG = KT_FRAME_TYPE('D', 'M', 'S', 'G'),            /* kernel log text */
	KT_MSG_RESULT = KT_FRAME_TYPE('R', 'S', 'L', 'T'),           /* wire/result.h */
	KT_MSG_CRASH = KT_FRAME_TYPE('C', 'R', 'S', 'H'),            /* struct kt_msg_crash */
	KT_MSG_DOING = KT_FRAME_TYPE('D', 'O', 'I', 'N'),            /* text: KT_DOING_MAX */
	KT_MSG_SETTLED = KT_FRAME_TYPE('S', 'E', 'T', 'D'),          /* empty: SETTLE is done */
	KT_MSG_WOKE = KT_FRAME_TYPE('W', 'O', 'K', 'E'),             /* empty: WAKE is done */
	KT_MSG_KERNEL_REQUEST = KT_FRAME_TYPE('K', 'O', 'P', 'Q'),   /* wire/kernel_op.h */
	KT_MSG_WATCH_REQUEST = KT_FRAME_TYPE('W', 'T', 'R', 'Q'),    /* wire/watch_op.h */
	KT_MSG_SNAPSHOT_REQUEST = KT_FRAME_TYPE('S', 'N', 'R', 'Q'), /* wire/snapshot.h */
	KT_MSG_BYE = KT_FRAME_TYPE('B', 'Y', 'E', ' '),              /* struct kt_msg_bye */

	/* from the host to the guest */
	KT_MSG_SETTLE = KT_FRAME_TYPE('S', 'E', 'T', 'L'), /* empty: prepare to be saved */
	KT_MSG_FILE = KT_FRAME_TYPE('F', 'I', 'L', 'E'),   /* struct kt_msg_file, path, bytes */
	KT_MSG_REMOVE = KT_FRAME_TYPE('R', 'M', 'V', 'E'), /* paths of files, each with a NUL */
	KT_MSG_EXEC = KT_FRAME_TYPE('E', 'X', 'E', 'C'),   /* empty: execute /init, answer HELO */
	KT_MSG_WAKE = KT_FRAME_TYPE('W', 'A', 'K', 'E'),   /* struct kt_msg_wake */
	KT_MSG_RUN = KT_FRAME_TYPE('R', 'U', 'N', ' '),    /* wire/run.h */
	KT_MSG_RESULT_ACK = KT_FRAME_TYPE('R', 'A', 'C', 'K'),     /* empty: RSLT has arrived */
	KT_MSG_KERNEL_REPLY = KT_FRAME_TYPE('K', 'O', 'P', 'R'),   /* wire/kernel_op.h */
	KT_MSG_WATCH_REPLY = KT_FRAME_TYPE('W', 'T', 'R', 'P'),    /* wire/watch_op.h */
	KT_MSG_SNAPSHOT_REPLY = KT_FRAME_TYPE('S', 'N', 'R', 'P'), /* wire/snapshot.h */
	KT_MSG_STDIN = KT_FRAME_TYPE('S', 'T', 'D', 'I'),          /* bytes; empty: end of file */
	KT_MSG_WINDOW = KT_FRAME_TYPE('W', 'I', 'N', 'S'),         /* struct kt_msg_window */
};

/*
 * What must differ between guests that are restored from the same template. It is a part of RUN; a
 * guest that is prepared before its turn gets it earlier, as WAKE.
 */
struct kt_msg_wake {
	uint64_t realtime_ns; /* the host's CLOCK_REALTIME; 0: the guest keeps its own */
	uint8_t entropy[32];  /* for the kernel's random pool */
};

_Static_assert(sizeof(struct kt_msg_wake) == 40, "wire format");

/*
 * A piece of a file, followed by the path in the guest and the bytes that belong at @offset. Pieces
 * come in order. The piece that ends at @total completes the file, which then replaces the one that
 * has its path.
 */
struct kt_msg_file {
	uint32_t path_len; /* bytes, without a NUL; 1..KT_FILE_PATH_MAX */
	uint32_t mode;     /* permission bits */
	uint64_t offset;   /* bytes */
	uint64_t total;    /* bytes of the whole file */
};

_Static_assert(sizeof(struct kt_msg_file) == 24, "wire format");

#define KT_FILE_PATH_MAX  4000u
#define KT_FILE_PIECE_MAX (256u << 10) /* bytes of a file in one frame */

#define KT_DOING_MAX 400u /* bytes of what PID 1 does, sent shortly before the test's limit */

#define KT_STDIO_CHUNK_MAX 4096u /* bytes of input or output in one frame */

/* The state of the scenario when the hold of a step begins, and again when it ends. */
struct kt_msg_step {
	uint32_t index;      /* of the step, from 0 */
	uint32_t n_cgroups;  /* that exist now */
	uint32_t n_workers;  /* that are alive now */
	uint32_t n_ops;      /* operations of this step */
	uint64_t elapsed_ns; /* since the test began */
	uint64_t op_kinds;   /* of this step's operations: bit N stands for enum kt_op_kind N */
};

_Static_assert(sizeof(struct kt_msg_step) == 32, "wire format");

#define KT_CRASH_FRAMES_MAX 30u

/* The last message of a PID 1 that gets a fatal signal. */
struct kt_msg_crash {
	uint32_t signal;        /* number */
	int32_t code;           /* si_code */
	uint64_t fault_address; /* si_addr */
	uint32_t step;          /* index from 0; UINT32_MAX outside the steps */
	uint32_t n_frames;      /* of frames[] in use */
	/* Code addresses relative to the load address of the program, innermost first. */
	uint64_t frames[KT_CRASH_FRAMES_MAX];
};

_Static_assert(sizeof(struct kt_msg_crash) == 24 + 8 * KT_CRASH_FRAMES_MAX, "wire format");

/*
 * The last message of a guest: the host may end the machine. It proves that the guest has got RACK
 * and has ended what the test left behind; otherwise a result might get lost, or a test be judged
 * while a part of it still runs, and nobody would notice.
 */
struct kt_msg_bye {
	uint32_t received; /* number of frames that the guest has taken, modulo 2^32 */
	uint32_t is_alone; /* 1: PID 1 is the only process of user space; 0: there are others */
};

_Static_assert(sizeof(struct kt_msg_bye) == 8, "wire format");

/* The size of the terminal of a shell has changed. */
struct kt_msg_window {
	uint16_t rows;
	uint16_t columns;
};

_Static_assert(sizeof(struct kt_msg_window) == 4, "wire format");
