/* SPDX-License-Identifier: MIT */
/* What "ktests merge" says of shards that are not one whole run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/merge/shards.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/json.h"

UNIT_SUITE(proof);

static const char *const all[] = { "a", "b", "c", "d", "e" };
static const char *const other[] = { "a", "b", "c", "d", "f" };

#define N_ALL 5u

/* A shard of 3 by slice: tests index - 1 and index + 2. */
static struct kt_shard_head make_head(unsigned int index)
{
	static const char *const slices[3][2] = { { "a", "d" }, { "b", "e" }, { "c", NULL } };

	return (struct kt_shard_head){
		.run = "run-1",
		.program = "cafe",
		.index = index,
		.total = 3,
		.partition = "slice",
		.all = all,
		.n_all = N_ALL,
		.selected = slices[index - 1],
		.n_selected = index < 3 ? 2 : 1,
		.rounds = 1,
		.host = "h",
		.kernel = "7.0",
		.accel = "tcg",
		.time = "virtual",
		.seed = 7,
		.complete = true,
	};
}

static json_t *result(const char *test, const char *label, unsigned int iteration)
{
	struct kt_shard_result result = {
		.test = test,
		.label = label,
		.iteration = iteration,
		.attempts = 1,
		.vcpus = 2,
		.verdict = KT_VERDICT_PASS,
		.ms = 5,
		.seed = 9,
		.file = "x.c",
		.line = 3,
	};

	return kt_shard_result_to_json(&result);
}

/* A result for each test that the head has, in all rounds and on all kernels, without the last. */
static json_t *results_but(const struct kt_shard_head *head, size_t n_left_out)
{
	json_t *array = json_array();

	for (size_t i = 0; i < head->n_selected - n_left_out; i++) {
		for (size_t k = 0; k < KT_MAX(head->n_labels, (size_t)1); k++) {
			for (unsigned int round = 1; round <= head->rounds; round++)
				(void)json_array_append_new(
					array,
					result(head->selected[i],
					       head->n_labels ? head->labels[k] : "", round));
		}
	}
	return array;
}

struct fixture {
	char dir[32];
	char *text;
	unsigned int n_faults;
};

static void fixture_init(struct fixture *fixture)
{
	*fixture = (struct fixture){ .dir = "/tmp/ktest-proof-XXXXXX" };
	cr_assert(ne(ptr, mkdtemp(fixture->dir), NULL));
}

static void fixture_deinit(struct fixture *fixture)
{
	cr_assert(zero(int, kt_remove_all(fixture->dir)));
	free(fixture->text);
}

static void put(const struct fixture *fixture, const char *name, const struct kt_shard_head *head)
{
	KT_JSON json_t *results = results_but(head, 0);

	cr_assert(zero(int, kt_shard_record_write(fixture->dir, name, head, results, NULL)));
}

static void put_all(const struct fixture *fixture)
{
	for (unsigned int index = 1; index <= 3; index++) {
		struct kt_shard_head head = make_head(index);

		put(fixture, NULL, &head);
	}
}

/* What is said of the directory. */
static const char *judge(struct fixture *fixture)
{
	struct kt_merge merge = { .command = "merge" };
	size_t len;

	free(fixture->text);
	merge.out = open_memstream(&fixture->text, &len);
	cr_assert(zero(int, kt_merge_read(&merge, fixture->dir)));
	kt_merge_sort(&merge);
	cr_assert(zero(int, kt_merge_prove(&merge)));
	(void)fclose(merge.out);
	fixture->n_faults = merge.n_faults;
	kt_merge_deinit(&merge);
	return fixture->text;
}

#define assert_says(fixture, words)                                                                \
	cr_assert(ne(ptr, strstr(judge(fixture), words), NULL), "%s", (fixture)->text)

static void remove_shard(const struct fixture *fixture, unsigned int index)
{
	KT_FREE char *path = kt_shard_record_path(fixture->dir, index, 3);

	cr_assert(zero(int, unlink(path)));
}

Test(proof, a_whole_run_has_no_fault)
{
	struct fixture fixture;

	fixture_init(&fixture);
	put_all(&fixture);
	cr_assert(eq(str, (char *)judge(&fixture), (char *)""));
	cr_assert(zero(u32, fixture.n_faults));
	fixture_deinit(&fixture);
}

Test(proof, a_lost_shard_and_its_tests_are_named)
{
	struct fixture fixture;

	fixture_init(&fixture);
	assert_says(&fixture, "no shard-M-of-N.json is there");
	put_all(&fixture);
	remove_shard(&fixture, 2);
	assert_says(&fixture, "merge: shard 2 of 3 is lost: no shard-2-of-3.json is there\n");
	assert_says(&fixture, "2 tests in no shard: b, e\n");
	cr_assert(eq(u32, fixture.n_faults, 2));
	remove_shard(&fixture, 3);
	assert_says(&fixture, "shard 3 of 3 is lost");
	fixture_deinit(&fixture);
}

Test(proof, a_doubled_shard_names_both_files)
{
	struct fixture fixture;
	struct kt_shard_head head = make_head(2);
	KT_FREE char *path = NULL;

	fixture_init(&fixture);
	put_all(&fixture);
	path = kt_format("%s/again", fixture.dir);
	cr_assert(zero(int, kt_mkdir_all(path, NULL)));
	put(&fixture, "again/shard-2-of-3.json", &head);
	assert_says(&fixture, "shard 2 of 3 is there twice: '");
	assert_says(&fixture, "/again/shard-2-of-3.json' and '");
	assert_says(&fixture, "test b is doubled: '");
	fixture_deinit(&fixture);
}

Test(proof, a_stale_list_is_named)
{
	struct fixture fixture;
	struct kt_shard_head head = make_head(2);

	fixture_init(&fixture);
	put_all(&fixture);
	head.all = other;
	put(&fixture, NULL, &head);
	assert_says(&fixture, "a stale list of tests: '");
	assert_says(&fixture, "only the first has e; only the second has f\n");
	cr_assert(eq(u32, fixture.n_faults, 1));
	head.n_all = 4;
	put(&fixture, NULL, &head);
	assert_says(&fixture, "divides 5 tests and '");
	fixture_deinit(&fixture);
}

Test(proof, a_truncated_file_is_named)
{
	struct fixture fixture;
	KT_FREE char *path = NULL;

	fixture_init(&fixture);
	put_all(&fixture);
	path = kt_shard_record_path(fixture.dir, 3, 3);
	cr_assert(zero(int, truncate(path, 200)));
	assert_says(&fixture, "/shard-3-of-3.json' is truncated or damaged: ");
	assert_says(&fixture, "shard 3 of 3 is lost");
	fixture_deinit(&fixture);
}

Test(proof, mixed_runs_are_named)
{
	struct fixture fixture;
	struct kt_shard_head head = make_head(2);

	fixture_init(&fixture);
	put_all(&fixture);
	head.run = "run-2";
	put(&fixture, NULL, &head);
	assert_says(&fixture, "two runs are mixed: '");
	assert_says(&fixture, "is of run 'run-1', '");
	cr_assert(eq(u32, fixture.n_faults, 1));
	head = make_head(2);
	head.program = "beef";
	put(&fixture, NULL, &head);
	assert_says(&fixture, "two programs are mixed: '");
	head = make_head(2);
	head.kernel = "6.12";
	put(&fixture, NULL, &head);
	assert_says(&fixture, "two kernels are mixed: '");
	head = make_head(2);
	head.total = 4;
	put(&fixture, NULL, &head);
	assert_says(&fixture, "two divisions are mixed: '");
	fixture_deinit(&fixture);
}

Test(proof, another_division_is_named)
{
	struct fixture fixture;
	struct kt_shard_head head = make_head(2);

	fixture_init(&fixture);
	put_all(&fixture);
	head.partition = "hash";
	put(&fixture, NULL, &head);
	assert_says(&fixture, "was divided by slice, '");
	head = make_head(2);
	head.timings = 5;
	put(&fixture, NULL, &head);
	assert_says(&fixture, "were divided by different --timings");
	head = make_head(2);
	head.rounds = 2;
	put(&fixture, NULL, &head);
	assert_says(&fixture, "has 1 rounds of each test, '");
	fixture_deinit(&fixture);
}

Test(proof, a_shard_that_did_not_finish_is_named)
{
	struct fixture fixture;
	struct kt_shard_head head = make_head(2);
	KT_JSON json_t *results = results_but(&head, 1);

	fixture_init(&fixture);
	put_all(&fixture);
	head.complete = false;
	cr_assert(zero(int, kt_shard_record_write(fixture.dir, NULL, &head, results, NULL)));
	assert_says(&fixture, "1 test without a result in '");
	assert_says(&fixture, "/shard-2-of-3.json', whose run ended early: e\n");
	cr_assert(eq(u32, fixture.n_faults, 1));
	fixture_deinit(&fixture);
}

Test(proof, results_that_do_not_belong_there_are_named)
{
	struct fixture fixture;
	struct kt_shard_head head = make_head(2);
	KT_JSON json_t *results = results_but(&head, 0);

	fixture_init(&fixture);
	put_all(&fixture);
	(void)json_array_append_new(results, result("b", "", 1));
	(void)json_array_append_new(results, result("c", "", 1));
	cr_assert(zero(int, kt_shard_record_write(fixture.dir, NULL, &head, results, NULL)));
	assert_says(&fixture, "1 test with two results in '");
	assert_says(&fixture, "1 test of another shard with a result in '");
	fixture_deinit(&fixture);
}

Test(proof, each_kernel_and_round_counts)
{
	static const char *const labels[] = { "6.12", "7.0" };
	struct fixture fixture;

	fixture_init(&fixture);
	for (unsigned int index = 1; index <= 3; index++) {
		struct kt_shard_head head = make_head(index);
		KT_JSON json_t *results = NULL;

		head.labels = labels;
		head.n_labels = 2;
		head.rounds = 3;
		results = results_but(&head, 0);
		if (index == 2)
			(void)json_array_remove(results, 5); /* b on 7.0, round 3 */
		cr_assert(
			zero(int, kt_shard_record_write(fixture.dir, NULL, &head, results, NULL)));
	}
	assert_says(&fixture, "/shard-2-of-3.json': b[7.0]\n");
	cr_assert(eq(u32, fixture.n_faults, 1));
	fixture_deinit(&fixture);
}

/* More shards than tests: what has had no test knows no kernel. */
Test(proof, an_empty_shard_is_no_fault)
{
	struct fixture fixture;
	struct kt_shard_head head = make_head(3);

	fixture_init(&fixture);
	put_all(&fixture);
	head.n_selected = 0;
	head.kernel = head.accel = head.time = head.host = "";
	head.selected = all;
	put(&fixture, NULL, &head);
	assert_says(&fixture, "1 test in no shard: c\n");
	cr_assert(eq(u32, fixture.n_faults, 1));
	fixture_deinit(&fixture);
}

/* Names become paths, and go to a terminal. */
Test(proof, names_that_leave_the_directory_are_refused)
{
	static const char *const names[] = { "../x", "a/b", ".", "", "a\033[2J" };
	struct fixture fixture;

	fixture_init(&fixture);
	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++) {
		struct kt_shard_head head = make_head(3);

		head.selected = &names[i];
		put(&fixture, NULL, &head);
		assert_says(&fixture, "member 'selected' is missing or wrong");
	}
	fixture_deinit(&fixture);
}

Test(proof, an_edited_list_is_refused)
{
	struct fixture fixture;
	struct kt_shard_head head = make_head(3);
	KT_FREE char *text = NULL, *path = NULL;
	size_t len;

	fixture_init(&fixture);
	put(&fixture, NULL, &head);
	path = kt_shard_record_path(fixture.dir, 3, 3);
	cr_assert(zero(int, kt_file_read(path, KT_SHARD_RECORD_MAX, &text, &len)));
	strstr(text, "\"d\"")[1] = 'x';
	cr_assert(zero(int, kt_file_publish(path, text, len, NULL)));
	assert_says(&fixture, "member 'hash' is missing or wrong");
	fixture_deinit(&fixture);
}
