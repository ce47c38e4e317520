/* SPDX-License-Identifier: MIT */
#pragma once
/* What a project file says about some tests only. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ktest/test.h>

struct kt_override {
	uint64_t timeout_ns; /* 0: not overridden */
	bool has_retries;
	unsigned int retries; /* 0..1000 */
	unsigned int slots;   /* of --test-threads that the test takes, 1..4096; 0: as
                           it needs */
};

/* A rule of the file: @override is for the tests that @filter chooses. */
struct kt_override_rule {
	const char *filter; /* not parsed (framework/select/filter.h) */
	struct kt_override override;
};

/* The result for each test that has one. */
struct kt_overrides {
	struct kt_test_override {
		const struct kt_test *test;
		struct kt_override override;
	} * at; /* in the order of the tests' addresses; owned */
	size_t n;
};

/* The retries of @test; @otherwise: of tests without an override. */
unsigned int kt_override_retries(const struct kt_overrides *overrides, const struct kt_test *test,
				 unsigned int otherwise);

/* Never NULL: a test without an override has one that overrides nothing. */
const struct kt_override *kt_override_of(const struct kt_overrides *overrides,
					 const struct kt_test *test);
