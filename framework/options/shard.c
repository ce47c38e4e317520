/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "framework/options/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "util/cleanup.h"
#include "util/parse.h"

/*
 * A shard is found in one of three ways: on the command line (parse), from the variables of a CI
 * system when the user asks for it (detect), or from those of a test runner that does not ask
 * (inherit).
 *
 * The danger is a shard that is silently wrong: then tests run twice or not at all, and the run
 * passes. So whatever is incomplete or contradicts itself is an error, not a guess.
 */

#define SHARDS_MAX 100000u

static const char *const partition_names[] = {
	[KT_PARTITION_SLICE] = "slice",
	[KT_PARTITION_HASH] = "hash",
	[KT_PARTITION_COUNT] = "count",
	[KT_PARTITION_TIME] = "time",
};

const char *kt_partition_name(enum kt_partition partition)
{
	return partition_names[partition];
}

int kt_shard_parse(const char *text, struct kt_shard *ret_shard, struct kt_err *reterr)
{
	const char *slash = strchr(text, '/');
	KT_FREE char *index_text = slash ? strndup(text, (size_t)(slash - text)) : NULL;
	uint64_t index, total;

	if (!index_text || kt_parse_u64(slash + 1, 1, SHARDS_MAX, &total) < 0 ||
	    kt_parse_u64(index_text, 1, total, &index) < 0)
		return kt_err_set(reterr, -EINVAL, "shard '%s' is not M/N with 1 <= M <= N", text);
	*ret_shard =
		(struct kt_shard){ KT_PARTITION_SLICE, (unsigned int)index, (unsigned int)total };
	return 0;
}

int kt_shard_parse_partition(const char *text, struct kt_shard *ret_shard, struct kt_err *reterr)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(partition_names); i++) {
		size_t len = strlen(partition_names[i]);
		int r = 0;

		if (strncmp(text, partition_names[i], len) || text[len] != ':')
			continue;
		if (strcmp(text + len + 1, "auto") != 0)
			r = kt_shard_parse(text + len + 1, ret_shard, reterr);
		else
			*ret_shard = (struct kt_shard){ .index = 0 };
		if (r == 0)
			ret_shard->partition = (enum kt_partition)i;
		return r;
	}
	return kt_err_set(reterr, -EINVAL,
			  "partition '%s' is none of slice:M/N, hash:M/N, count:M/N, time:M/N",
			  text);
}

/* A CI system or test runner that numbers its parallel jobs by environment variables. */
struct engine {
	const char *name;
	const char *sign;       /* a variable that only this system sets; NULL: @index is one */
	const char *sign_value; /* the value that @sign must have; NULL: any but an empty one */
	const char *index;      /* the variable with the number of this job */
	const char *total;      /* the variable with the number of jobs; NULL: there is none */
	unsigned int first;     /* the number of the first job: 0 or 1 */
};

/* Searched in this order. */
static const struct engine engines[] = {
	/* Others set CI_NODE_* too, but count from 0: GITLAB_CI tells them from GitLab. */
	{ "GitLab", "GITLAB_CI", "true", "CI_NODE_INDEX", "CI_NODE_TOTAL", 1 },
	{ "CircleCI", "CIRCLECI", NULL, "CIRCLE_NODE_INDEX", "CIRCLE_NODE_TOTAL", 0 },
	{ "Buildkite", "BUILDKITE", NULL, "BUILDKITE_PARALLEL_JOB", "BUILDKITE_PARALLEL_JOB_COUNT",
	  0 },
	{ "Semaphore", NULL, NULL, "SEMAPHORE_JOB_INDEX", "SEMAPHORE_JOB_COUNT", 1 },
	{ "Azure Pipelines", NULL, NULL, "SYSTEM_JOBPOSITIONINPHASE", "SYSTEM_TOTALJOBSINPHASE",
	  1 },
	{ "Bitbucket", NULL, NULL, "BITBUCKET_PARALLEL_STEP", "BITBUCKET_PARALLEL_STEP_COUNT", 0 },
	{ "Kubernetes", NULL, NULL, "JOB_COMPLETION_INDEX", NULL, 0 },
};

/* Obeyed without --shard auto. */
static const struct engine inherited[] = {
	{ "Bazel", NULL, NULL, "TEST_SHARD_INDEX", "TEST_TOTAL_SHARDS", 0 },
	{ "GoogleTest", NULL, NULL, "GTEST_SHARD_INDEX", "GTEST_TOTAL_SHARDS", 0 },
};

/* Reads a variable. -ENOENT when it is unset, empty, or when there is none (@name is NULL). */
static int get_number(const char *name, uint64_t *ret_value, struct kt_err *reterr)
{
	const char *text = name ? getenv(name) : NULL;

	if (!text || !*text)
		return -ENOENT;
	if (kt_parse_u64(text, 0, UINT32_MAX, ret_value) < 0)
		return kt_err_set(reterr, -EINVAL, "%s='%s' is not a number", name, text);
	return 0;
}

/* @index counts from 0 here; @who names the source in the error. */
static int set_shard(const char *who, uint64_t index, uint64_t total, struct kt_shard *ret_shard,
		     struct kt_err *reterr)
{
	if (!total || index >= total || total > SHARDS_MAX)
		return kt_err_set(reterr, -EINVAL, "%s: shard %llu (counted from 0) of %llu", who,
				  (unsigned long long)index, (unsigned long long)total);
	ret_shard->index = (unsigned int)index + 1;
	ret_shard->total = (unsigned int)total;
	return 0;
}

static bool is_engine(const struct engine *engine)
{
	const char *value = getenv(engine->sign ?: engine->index);

	return value && *value && (!engine->sign_value || !strcmp(value, engine->sign_value));
}

static int read_engine(const struct engine *engine, struct kt_shard *ret_shard,
		       struct kt_err *reterr)
{
	uint64_t index, total;
	int r = get_number(engine->index, &index, reterr);

	if (r < 0) /* -ENOENT: this system, but not a parallel job */
		return r;
	r = get_number(engine->total, &total, reterr);
	if (r == -ENOENT)
		return kt_err_set(
			reterr, -EINVAL,
			"%s says which shard this is (%s=%llu), but not of how many: give "
			"--shard M/N",
			engine->name, engine->index, (unsigned long long)index);
	if (r == 0 && index < engine->first)
		r = kt_err_set(reterr, -EINVAL, "%s: %s counts from 1", engine->name,
			       engine->index);
	return r ?: set_shard(engine->name, index - engine->first, total, ret_shard, reterr);
}

/*
 * Slurm numbers the tasks of an array by MIN, MAX and STEP. An array like "1,3,7" has holes, so
 * that an ID cannot be turned into an index, and is rejected.
 */
static int read_slurm(struct kt_shard *ret_shard, struct kt_err *reterr)
{
	uint64_t id, min, max, count, step = 1;
	int r;

	r = get_number("SLURM_ARRAY_TASK_ID", &id, reterr);
	if (r < 0)
		return r;
	r = get_number("SLURM_ARRAY_TASK_MIN", &min, reterr) ?:
	    get_number("SLURM_ARRAY_TASK_MAX", &max, reterr) ?:
	    get_number("SLURM_ARRAY_TASK_COUNT", &count, reterr);
	if (r < 0)
		return kt_err_set(reterr, -EINVAL,
				  "Slurm: SLURM_ARRAY_TASK_MIN, _MAX or _COUNT is missing");
	r = get_number("SLURM_ARRAY_TASK_STEP", &step, reterr);
	if (r < 0 && r != -ENOENT)
		return r;
	if (!step || id < min || (id - min) % step || (max - min) / step + 1 != count)
		return kt_err_set(
			reterr, -EINVAL,
			"Slurm: the array has holes, so that its tasks cannot be numbered; give "
			"--shard M/N");
	return set_shard("Slurm", (id - min) / step, count, ret_shard, reterr);
}

int kt_shard_detect(struct kt_shard *shard, struct kt_err *reterr)
{
	struct kt_shard found = *shard; /* keeps the partition */
	int r = -ENOENT;

	for (size_t i = 0; r == -ENOENT && i < KT_ARRAY_LEN(engines); i++) {
		if (is_engine(&engines[i]))
			r = read_engine(&engines[i], &found, reterr);
	}
	if (r == -ENOENT)
		r = read_slurm(&found, reterr);
	if (r == -ENOENT)
		return kt_err_set(
			reterr, r,
			"--shard auto: no variable of a known engine says which shard this is; "
			"give --shard M/N or KTESTS_SHARD");
	if (r == 0)
		*shard = found;
	return r;
}

/*
 * Creates the file that tells the test runner that the program divides its tests; without it, Bazel
 * takes the shards for unsupported.
 */
static void touch_status_file(void)
{
	static const char *const names[] = { "TEST_SHARD_STATUS_FILE", "GTEST_SHARD_STATUS_FILE" };

	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++) {
		const char *path = getenv(names[i]);
		KT_CLOSE int fd = -1;

		if (path && *path)
			fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	}
}

int kt_shard_inherit(struct kt_shard *ret_shard, struct kt_err *reterr)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(inherited); i++) {
		if (!is_engine(&inherited[i]))
			continue;
		touch_status_file();
		return read_engine(&inherited[i], ret_shard, reterr);
	}
	return 0;
}

const char *kt_shard_run(void)
{
	static const char *const names[] = {
		"KTESTS_RUN_ID",          "GITHUB_RUN_ID",      "CI_PIPELINE_ID",
		"CIRCLE_WORKFLOW_ID",     "BUILDKITE_BUILD_ID", "SEMAPHORE_WORKFLOW_ID",
		"BITBUCKET_BUILD_NUMBER", "BUILD_BUILDID",      "SLURM_ARRAY_JOB_ID",
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(names); i++) {
		const char *value = getenv(names[i]);

		if (value && *value)
			return value;
	}
	return "";
}

bool kt_shard_has(const struct kt_shard *shard, size_t position, size_t n, const char *name)
{
	size_t index = shard->index - 1, total = shard->total;
	size_t size = n / total, larger = n % total; /* the first ones have one more */

	switch (shard->partition) {
	case KT_PARTITION_SLICE:
		return position % total == index;
	case KT_PARTITION_HASH:
		return XXH64(name, strlen(name), 0) % total == index;
	case KT_PARTITION_COUNT:
	case KT_PARTITION_TIME:
		break;
	}
	return position >= index * size + KT_MIN(index, larger) &&
	       position < (index + 1) * size + KT_MIN(index + 1, larger);
}
