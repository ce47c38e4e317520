/* SPDX-License-Identifier: MIT */
#include "guest/worker/work/alu.h"

#include <immintrin.h>
#include <stddef.h>

#include "util/cleanup.h"

/*
 * The loops of guest/worker/work/alu.h: one without vectors, and one for each vector width from a
 * macro. The inner loops work on registers only, so their speed does not depend on caches.
 */

#define FACTOR   UINT64_C(0xfffeb81b) /* of the generator: x = FACTOR * low half + high half */
#define TOGETHER 4                    /* vectors in one loop; none depends on another */

/*
 * The empty asm makes the compiler keep each lane in a general register. Without it the compiler
 * would turn the four lanes into a vector.
 */
static void run_scalar(uint64_t state[KT_ALU_LANES], unsigned int steps)
{
	for (uint64_t *at = state; at < state + KT_ALU_LANES; at += TOGETHER) {
		uint64_t a = at[0], b = at[1], c = at[2], d = at[3];

		for (unsigned int i = 0; i < steps; i++) {
			a = FACTOR * (uint32_t)a + (a >> 32);
			b = FACTOR * (uint32_t)b + (b >> 32);
			c = FACTOR * (uint32_t)c + (c >> 32);
			d = FACTOR * (uint32_t)d + (d >> 32);
			__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d));
		}
		at[0] = a;
		at[1] = b;
		at[2] = c;
		at[3] = d;
	}
}

/*
 * The same loop for one vector width. @mm is the prefix of the width's intrinsics, @whole the
 * suffix of its loads and stores, @each the suffix of its broadcast.
 */
#define STEP(mm, x) x = mm##_add_epi64(mm##_mul_epu32(x, factor), mm##_srli_epi64(x, 32))
#define DEFINE_RUN(name, isa, vector, mm, whole, each)                                             \
	__attribute__((target(isa))) static void name(uint64_t state[KT_ALU_LANES],                \
						      unsigned int steps)                          \
	{                                                                                          \
		const vector factor = mm##_set1_##each((long long)FACTOR);                         \
		vector *at = (void *)state, *end = (void *)(state + KT_ALU_LANES);                 \
                                                                                                   \
		for (; at < end; at += TOGETHER) {                                                 \
			vector a = mm##_loadu_##whole(at), b = mm##_loadu_##whole(at + 1);         \
			vector c = mm##_loadu_##whole(at + 2), d = mm##_loadu_##whole(at + 3);     \
                                                                                                   \
			for (unsigned int i = 0; i < steps; i++) {                                 \
				STEP(mm, a);                                                       \
				STEP(mm, b);                                                       \
				STEP(mm, c);                                                       \
				STEP(mm, d);                                                       \
			}                                                                          \
			mm##_storeu_##whole(at, a);                                                \
			mm##_storeu_##whole(at + 1, b);                                            \
			mm##_storeu_##whole(at + 2, c);                                            \
			mm##_storeu_##whole(at + 3, d);                                            \
		}                                                                                  \
	}

DEFINE_RUN(run_128, "sse2", __m128i, _mm, si128, epi64x)
DEFINE_RUN(run_256, "avx2", __m256i, _mm256, si256, epi64x)
DEFINE_RUN(run_512, "avx512f", __m512i, _mm512, si512, epi64)

/* By enum kt_alu_width. KT_ALU_WIDEST has no entry of its own: kt_alu_find() resolves it. */
static const struct {
	struct kt_alu alu;
	const char *lacks;
} widths[] = {
	[KT_ALU_SCALAR] = { { "x86-64", 1, run_scalar }, NULL },
	[KT_ALU_128] = { { "SSE2", 2, run_128 }, "the CPU has no SSE2, for vectors of 128 bits" },
	[KT_ALU_256] = { { "AVX2", 4, run_256 }, "the CPU has no AVX2, for vectors of 256 bits" },
	[KT_ALU_512] = { { "AVX-512F", 8, run_512 },
			 "the CPU has no AVX-512F, for vectors of 512 bits" },
};

/* __builtin_cpu_supports() also checks by XGETBV that the kernel saves the vector registers. */
unsigned int kt_alu_available(void)
{
	unsigned int available = 1u << KT_ALU_SCALAR;

	__builtin_cpu_init();
	available |= __builtin_cpu_supports("sse2") ? 1u << KT_ALU_128 : 0;
	available |= __builtin_cpu_supports("avx2") ? 1u << KT_ALU_256 : 0;
	available |= __builtin_cpu_supports("avx512f") ? 1u << KT_ALU_512 : 0;
	return available;
}

const struct kt_alu *kt_alu_find(enum kt_alu_width width, unsigned int available)
{
	if (width == KT_ALU_WIDEST && available)
		width = 31u - (unsigned int)__builtin_clz(available);
	if (width >= KT_ARRAY_LEN(widths) || !(available >> width & 1))
		return NULL;
	return &widths[width].alu;
}

const char *kt_alu_lacks(enum kt_alu_width width)
{
	return kt_alu_find(width, kt_alu_available()) ? NULL : widths[width].lacks;
}

/* No lane may be 0 or FACTOR * 2^32 - 1: the generator maps these two values to themselves. */
void kt_alu_init(uint64_t state[KT_ALU_LANES], uint64_t seed)
{
	for (unsigned int i = 0; i < KT_ALU_LANES; i++)
		state[i] = (uint64_t)(i + 1) << 32 | (uint32_t)seed;
}
