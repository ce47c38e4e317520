/* SPDX-License-Identifier: MIT */
#include "framework/cli/retelling.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framework/cli/reporters.h"
#include "framework/merge/merged.h"
#include "framework/shard/timings.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * Two passes over the results: the first reads every file and reports nothing, so that a fault in
 * the last one is found before a report begins; the second reports. The results of a run can take
 * more memory than there is, so that one is held at a time.
 */

/* ---- what is said of the run ----------------------------------------------------------------- */

/* Adds "ACCEL" to those of the shards before unless it is among them. */
static void add_accel(struct kt_host *host, const char *accel)
{
	size_t len = strlen(host->accel_text);

	if (!strstr(host->accel_text, accel))
		(void)snprintf(host->accel_text + len, sizeof(host->accel_text) - len, "%s%s",
			       len ? "; " : "", accel);
}

void kt_retelling_describe(struct kt_retelling *telling, const char *program)
{
	const struct kt_merge *merge = &telling->merge;
	const struct kt_shard_head *head = &merge->shards[0].record.head;

	telling->run = *telling->options;
	telling->run.stress_count = head->rounds;
	telling->run.retries = head->retries;
	telling->run.seed = head->seed;
	telling->info = (struct kt_run_info){
		.program = program,
		.options = &telling->run,
		.host = &telling->host,
		.kernels_text = "",
		.is_merged = true,
	};
	for (size_t i = 0; i < merge->n; i++) {
		const struct kt_shard_record *record = &merge->shards[i].record;

		if (*record->head.kernel) {
			telling->info.kernels_text = record->head.kernel;
			telling->info.n_kernels = KT_MAX(record->head.n_labels, (size_t)1);
			telling->info.time = strcmp(record->head.time, "virtual") ? KT_TIME_REAL
										  : KT_TIME_VIRTUAL;
		}
		add_accel(&telling->host, record->head.accel);
		telling->info.n_attempts += (unsigned int)record->n_results;
		telling->counts.elapsed_ns = KT_MAX(telling->counts.elapsed_ns,
						    record->head.elapsed_ms * KT_NSEC_PER_MSEC);
	}
	telling->info.n_tests = telling->info.n_attempts / KT_MAX(head->rounds, 1u);
}

/* ---- the passes ------------------------------------------------------------------------------ */

typedef int (*visit_fn)(struct kt_retelling *telling, const struct kt_merge_shard *shard,
			const struct kt_shard_result *result);

static int visit_all(struct kt_retelling *telling, visit_fn visit)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < telling->merge.n; i++) {
		const struct kt_merge_shard *shard = &telling->merge.shards[i];

		for (size_t k = 0; r == 0 && k < shard->record.n_results; k++)
			r = visit(telling, shard, &shard->record.results[k]);
	}
	return r;
}

static int check_files(struct kt_retelling *telling, const struct kt_merge_shard *shard,
		       const struct kt_shard_result *result)
{
	KT_CLEANUP(kt_merged_deinit) struct kt_merged merged = { .n_attempts = 0 };
	struct kt_err err = KT_ERR_NULL;
	int r = kt_merged_read(&merged, shard, result, &err);

	if (r < 0)
		kt_merge_fault(&telling->merge, "%s", err.text);
	return r == -ENOMEM ? r : 0;
}

/* Files cannot be copied to where they are. */
static void check_target(struct kt_retelling *telling)
{
	const char *dir = telling->options->output_dir;
	KT_FREE char *target = realpath(dir, NULL);
	bool is_source = false;

	for (size_t i = 0; target && i < telling->merge.n; i++) {
		KT_FREE char *source = realpath(telling->merge.shards[i].dir, NULL);

		is_source |= source && !strcmp(source, target);
	}
	if (is_source)
		kt_merge_fault(&telling->merge,
			       "-o '%s' is where the results are; give another directory", dir);
}

int kt_retelling_check(struct kt_retelling *telling)
{
	if (telling->options->output_dir)
		check_target(telling);
	return visit_all(telling, check_files);
}

static int report(struct kt_retelling *telling, const struct kt_merge_shard *shard,
		  const struct kt_shard_result *result)
{
	KT_CLEANUP(kt_merged_deinit) struct kt_merged merged = { .n_attempts = 0 };
	const struct kt_outcome *outcome;
	struct kt_err err = KT_ERR_NULL;
	int r = kt_merged_read(&merged, shard, result, &err);

	if (r == 0 && telling->results) {
		r = kt_merged_copy(&merged, telling->options->output_dir, &err);
		if (json_array_append_new(telling->results, kt_shard_result_to_json(result)) < 0)
			r = r ?: kt_err_oom(&err);
	}
	if (r < 0) {
		(void)fprintf(stderr, "%s: %s\n", telling->merge.command, err.text);
		return r;
	}
	outcome = kt_merged_outcome(&merged);
	telling->counts.total++;
	telling->counts.by_verdict[outcome->result.verdict]++;
	telling->counts.n_flaky += outcome->previous && outcome->result.verdict == KT_VERDICT_PASS;
	for (size_t i = 0; r == 0 && i + 1 < merged.n_attempts; i++)
		r = kt_reporters_retry(telling->reporters, &merged.attempts[i]);
	return r ?: kt_reporters_outcome(telling->reporters, outcome);
}

/* All records as one, for --timings of the next run, and to be run again. */
static int write_times(const struct kt_retelling *telling, struct kt_err *reterr)
{
	struct kt_shard_head head = telling->merge.shards[0].record.head;

	head.index = head.total = 1;
	if (telling->merge.n > 1) {
		head.selected = head.all;
		head.n_selected = head.n_all;
	}
	head.elapsed_ms = telling->counts.elapsed_ns / KT_NSEC_PER_MSEC;
	return kt_shard_record_write(telling->options->output_dir, KT_TIMINGS_FILE, &head,
				     telling->results, reterr);
}

int kt_retelling_report(struct kt_retelling *telling, struct kt_err *reterr)
{
	const char *dir = telling->options->output_dir;
	int r = kt_reporters_make(telling->options, &telling->reporters), r_end;

	if (r == 0 && dir) {
		telling->results = json_array();
		r = telling->results ? 0 : -ENOMEM;
	}
	if (r < 0)
		return kt_err_oom(reterr);
	r = dir ? kt_mkdir_all(dir, reterr) : 0;
	r = r ?: kt_reporters_begin(telling->reporters, &telling->info, reterr);
	if (r < 0)
		return r;
	r = visit_all(telling, report);
	r_end = kt_reporters_end(telling->reporters, &telling->counts, reterr);
	if (r == 0 && r_end == 0 && dir)
		r = write_times(telling, reterr);
	return r ?: r_end;
}

void kt_retelling_deinit(struct kt_retelling *telling)
{
	kt_reporters_free(telling->reporters);
	json_decref(telling->results);
	kt_merge_deinit(&telling->merge);
}
