/* SPDX-License-Identifier: MIT */
#pragma once
/* One part of a list of tests: for several machines that share the work. */

#include <stdbool.h>
#include <stddef.h>

#include "util/err.h"

enum kt_partition {
	KT_PARTITION_SLICE, /* every N-th test */
	KT_PARTITION_HASH,  /* by the hash of the name: a test stays where it is when others come */
	KT_PARTITION_COUNT, /* consecutive tests */
};

struct kt_shard {
	enum kt_partition partition;
	unsigned int index; /* 1..total */
	unsigned int total; /* 1: everything */
};

#define KT_SHARD_ALL ((struct kt_shard){ KT_PARTITION_SLICE, 1, 1 })

/* "slice", "hash", "count". */
const char *kt_partition_name(enum kt_partition partition);

/* "slice:2/5", "hash:2/5" or "count:2/5". */
int kt_shard_parse_partition(const char *text, struct kt_shard *ret_shard, struct kt_err *reterr);

/* "2/5". */
int kt_shard_parse(const char *text, struct kt_shard *ret_shard, struct kt_err *reterr);

/*
 * What the continuous integration's variables say (docs/running.md has the list); the partition of
 * @shard stays. -ENOENT when there are none.
 */
int kt_shard_detect(struct kt_shard *shard, struct kt_err *reterr);

/*
 * What Bazel's and GoogleTest's variables say, which count without being asked for; touches the file
 * that says so to them. 0 and @ret_shard untouched when there are none.
 */
int kt_shard_inherit(struct kt_shard *ret_shard, struct kt_err *reterr);

/* Whether the test at @position of @n, called @name, is in the shard. */
bool kt_shard_has(const struct kt_shard *shard, size_t position, size_t n, const char *name);
