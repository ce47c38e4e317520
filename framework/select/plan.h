/* SPDX-License-Identifier: MIT */
#pragma once
/* The order in which tests run: which part of them, shuffled or not, those of one machine together. */

#include "framework/select/select.h"

struct kt_plan {
	const struct kt_test **tests; /* one round */
	size_t n;
	size_t n_before; /* of which the shard was taken */
};

/*
 * Takes the shard of the options out of @selection, shuffles if asked to, and brings tests with equal
 * machines together, so that each template is made once and used while it is warm.
 */
int kt_plan_init(struct kt_plan *plan, const struct kt_selection *selection,
		 const struct kt_options *options);
void kt_plan_deinit(struct kt_plan *plan);

/*
 * The seed of a round: the run's in the first attempts of the first round, another one in every other.
 * A run with --seed of it begins as that attempt did.
 */
uint64_t kt_plan_seed(uint64_t seed, unsigned int iteration, unsigned int attempt);

/* The seed of @test in a round: tests do not all draw the same numbers. */
uint64_t kt_plan_test_seed(uint64_t seed, const struct kt_test *test);
