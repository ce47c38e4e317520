/* SPDX-License-Identifier: MIT */
#pragma once
/* Random numbers that follow from a seed: what decides must not depend on anything else. */

#include <stdint.h>

struct kt_random {
	uint64_t state; /* of xorshift64; never 0 */
};

/* Spreads the bits of @value over all bits of the result (the finalizer of splitmix64). */
static inline uint64_t kt_random_mix(uint64_t value)
{
	value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
	value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
	return value ^ (value >> 31);
}

/* Seeds that follow one another give unrelated sequences. */
static inline void kt_random_seed(struct kt_random *random, uint64_t seed)
{
	random->state = kt_random_mix(seed + 0x9e3779b97f4a7c15u) ?: 1;
}

static inline uint64_t kt_random_draw(struct kt_random *random)
{
	random->state ^= random->state << 13;
	random->state ^= random->state >> 7;
	random->state ^= random->state << 17;
	return random->state;
}
