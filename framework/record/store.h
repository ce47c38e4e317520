/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The records of runs in the cache: records/TIME-PROGRAM-PID, a directory for each run, with its
 * journal and the files of its tests. There are at most KT_RECORDS_MAX, and none that is older than
 * KT_RECORDS_AGE_NS.
 */

#include <stdint.h>

#include "util/clock.h"
#include "util/err.h"

#define KT_RECORDS_MAX    32u /* of 32 MiB and what one test leaves: 1 GiB, and often 50 MiB */
#define KT_RECORDS_AGE_NS (30 * UINT64_C(86400) * KT_NSEC_PER_SEC)

/*
 * Makes room for a record, and sets *@ret_dir, to be freed, to where that of this run goes: a path
 * at which there is nothing yet. The oldest records go first; those of runs that go on stay.
 * Errors are those of a cache that cannot be written.
 */
int kt_records_new(char **ret_dir, struct kt_err *reterr);

/*
 * The latest record of this program whose run has ended, *@ret_dir, to be freed. A program is known
 * by its path, so that it finds its records after it was built anew. -ENOENT when there is none.
 */
int kt_records_latest(char **ret_dir, struct kt_err *reterr);
