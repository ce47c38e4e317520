/* SPDX-License-Identifier: MIT */
#pragma once
/* Watches: memory of the guest at which the machine stops (kt_machine_watch()). */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

#define KT_WATCHES_MAX 200u /* of any machine */

enum kt_watch_kind {
	KT_WATCH_ON_WRITE,
	KT_WATCH_ON_ACCESS, /* read or write */
};

enum kt_watch_compare {
	KT_WATCH_ALWAYS, /* no condition */
	KT_WATCH_EQ,
	KT_WATCH_NE,
	KT_WATCH_LT,
	KT_WATCH_LE,
	KT_WATCH_GT,
	KT_WATCH_GE,
	KT_WATCH_N_COMPARES,
};

/* A condition on the value that is in memory after the access. */
struct kt_watch_condition {
	enum kt_watch_compare compare;
	bool is_signed;
	uint8_t bit_shift; /* of a bit-field: its lowest bit, counted from the address */
	uint8_t bit_size;  /* of a bit-field: its width; 0: the value has the watch's length */
	uint64_t number;   /* that the value is compared with */
};

struct kt_watch {
	uint64_t address; /* of the guest's kernel; virtual */
	uint32_t len;     /* bytes; with a condition, 1 to 8 */
	enum kt_watch_kind kind;
	struct kt_watch_condition when;
};

/* Whether the value, the little-endian number @raw of the watch's bytes, meets the condition. */
bool kt_watch_holds(const struct kt_watch *watch, uint64_t raw);

/* What the condition takes of @raw; a signed value is extended to 64 bits. */
uint64_t kt_watch_value(const struct kt_watch *watch, uint64_t raw);

/* Whether both watch the same memory for the same kind of accesses. */
bool kt_watch_is_same(const struct kt_watch *a, const struct kt_watch *b);

/* Whether the watch is possible at all: 0, or -EINVAL with a text. */
int kt_watch_check(const struct kt_watch *watch, struct kt_err *reterr);

/*
 * Whether a machine that has @other can have @watch, too: 0 if they are the same or apart, -EBUSY
 * with a text if they share a part of their bytes.
 */
int kt_watch_beside(const struct kt_watch *watch, const struct kt_watch *other,
		    struct kt_err *reterr);
