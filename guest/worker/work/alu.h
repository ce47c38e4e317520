/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Dense arithmetic: multiply-with-carry generators (Marsaglia), one in each 64-bit lane, advanced as
 * many lanes at once as a vector has. The same numbers come out of every width.
 */

#include <stdint.h>

#include <ktest/work.h>

#define KT_ALU_LANES                                                                               \
	32 /* four vectors of 512 bits: enough to hide how long a multiplication takes */

struct kt_alu {
	const char *extension; /* of the CPU: "AVX2" */
	unsigned int lanes;    /* that one instruction advances */
	void (*run)(uint64_t state[KT_ALU_LANES], unsigned int steps);
};

/* The widths that this CPU and its kernel have, a bit for each: 1 << KT_ALU_256. */
unsigned int kt_alu_available(void);

/* What @width asks for, or NULL when that is not among @available. */
const struct kt_alu *kt_alu_find(enum kt_alu_width width, unsigned int available);

/* Why @width cannot be had on this CPU, or NULL when it can. */
const char *kt_alu_lacks(enum kt_alu_width width);

void kt_alu_init(uint64_t state[KT_ALU_LANES], uint64_t seed);
