/* SPDX-License-Identifier: MIT */
#pragma once
/* When the periodic snapshots of a test are due (.num_snapshots), and which were taken. */

#include <jansson.h>
#include <stdint.h>

#include <ktest/test.h>

#include "util/err.h"

#define KT_PERIODIC_SPACING_MS 100u /* at least */

/* Times are nanoseconds of CLOCK_MONOTONIC. */
struct kt_periodic {
	unsigned int n;    /* that are wanted; 0: none */
	unsigned int next; /* index of the one that is due next */
	unsigned int n_taken;
	unsigned int n_missed; /* their time was over when the test could take them */
	unsigned int n_failed;
	uint64_t began_ns;    /* when the first hold began; 0: not yet */
	uint64_t duration_ns; /* of the scenario */
};

/* What is wrong with .num_snapshots of a test: -EINVAL with a message. */
int kt_periodic_check(const struct kt_test *test, struct kt_err *reterr);

void kt_periodic_init(struct kt_periodic *periodic, const struct kt_test *test);

/* When number @i is due, from the first hold on: 0.1 d + (i + 1) 0.8 d / (n + 1) */
uint64_t kt_periodic_offset_ns(const struct kt_periodic *periodic, unsigned int i);

/* When the next one is due; KT_NSEC_NEVER when none is. */
uint64_t kt_periodic_due_ns(const struct kt_periodic *periodic);

/*
 * Goes on to the next one at @now_ns, and returns the index of the one that is to be taken now; -1
 * when none is due. Of several that are due, only the last is taken: they would all be the same.
 */
int kt_periodic_take(struct kt_periodic *periodic, uint64_t now_ns);

/* {"wanted": N, "taken": N, "missed": N, "failed": N}; NULL when none was wanted. */
json_t *kt_periodic_to_json(const struct kt_periodic *periodic);
