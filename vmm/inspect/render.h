/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Any typed value as text for people, or as JSON. Bounds make both end, and end soon, whatever the
 * guest's memory holds; what they leave out is marked: "..." in a text, and in JSON a member
 * "truncated" of an object, or a last element {"truncated": N} of an array with N more elements.
 *
 * Texts (char arrays and pointers to char) are shown as such, enums by name, pointers as
 * "0xff..." with the symbol if they point to one. 64-bit numbers that JSON readers would round are
 * still numbers: jansson keeps 64 bits; those above INT64_MAX are texts in hexadecimal.
 */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/path.h"

struct kt_render_limits {
	unsigned int depth;    /* of structs and arrays in each other, default 4 */
	unsigned int pointers; /* pointers to structs that are followed, default 0 */
	unsigned int elements; /* of one array, default 32 */
	size_t text_len;       /* bytes of one text, default 256 */
	size_t bytes;          /* of output, about; default 256 KiB */
	size_t memory;         /* bytes read from the guest, default 4 MiB */
	uint64_t cpu_ns;       /* of CPU time, default 1 s; 0: no limit */
};

#define KT_RENDER_LIMITS_DEFAULT                                                                   \
	((struct kt_render_limits){ .depth = 4,                                                    \
				    .pointers = 0,                                                 \
				    .elements = 32,                                                \
				    .text_len = 256,                                               \
				    .bytes = 256u << 10,                                           \
				    .memory = 4u << 20,                                            \
				    .cpu_ns = UINT64_C(1000000000) })

/* @limits may be NULL for the default. *@ret_text is to be freed, *@ret_json has one reference. */
int kt_render_text(struct kt_inspect *inspect, const struct kt_place *place,
		   const struct kt_render_limits *limits, char **ret_text, struct kt_err *reterr);
int kt_render_json(struct kt_inspect *inspect, const struct kt_place *place,
		   const struct kt_render_limits *limits, json_t **ret_json, struct kt_err *reterr);

/*
 * Prints a tree whose leaves are texts, as kt_render_text() makes them, over several lines if it
 * must be. Returns a text to be freed, NULL when out of memory.
 */
char *kt_render_print(const json_t *json);
