/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The plan of a run: which part of the selection runs (its shard), and in which order. Every
 * process that is given the same binary and options makes the same plan.
 */

#include "framework/select/select.h"

struct kt_plan {
	const struct kt_test **tests; /* of one round, in order; owned */
	size_t n;
	size_t n_before; /* tests of the selection before the shard was taken */
	uint64_t timings; /* a hash of the times by which was divided; 0: it was not by time */
};

/*
 * Takes the shard of the options out of @selection, shuffles it if --shuffle is given, and moves
 * tests with equal machines together, so that each template is used while it is in the page
 * cache. Returns 0, -ENOMEM, or an error of kt_division_take().
 */
int kt_plan_init(struct kt_plan *plan, const struct kt_selection *selection,
		 const struct kt_options *options, struct kt_err *reterr);
void kt_plan_deinit(struct kt_plan *plan);

/*
 * The seed of an attempt in a round; both count from 1. The first attempts of the first round have
 * the seed of the run. A run that is given the result as --seed uses it in its first attempts, and
 * so repeats this one. Other rounds have other seeds, but the same if the user has chosen it and
 * does not explore.
 */
uint64_t kt_plan_seed(const struct kt_options *options, unsigned int iteration,
		      unsigned int attempt);

/* The seed of @test, from that of its attempt, so that different tests draw different numbers. */
uint64_t kt_plan_test_seed(uint64_t seed, const struct kt_test *test);
