/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/options/shard.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(shard);

#define SHARDS_MAX 40u
#define TESTS_MAX  100u

static const enum kt_partition partitions[] = { KT_PARTITION_SLICE, KT_PARTITION_HASH,
						KT_PARTITION_COUNT };

static const char *numbered(size_t i)
{
	static char names[TESTS_MAX][16];

	if (!names[i][0])
		(void)snprintf(names[i], sizeof(names[i]), "test_%zu", i);
	return names[i];
}

/* The number of shards 1..@total that contain the test at @position. */
static unsigned int times_chosen(struct kt_shard shard, size_t position, size_t n)
{
	unsigned int times = 0;

	for (shard.index = 1; shard.index <= shard.total; shard.index++)
		times += kt_shard_has(&shard, position, n, numbered(position));
	return times;
}

Test(shard, every_test_is_in_exactly_one)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(partitions); i++) {
		for (unsigned int total = 1; total <= SHARDS_MAX; total++) {
			struct kt_shard shard = { partitions[i], 1, total };
			unsigned int wrong = 0;

			for (size_t n = 0; n <= TESTS_MAX; n++) {
				for (size_t at = 0; at < n; at++)
					wrong += times_chosen(shard, at, n) != 1;
			}
			cr_assert(zero(u32, wrong), "%s of %u", kt_partition_name(partitions[i]),
				  total);
		}
	}
}

/* The tests of all shards together are the list, in its order. */
Test(shard, counted_ones_are_consecutive_and_of_a_size)
{
	for (unsigned int total = 1; total <= SHARDS_MAX; total++) {
		for (size_t n = 0; n <= TESTS_MAX; n++) {
			struct kt_shard shard = { KT_PARTITION_COUNT, 1, total };
			size_t at = 0, smallest = n, largest = 0;

			for (; shard.index <= total; shard.index++) {
				size_t began = at;

				while (at < n && kt_shard_has(&shard, at, n, "any"))
					at++;
				smallest = KT_MIN(smallest, at - began);
				largest = KT_MAX(largest, at - began);
			}
			cr_assert(eq(sz, at, n), "%u shards", total);
			cr_assert(le(sz, largest - smallest, 1), "%zu in %u", n, total);
		}
	}
}

Test(shard, slices_take_every_nth)
{
	struct kt_shard shard = { KT_PARTITION_SLICE, 2, 3 };

	for (size_t at = 0; at < 10; at++)
		cr_assert(eq(int, kt_shard_has(&shard, at, 10, "any"), at % 3 == 1));
}

/* The shard of a test does not depend on the others: neither on their number nor on their order. */
Test(shard, hashed_ones_stay_where_they_are)
{
	unsigned int moved = 0, used = 0;

	for (unsigned int index = 1; index <= 4; index++) {
		struct kt_shard shard = { KT_PARTITION_HASH, index, 4 };
		unsigned int in_it = 0;

		for (size_t i = 0; i < TESTS_MAX; i++) {
			bool before = kt_shard_has(&shard, i, i + 1, numbered(i));

			in_it += before;
			for (size_t n_new = 1; n_new < 50; n_new++)
				moved += kt_shard_has(&shard, i + n_new, TESTS_MAX + n_new,
						      numbered(i)) != before;
		}
		used += in_it > 0;
	}
	cr_assert(zero(u32, moved));
	cr_assert(eq(u32, used, 4), "only %u of 4 shards have tests", used);
}

/* Sets these variables and no others: the tests themselves may run in a CI. */
static void use_environment(const char *variables)
{
	KT_FREE char *copy = strdup(variables);
	char *rest = copy, *variable;

	(void)clearenv();
	while ((variable = strsep(&rest, " "))) {
		char *value = strchr(variable, '=');

		if (!value)
			continue;
		*value++ = '\0';
		(void)setenv(variable, value, 1);
	}
}

static int detect(const char *variables, struct kt_shard *ret_shard, struct kt_err *reterr)
{
	use_environment(variables);
	return kt_shard_detect(ret_shard, reterr);
}

static int inherit(const char *variables, struct kt_shard *ret_shard, struct kt_err *reterr)
{
	use_environment(variables);
	return kt_shard_inherit(ret_shard, reterr);
}

typedef int (*shard_fn)(const char *text, struct kt_shard *ret_shard, struct kt_err *reterr);

/*
 * The resulting shard as text, "hash:2/5", or the error's text. A failure must not change the
 * shard.
 */
static char *shard_from(shard_fn fn, const char *from, int result)
{
	/* What the environment says keeps the kind; parsed text sets it. */
	struct kt_shard shard = { fn == detect ? KT_PARTITION_HASH : KT_PARTITION_COUNT, 99, 99 };
	static struct kt_err err;
	int r;

	err = KT_ERR_NULL;
	r = fn(from, &shard, &err);
	cr_assert(eq(int, r, result), "'%s': %s", from, err.text);
	cr_assert(r == 0 || shard.index == 99, "'%s' changed the shard", from);
	if (r == 0)
		(void)snprintf(err.text, sizeof(err.text), "%s:%u/%u",
			       kt_partition_name(shard.partition), shard.index, shard.total);
	return err.text;
}

static void assert_refused(shard_fn fn, const char *from, int result, const char *named)
{
	const char *text = shard_from(fn, from, result);

	cr_assert(ne(ptr, strstr(text, named), NULL), "'%s' is not in: %s", named, text);
}

Test(shard, what_is_given_is_there)
{
	static char *const texts[] = { "slice:2/5", "hash:1/1", "count:12/12", "time:3/4" };

	cr_assert(eq(str, shard_from(kt_shard_parse, "2/5", 0), "slice:2/5"));
	for (size_t i = 0; i < KT_ARRAY_LEN(texts); i++)
		cr_assert(eq(str, shard_from(kt_shard_parse_partition, texts[i], 0), texts[i]));
}

/* All shards of a run have a name in common; a user's own goes before that of a CI system. */
Test(shard, the_run_has_a_name)
{
	(void)clearenv();
	cr_assert(eq(str, (char *)kt_shard_run(), (char *)""));
	(void)setenv("SLURM_ARRAY_JOB_ID", "12", 1);
	cr_assert(eq(str, (char *)kt_shard_run(), (char *)"12"));
	(void)setenv("GITHUB_RUN_ID", "34", 1);
	cr_assert(eq(str, (char *)kt_shard_run(), (char *)"34"));
	(void)setenv("KTESTS_RUN_ID", "mine", 1);
	cr_assert(eq(str, (char *)kt_shard_run(), (char *)"mine"));
}

Test(shard, bad_ones_are_named)
{
	static const char *const shards[] = { "0/5", "6/5", "1/0",   "x",    "",     "2",
					      "/5",  "2/",  "2/5/8", "2/5 ", "-1/5", "hash:2/5" };
	static const char *const kinds[] = { "foo:1/2", "slicer:1/2", "hash", "2/5", "" };

	for (size_t i = 0; i < KT_ARRAY_LEN(shards); i++) {
		KT_FREE char *named = kt_format("shard '%s'", shards[i]);

		assert_refused(kt_shard_parse, shards[i], -EINVAL, named);
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(kinds); i++) {
		KT_FREE char *named = kt_format("partition '%s'", kinds[i]);

		assert_refused(kt_shard_parse_partition, kinds[i], -EINVAL, named);
	}
	assert_refused(kt_shard_parse_partition, "slice:", -EINVAL, "'");
	assert_refused(kt_shard_parse_partition, "hash:6/5", -EINVAL, "6/5'");
}

#define GITLAB "GITLAB_CI=true CI_NODE_INDEX="
#define SLURM(min, max, count)                                                                     \
	"SLURM_ARRAY_TASK_MIN=" #min " SLURM_ARRAY_TASK_MAX=" #max                                 \
	" SLURM_ARRAY_TASK_COUNT=" #count " SLURM_ARRAY_TASK_ID="

Test(shard, engines_are_understood)
{
	static char *const cases[][2] = {
		{ GITLAB "1 CI_NODE_TOTAL=5", "hash:1/5" },
		{ GITLAB "5 CI_NODE_TOTAL=5", "hash:5/5" },
		{ "CIRCLECI=true CIRCLE_NODE_INDEX=0 CIRCLE_NODE_TOTAL=4", "hash:1/4" },
		{ "BUILDKITE=true BUILDKITE_PARALLEL_JOB=2 BUILDKITE_PARALLEL_JOB_COUNT=3",
		  "hash:3/3" },
		{ "SEMAPHORE_JOB_INDEX=2 SEMAPHORE_JOB_COUNT=3", "hash:2/3" },
		{ "SYSTEM_JOBPOSITIONINPHASE=1 SYSTEM_TOTALJOBSINPHASE=6", "hash:1/6" },
		{ "BITBUCKET_PARALLEL_STEP=0 BITBUCKET_PARALLEL_STEP_COUNT=2", "hash:1/2" },
		{ SLURM(1, 8, 8) "3", "hash:3/8" },
		{ SLURM(0, 7, 8) "0", "hash:1/8" },
		{ SLURM(10, 17, 4) "14 SLURM_ARRAY_TASK_STEP=2", "hash:3/4" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++)
		cr_assert(eq(str, shard_from(detect, cases[i][0], 0), cases[i][1]));
}

Test(shard, engines_that_say_too_little_are_refused)
{
	static const char *const cases[][2] = {
		{ "JOB_COMPLETION_INDEX=2", "JOB_COMPLETION_INDEX=2" },
		{ GITLAB "2", "CI_NODE_INDEX=2" },
		{ GITLAB "0 CI_NODE_TOTAL=5", "CI_NODE_INDEX counts from 1" },
		{ GITLAB "6 CI_NODE_TOTAL=5", "GitLab" },
		{ GITLAB "x CI_NODE_TOTAL=5", "CI_NODE_INDEX='x'" },
		{ GITLAB "1 CI_NODE_TOTAL=x", "CI_NODE_TOTAL='x'" },
		{ "CIRCLECI=true CIRCLE_NODE_INDEX=0", "CIRCLE_NODE_INDEX=0" },
		{ "CIRCLECI=true CIRCLE_NODE_INDEX=4 CIRCLE_NODE_TOTAL=4", "CircleCI" },
		{ "BUILDKITE=true BUILDKITE_PARALLEL_JOB=1", "BUILDKITE_PARALLEL_JOB=1" },
		{ "SEMAPHORE_JOB_INDEX=1", "SEMAPHORE_JOB_INDEX=1" },
		{ "SYSTEM_JOBPOSITIONINPHASE=1", "SYSTEM_JOBPOSITIONINPHASE=1" },
		{ "BITBUCKET_PARALLEL_STEP=1", "BITBUCKET_PARALLEL_STEP=1" },
		{ SLURM(1, 5, 3) "3", "holes" },
		{ SLURM(0, 6, 4) "3 SLURM_ARRAY_TASK_STEP=2", "holes" },
		{ SLURM(1, 8, 8) "9", "Slurm" },
		{ "SLURM_ARRAY_TASK_ID=3", "SLURM_ARRAY_TASK_MIN" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++)
		assert_refused(detect, cases[i][0], -EINVAL, cases[i][1]);
}

Test(shard, no_engine_at_all)
{
	static const char *const cases[] = {
		"",
		"GITLAB_CI=true CI_NODE_TOTAL=1",  /* the job is not parallel */
		"CI_NODE_INDEX=0 CI_NODE_TOTAL=5", /* Cirrus counts from 0 */
		"GITLAB_CI=false CI_NODE_INDEX=1 CI_NODE_TOTAL=5",
		"SEMAPHORE_JOB_INDEX= SEMAPHORE_JOB_COUNT=3",
		"TEST_SHARD_INDEX=1 TEST_TOTAL_SHARDS=2", /* these count without an option */
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++)
		assert_refused(detect, cases[i], -ENOENT, "give --shard M/N");
}

#define UNTOUCHED "count:99/99"

Test(shard, bazel_and_gtest_need_no_asking)
{
	static char *const cases[][2] = {
		{ "TEST_SHARD_INDEX=0 TEST_TOTAL_SHARDS=3", "count:1/3" },
		{ "GTEST_SHARD_INDEX=2 GTEST_TOTAL_SHARDS=3", "count:3/3" },
		{ "TEST_TOTAL_SHARDS=3", UNTOUCHED },
		{ GITLAB "1 CI_NODE_TOTAL=5", UNTOUCHED },
		{ "", UNTOUCHED },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++)
		cr_assert(eq(str, shard_from(inherit, cases[i][0], 0), cases[i][1]));
	assert_refused(inherit, "TEST_SHARD_INDEX=0", -EINVAL, "TEST_SHARD_INDEX=0");
	assert_refused(inherit, "GTEST_SHARD_INDEX=3 GTEST_TOTAL_SHARDS=3", -EINVAL, "GoogleTest");
}

/* Bazel fails a test that does not create this file. */
Test(shard, the_status_file_is_touched)
{
	static const char *const cases[] = {
		"TEST_SHARD_INDEX=0 TEST_TOTAL_SHARDS=3 TEST_SHARD_STATUS_FILE=",
		"GTEST_SHARD_INDEX=0 GTEST_TOTAL_SHARDS=3 GTEST_SHARD_STATUS_FILE=",
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		char dir[] = "/tmp/ktest-shard-XXXXXX";
		KT_FREE char *variables = NULL;

		cr_assert(ne(ptr, mkdtemp(dir), NULL));
		variables = kt_format("%s%s/status", cases[i], dir);
		(void)shard_from(inherit, variables, 0);
		cr_assert(zero(int, access(strrchr(variables, '=') + 1, F_OK)), "%s", cases[i]);
		(void)kt_remove_all(dir);
	}
}
