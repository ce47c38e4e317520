/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A shard is one of N parts of the selected tests. Several machines that run one shard each
 * together run every test exactly once.
 */

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

/* How the tests are divided. */
enum kt_partition {
	KT_PARTITION_SLICE, /* every N-th test */
	KT_PARTITION_HASH,  /* by the name's hash: a test stays in its part when others are added */
	KT_PARTITION_COUNT, /* consecutive tests; the parts differ by one test at most */
	KT_PARTITION_TIME,  /* tests by the time that they took (framework/shard/balance.h) */
};

struct kt_shard {
	enum kt_partition partition;
	unsigned int index; /* 1..total */
	unsigned int total; /* number of parts, at most 100000; 1: everything */
};

#define KT_SHARD_ALL ((struct kt_shard){ KT_PARTITION_SLICE, 1, 1 })

/* "slice", "hash", "count", "time". */
const char *kt_partition_name(enum kt_partition partition);

/*
 * Parses "slice:2/5" and likewise hash, count and time. With "auto" in place of the numbers, both
 * become 0. Returns 0 or -EINVAL.
 */
int kt_shard_parse_partition(const char *text, struct kt_shard *ret_shard, struct kt_err *reterr);

/* Parses "2/5", a slice. Returns 0 or -EINVAL. */
int kt_shard_parse(const char *text, struct kt_shard *ret_shard, struct kt_err *reterr);

/*
 * Takes index and total from the variables of the CI system (docs/running.md lists them);
 * shard->partition stays. -ENOENT when no such variables are set; -EINVAL when they contradict one
 * another.
 */
int kt_shard_detect(struct kt_shard *shard, struct kt_err *reterr);

/*
 * Takes index and total from the variables of Bazel or GoogleTest, which expect to be obeyed
 * without an option, and creates the file by which a program acknowledges them. Returns 0 and
 * leaves *@ret_shard alone when no such variables are set; -EINVAL when they are wrong.
 */
int kt_shard_inherit(struct kt_shard *ret_shard, struct kt_err *reterr);

/*
 * The name of the run that this shard is a part of: KTESTS_RUN_ID, or what the CI system calls it;
 * "" when nothing says it. All shards of a run have the same, also one that runs again.
 */
const char *kt_shard_run(void);

/*
 * Whether the test @name, which is number @position (from 0) of @n, belongs to @shard, which is not
 * one by time.
 */
bool kt_shard_has(const struct kt_shard *shard, size_t position, size_t n, const char *name);
