/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a run has left to do: the tests that did not pass, those that it did not come to, and what
 * it already knew of an earlier run and was not asked to do.
 */

#include <stddef.h>
#include <stdint.h>

#include "framework/shard/record.h"
#include "util/err.h"

struct kt_outstanding {
	struct kt_shard_record record;
	char *dir;          /* of the files of its tests; owned */
	char *path;         /* of the record; owned */
	const char **tests; /* their names, sorted, each once; owned, the texts are the record's */
	size_t n;
	const char **known; /* all tests that its program had, likewise */
	size_t n_known;     /* 0: the record does not say */
	size_t n_not_run;   /* tests of the run that have no result */
	uint64_t seed;      /* that of the failures, if they have one in common, else the run's */
};

#define KT_OUTSTANDING_NULL ((struct kt_outstanding){ .record = KT_SHARD_RECORD_NULL, .dir = NULL })

/*
 * Reads the record @which: "latest" is the latest of this program; otherwise it is a file, or a
 * directory with a journal or with the record of exactly one shard or of a merged run. Errors name
 * the path.
 */
int kt_outstanding_read(struct kt_outstanding *outstanding, const char *which,
			struct kt_err *reterr);
void kt_outstanding_deinit(struct kt_outstanding *outstanding);
