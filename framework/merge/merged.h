/* SPDX-License-Identifier: MIT */
#pragma once
/* An outcome that is read back from the files that -o has written of it, for reports. */

#include "framework/kernel/kernel.h"
#include "framework/merge/shards.h"
#include "framework/outcome/outcome.h"

/* What an outcome borrows, and the outcome itself. */
struct kt_merged {
	struct kt_test test;
	struct kt_kernel kernel;
	struct kt_step *steps;       /* of @test; owned */
	struct kt_outcome *attempts; /* oldest first; owned */
	size_t n_attempts;
	json_t *json; /* the texts; owned */
	char *name;   /* owned */
	char *base;   /* path of the files without their endings; owned */
};

/* Of a zeroed struct, too. */
void kt_merged_deinit(struct kt_merged *merged);

/*
 * Reads the files of a result of @shard. They must be those that the record is of: -ESTALE when the
 * verdict or the seed is another one. Errors name the file: -ENOENT, -EBADMSG, -ENOMEM and others.
 */
int kt_merged_read(struct kt_merged *merged, const struct kt_merge_shard *shard,
		   const struct kt_shard_result *result, struct kt_err *reterr);

/* The last attempt, which refers to the others; borrowed. */
const struct kt_outcome *kt_merged_outcome(const struct kt_merged *merged);

/* Copies all files of the result to the directory @dir, and removes there what it has not. */
int kt_merged_copy(const struct kt_merged *merged, const char *dir, struct kt_err *reterr);
