/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Reports of results that are read from files, as those of "merge" and "replay": to the reporters
 * it is a run like any other.
 */

#include "framework/cli/exit_status.h"
#include "framework/merge/shards.h"
#include "framework/options/options.h"
#include "framework/report/report.h"

struct kt_retelling {
	struct kt_merge merge;            /* the records */
	const struct kt_options *options; /* borrowed */
	struct kt_options run;            /* as if one run had made all */
	struct kt_host host;
	struct kt_run_info info;
	struct kt_reporter *reporters;
	struct kt_counts counts;
	json_t *results; /* of all records, for kt_shard_record_write(); NULL unless -o is given */
};

/* Reads every file that a report will need. One that cannot be read is a fault. 0 or -ENOMEM. */
int kt_retelling_check(struct kt_retelling *telling);

/* Makes what is said of the run out of the heads of the records; @program is argv[0]. */
void kt_retelling_describe(struct kt_retelling *telling, const char *program);

/* Writes all reports; with -o, copies the files of the results, too. Errors name the file. */
int kt_retelling_report(struct kt_retelling *telling, struct kt_err *reterr);

void kt_retelling_deinit(struct kt_retelling *telling);
