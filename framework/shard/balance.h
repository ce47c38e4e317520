/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Divides tests into parts that take about the same time: the longest test first, each to the part
 * that has the least so far.
 */

#include <stddef.h>
#include <stdint.h>

/* A test to divide. */
struct kt_load {
	const char *test; /* borrowed; each is there once */
	uint64_t cost;    /* milliseconds times virtual CPUs */
};

/*
 * Sets ret_parts[i], from 0, to the part of loads[i]. It depends on the set of loads alone, not on
 * their order: every host finds the same parts. Returns 0 or -ENOMEM.
 */
int kt_balance(const struct kt_load *loads, size_t n, unsigned int n_parts,
	       unsigned int *ret_parts);
