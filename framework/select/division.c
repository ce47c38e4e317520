/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "framework/select/division.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

#include "framework/shard/balance.h"
#include "framework/shard/timings.h"
#include "guest/test/test.h"
#include "util/cleanup.h"

/*
 * Every host that runs a shard divides for itself. They agree because a division depends on the
 * list of the tests, the options and the times only. Where times differ between hosts, tests would
 * be lost: a hash of them goes into the record of each shard, where "ktests merge" compares it.
 */

/*
 * Fills in what each test costs. A test without a time gets the mean of the others: it is new, or
 * its name has changed.
 */
static void estimate(const struct kt_test *const *tests, size_t n, const struct kt_timings *timings,
		     struct kt_load *loads)
{
	uint64_t sum = 0, n_known = 0;

	for (size_t i = 0; i < n; i++) {
		int64_t ms = kt_timings_median_ms(timings, tests[i]->name);

		loads[i].test = tests[i]->name;
		loads[i].cost = ms < 0 ? UINT64_MAX : (uint64_t)ms * kt_test_vcpus(tests[i]);
		if (ms < 0)
			continue;
		sum += loads[i].cost;
		n_known++;
	}
	for (size_t i = 0; i < n; i++) {
		if (loads[i].cost == UINT64_MAX)
			loads[i].cost = n_known ? sum / n_known : 1;
	}
}

static uint64_t hash_costs(const struct kt_load *loads, size_t n)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < n; i++)
		hash = XXH64(&loads[i].cost, sizeof(loads[i].cost), hash);
	return hash ?: 1;
}

static int take_by_time(const struct kt_test **tests, size_t *n, const struct kt_shard *shard,
			const struct kt_timings *timings, uint64_t *ret_timings)
{
	KT_FREE struct kt_load *loads = calloc(*n + 1, sizeof(*loads));
	KT_FREE unsigned int *parts = calloc(*n + 1, sizeof(*parts));
	size_t kept = 0;
	int r;

	if (!loads || !parts)
		return -ENOMEM;
	estimate(tests, *n, timings, loads);
	r = kt_balance(loads, *n, shard->total, parts);
	if (r < 0)
		return r;
	*ret_timings = hash_costs(loads, *n);
	for (size_t i = 0; i < *n; i++) {
		if (parts[i] == shard->index - 1)
			tests[kept++] = tests[i];
	}
	*n = kept;
	return 0;
}

static void take_by_name(const struct kt_test **tests, size_t *n, const struct kt_shard *shard)
{
	size_t kept = 0;

	for (size_t i = 0; i < *n; i++) {
		if (kt_shard_has(shard, i, *n, tests[i]->name))
			tests[kept++] = tests[i];
	}
	*n = kept;
}

int kt_division_take(const struct kt_test **tests, size_t *n, const struct kt_options *options,
		     uint64_t *ret_timings, struct kt_err *reterr)
{
	KT_CLEANUP(kt_timings_deinit) struct kt_timings timings = KT_TIMINGS_NULL;
	int r;

	*ret_timings = 0;
	if (options->shard.partition != KT_PARTITION_TIME) {
		take_by_name(tests, n, &options->shard);
		return 0;
	}
	r = kt_timings_read(options->timings, &timings, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "--timings");
	r = take_by_time(tests, n, &options->shard, &timings, ret_timings);
	return r < 0 ? kt_err_oom(reterr) : 0;
}
