/* SPDX-License-Identifier: MIT */
/* The division of tests by time: each in one part, the same everywhere, and about equal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framework/select/division.h"
#include "framework/shard/balance.h"
#include "framework/shard/record.h"
#include "framework/shard/timings.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/random.h"
#include "wire/json.h"

UNIT_SUITE(balance);

#define TESTS_MAX 60u

static const char *numbered(size_t i)
{
	static char names[TESTS_MAX][16];

	if (!names[i][0])
		(void)snprintf(names[i], sizeof(names[i]), "test_%zu", i);
	return names[i];
}

/* Costs with many equal ones and some that are 0. */
static void make_loads(struct kt_load *loads, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		loads[i] = (struct kt_load){ numbered(i), kt_random_next(&seed) % 8 * 1000 };
}

static uint64_t part_sum(const struct kt_load *loads, const unsigned int *parts, size_t n,
			 unsigned int part)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += parts[i] == part ? loads[i].cost : 0;
	return sum;
}

Test(balance, each_test_is_in_one_part)
{
	struct kt_load loads[TESTS_MAX];
	unsigned int parts[TESTS_MAX], wrong = 0;

	for (unsigned int n_parts = 1; n_parts < 12; n_parts++) {
		for (size_t n = 0; n <= TESTS_MAX; n++) {
			make_loads(loads, n, n);
			memset(parts, 0xff, sizeof(parts));
			cr_assert(zero(int, kt_balance(loads, n, n_parts, parts)));
			for (size_t i = 0; i < n; i++)
				wrong += parts[i] >= n_parts;
		}
	}
	cr_assert(zero(u32, wrong));
}

/* Two hosts may list the same tests in another order. */
Test(balance, the_order_of_the_tests_does_not_matter)
{
	struct kt_load loads[TESTS_MAX], turned[TESTS_MAX];
	unsigned int parts[TESTS_MAX], others[TESTS_MAX];

	for (uint64_t seed = 0; seed < 50; seed++) {
		make_loads(loads, TESTS_MAX, seed);
		for (size_t i = 0; i < TESTS_MAX; i++)
			turned[i] = loads[TESTS_MAX - 1 - i];
		cr_assert(zero(int, kt_balance(loads, TESTS_MAX, 7, parts)));
		cr_assert(zero(int, kt_balance(turned, TESTS_MAX, 7, others)));
		for (size_t i = 0; i < TESTS_MAX; i++)
			cr_assert(eq(u32, parts[i], others[TESTS_MAX - 1 - i]));
	}
}

/* The bound of the method: two parts differ by the longest test at most. */
Test(balance, parts_differ_by_one_test_at_most)
{
	struct kt_load loads[TESTS_MAX];
	unsigned int parts[TESTS_MAX];

	for (uint64_t seed = 0; seed < 50; seed++) {
		uint64_t least = UINT64_MAX, most = 0;

		make_loads(loads, TESTS_MAX, seed);
		for (size_t i = 0; i < TESTS_MAX; i++)
			loads[i].cost += 1;
		cr_assert(zero(int, kt_balance(loads, TESTS_MAX, 5, parts)));
		for (unsigned int part = 0; part < 5; part++) {
			uint64_t sum = part_sum(loads, parts, TESTS_MAX, part);

			least = KT_MIN(least, sum);
			most = KT_MAX(most, sum);
		}
		cr_assert(le(u64, most - least, 7001));
	}
}

Test(balance, the_longest_go_first)
{
	const struct kt_load loads[] = {
		{ "a", 1 }, { "b", 2 }, { "c", 3 }, { "d", 3 }, { "e", 9 }
	};
	unsigned int parts[5];

	cr_assert(zero(int, kt_balance(loads, 5, 2, parts)));
	cr_assert(eq(u32, parts[4], 0));
	for (size_t i = 0; i < 4; i++)
		cr_assert(eq(u32, parts[i], 1), "%zu", i);
}

/* ---- by the times of a file ------------------------------------------------------------------ */

static void write_times(const char *dir, const char *name, const char *const *tests,
			const uint64_t *ms, size_t n)
{
	struct kt_shard_head head = {
		.run = "",
		.program = "",
		.index = 1,
		.total = 1,
		.partition = "slice",
		.all = tests,
		.n_all = n,
		.selected = tests,
		.n_selected = n,
		.rounds = 1,
		.host = "",
		.kernel = "",
		.accel = "",
		.time = "",
		.complete = true,
	};
	KT_JSON json_t *results = json_array();

	for (size_t i = 0; i < n; i++) {
		struct kt_shard_result result = {
			.test = tests[i],
			.label = "",
			.iteration = 1,
			.attempts = 1,
			.vcpus = 1,
			.verdict = KT_VERDICT_PASS,
			.ms = ms[i],
			.file = "x.c",
		};

		(void)json_array_append_new(results, kt_shard_result_to_json(&result));
	}
	cr_assert(zero(int, kt_shard_record_write(dir, name, &head, results, NULL)));
}

static void fixture_directory(char *dir)
{
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
}

Test(balance, the_median_of_all_files_counts)
{
	char dir[] = "/tmp/ktest-balance-XXXXXX";
	static const char *const tests[] = { "a", "b" };
	struct kt_timings timings;

	fixture_directory(dir);
	write_times(dir, "shard-1-of-1.json", tests, (uint64_t[]){ 10, 1 }, 1);
	write_times(dir, "shard-1-of-2.json", tests, (uint64_t[]){ 500, 7 }, 2);
	write_times(dir, "timings.json", tests, (uint64_t[]){ 30, 3 }, 2);
	write_times(dir, "other.json", tests, (uint64_t[]){ 1, 1 }, 2);
	cr_assert(zero(int, kt_timings_read(dir, &timings, NULL)));
	cr_assert(eq(i64, kt_timings_median_ms(&timings, "a"), 30));
	cr_assert(eq(i64, kt_timings_median_ms(&timings, "b"), 3));
	cr_assert(eq(i64, kt_timings_median_ms(&timings, "c"), -1));
	kt_timings_deinit(&timings);
	cr_assert(zero(int, kt_remove_all(dir)));
}

/* Runs the division of @n tests into @total shards; returns how often each was chosen, in bits. */
static unsigned int count_wrong(const struct kt_test *tests, size_t n, const char *timings,
				unsigned int total)
{
	unsigned int times[TESTS_MAX] = { 0 }, wrong = 0;
	uint64_t hash = 0, first = 0;

	for (unsigned int index = 1; index <= total; index++) {
		struct kt_options options = { .shard = { KT_PARTITION_TIME, index, total },
					      .timings = timings };
		const struct kt_test *chosen[TESTS_MAX];
		size_t n_chosen = n;

		for (size_t i = 0; i < n; i++)
			chosen[i] = &tests[i];
		cr_assert(zero(int, kt_division_take(chosen, &n_chosen, &options, &hash, NULL)));
		first = first ?: hash;
		wrong += hash != first || !hash;
		for (size_t i = 0; i < n_chosen; i++)
			times[chosen[i] - tests]++;
	}
	for (size_t i = 0; i < n; i++)
		wrong += times[i] != 1;
	return wrong;
}

/* A file that knows other tests than there are may cost balance, never coverage. */
Test(balance, stale_times_lose_no_test)
{
	char dir[] = "/tmp/ktest-balance-XXXXXX";
	static const char *const known[] = { "test_1", "test_7", "gone", "test_9" };
	struct kt_test tests[TESTS_MAX];

	fixture_directory(dir);
	write_times(dir, "timings.json", known, (uint64_t[]){ 100, 5, 1000000, 0 }, 4);
	for (size_t i = 0; i < TESTS_MAX; i++)
		tests[i] = (struct kt_test){ .name = numbered(i) };
	for (unsigned int total = 1; total < 9; total++) {
		for (size_t n = 0; n <= TESTS_MAX; n += 5)
			cr_assert(zero(u32, count_wrong(tests, n, dir, total)), "%u", total);
	}
	cr_assert(zero(int, kt_remove_all(dir)));
}

/* Long tests of few are apart, and the vCPUs of a test count. */
Test(balance, times_and_cpus_decide)
{
	char dir[] = "/tmp/ktest-balance-XXXXXX";
	static const char *const known[] = { "a", "b", "c", "d" };
	struct kt_test tests[] = {
		{ .name = "a" },
		{ .name = "b" },
		{ .name = "c" },
		{ .name = "d", .topology = { .llcs = 1, .cores = 8 } },
	};
	const struct kt_test *chosen[] = { &tests[0], &tests[1], &tests[2], &tests[3] };
	struct kt_options options = { .shard = { KT_PARTITION_TIME, 1, 2 }, .timings = dir };
	size_t n = 4;
	uint64_t hash;

	fixture_directory(dir);
	write_times(dir, "timings.json", known, (uint64_t[]){ 10, 10, 10, 10 }, 4);
	cr_assert(zero(int, kt_division_take(chosen, &n, &options, &hash, NULL)));
	cr_assert(eq(sz, n, 1));
	cr_assert(eq(str, (char *)chosen[0]->name, (char *)"d"));
	cr_assert(zero(int, kt_remove_all(dir)));
}

Test(balance, times_that_cannot_be_read_are_told)
{
	struct kt_options options = { .shard = { KT_PARTITION_TIME, 1, 2 },
				      .timings = "/nonexistent" };
	struct kt_err err = KT_ERR_NULL;
	uint64_t hash;
	size_t n = 0;

	cr_assert(lt(int, kt_division_take(NULL, &n, &options, &hash, &err), 0));
	cr_assert(ne(ptr, strstr(err.text, "--timings: '/nonexistent'"), NULL), "%s", err.text);
}
