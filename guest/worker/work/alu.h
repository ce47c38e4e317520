/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Dense arithmetic that keeps a multiplier busy: Marsaglia's multiply-with-carry generator in each
 * of 32 lanes of 64 bits. One instruction advances as many lanes as a vector register holds. Every
 * width computes the same numbers, which a unit test compares.
 */

#include <stdint.h>

#include <ktest/work.h>

/* Four vectors of 512 bits, which are independent and so hide the latency of a multiplication. */
#define KT_ALU_LANES 32

struct kt_alu {
	const char *extension; /* of the instruction set, for messages: "AVX2" */
	unsigned int lanes;    /* lanes that one instruction advances: 1, 2, 4, 8 */
	/* Advances all lanes by @steps: @steps * KT_ALU_LANES multiply-adds. */
	void (*run)(uint64_t state[KT_ALU_LANES], unsigned int steps);
};

/* The widths that this CPU and its kernel support, as a mask of bits like 1 << KT_ALU_256. */
unsigned int kt_alu_available(void);

/*
 * The implementation of @width, or NULL when @available (a mask as above) does not contain it.
 * KT_ALU_WIDEST is the widest in @available. The result is static.
 */
const struct kt_alu *kt_alu_find(enum kt_alu_width width, unsigned int available);

/* Why this CPU does not support @width, or NULL when it does. */
const char *kt_alu_lacks(enum kt_alu_width width);

/* Fills the lanes with different states, by @seed. */
void kt_alu_init(uint64_t state[KT_ALU_LANES], uint64_t seed);
