/* SPDX-License-Identifier: MIT */
#pragma once
/* What the records of runs and of shards have in common (framework/shard/record.h). */

#include "framework/report/report.h"

/* What a record has of the test of @outcome; texts are borrowed of it. */
struct kt_shard_result kt_report_shard_result(const struct kt_outcome *outcome);

/* Fills in what is known when the run begins; texts are borrowed of @info and @host. */
void kt_report_shard_describe(struct kt_shard_head *head, const struct kt_run_info *info,
			      char host[256]);

/* Whether the run did not end early. */
bool kt_report_shard_is_complete(const struct kt_counts *counts);
