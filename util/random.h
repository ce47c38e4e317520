/* SPDX-License-Identifier: MIT */
#pragma once
/* Reproducible pseudo-random numbers: the same seed gives the same sequence. Not for secrets. */

#include <stdint.h>

/*
 * Returns the next number and advances *@state, which begins as the seed. The generator is
 * splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014).
 */
static inline uint64_t kt_random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}
