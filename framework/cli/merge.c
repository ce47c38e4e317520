/* SPDX-License-Identifier: MIT */
#include "framework/cli/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/cli/reporters.h"
#include "framework/merge/merged.h"
#include "framework/merge/shards.h"
#include "framework/shard/timings.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/json.h"

/*
 * Two passes over the results: the first reads every file and reports nothing, so that a fault in
 * the last one is found before a report begins; the second reports. The results of a run can take
 * more memory than there is, so that one is held at a time.
 */

struct merging {
	struct kt_merge merge;
	const struct kt_options *options;
	struct kt_options run; /* as if one run had made all */
	struct kt_host host;
	struct kt_run_info info;
	struct kt_reporter *reporters;
	struct kt_counts counts;
	json_t *results; /* of all shards, for the times; NULL unless -o is given */
};

/* ---- what is said of the run ----------------------------------------------------------------- */

/* Adds "ACCEL" to those of the shards before unless it is among them. */
static void add_accel(struct kt_host *host, const char *accel)
{
	size_t len = strlen(host->accel_text);

	if (!strstr(host->accel_text, accel))
		(void)snprintf(host->accel_text + len, sizeof(host->accel_text) - len, "%s%s",
			       len ? "; " : "", accel);
}

static void describe(struct merging *merging, const char *program)
{
	const struct kt_merge *merge = &merging->merge;
	const struct kt_shard_head *head = &merge->shards[0].record.head;

	merging->run = *merging->options;
	merging->run.stress_count = head->rounds;
	merging->run.retries = head->retries;
	merging->run.seed = head->seed;
	merging->info = (struct kt_run_info){
		.program = program,
		.options = &merging->run,
		.host = &merging->host,
		.kernels_text = "",
		.is_merged = true,
	};
	for (size_t i = 0; i < merge->n; i++) {
		const struct kt_shard_record *record = &merge->shards[i].record;

		if (*record->head.kernel) {
			merging->info.kernels_text = record->head.kernel;
			merging->info.n_kernels = KT_MAX(record->head.n_labels, (size_t)1);
			merging->info.time = strcmp(record->head.time, "virtual") ? KT_TIME_REAL
										  : KT_TIME_VIRTUAL;
		}
		add_accel(&merging->host, record->head.accel);
		merging->info.n_attempts += (unsigned int)record->n_results;
		merging->counts.elapsed_ns = KT_MAX(merging->counts.elapsed_ns,
						    record->head.elapsed_ms * KT_NSEC_PER_MSEC);
	}
	merging->info.n_tests = merging->info.n_attempts / KT_MAX(head->rounds, 1u);
}

static void say_proof(const struct merging *merging)
{
	const struct kt_merge *merge = &merging->merge;
	const struct kt_shard_head *head = &merge->shards[0].record.head;

	if (!*head->run && merge->n > 1)
		(void)fprintf(stderr, "warning: the shards name no run (KTESTS_RUN_ID), so that it "
				      "cannot be proved that they are of one\n");
	(void)fprintf(kt_reporters_text_stream(merging->options),
		      "%zu shards%s%s: %zu tests, each in one shard and with a result\n", merge->n,
		      *head->run ? " of run " : "", head->run, head->n_all);
}

/* ---- the passes ------------------------------------------------------------------------------ */

typedef int (*visit_fn)(struct merging *merging, const struct kt_merge_shard *shard,
			const struct kt_shard_result *result);

static int visit_all(struct merging *merging, visit_fn visit)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < merging->merge.n; i++) {
		const struct kt_merge_shard *shard = &merging->merge.shards[i];

		for (size_t k = 0; r == 0 && k < shard->record.n_results; k++)
			r = visit(merging, shard, &shard->record.results[k]);
	}
	return r;
}

static int check_files(struct merging *merging, const struct kt_merge_shard *shard,
		       const struct kt_shard_result *result)
{
	KT_CLEANUP(kt_merged_deinit) struct kt_merged merged = { .n_attempts = 0 };
	struct kt_err err = KT_ERR_NULL;
	int r = kt_merged_read(&merged, shard, result, &err);

	if (r < 0)
		kt_merge_fault(&merging->merge, "%s", err.text);
	return r == -ENOMEM ? r : 0;
}

static int report(struct merging *merging, const struct kt_merge_shard *shard,
		  const struct kt_shard_result *result)
{
	KT_CLEANUP(kt_merged_deinit) struct kt_merged merged = { .n_attempts = 0 };
	const struct kt_outcome *outcome;
	struct kt_err err = KT_ERR_NULL;
	int r = kt_merged_read(&merged, shard, result, &err);

	if (r == 0 && merging->results) {
		r = kt_merged_copy(&merged, merging->options->output_dir, &err);
		if (json_array_append_new(merging->results, kt_shard_result_to_json(result)) < 0)
			r = r ?: kt_err_oom(&err);
	}
	if (r < 0) {
		(void)fprintf(stderr, "merge: %s\n", err.text);
		return r;
	}
	outcome = kt_merged_outcome(&merged);
	merging->counts.total++;
	merging->counts.by_verdict[outcome->result.verdict]++;
	merging->counts.n_flaky += outcome->previous && outcome->result.verdict == KT_VERDICT_PASS;
	for (size_t i = 0; r == 0 && i + 1 < merged.n_attempts; i++)
		r = kt_reporters_retry(merging->reporters, &merged.attempts[i]);
	return r ?: kt_reporters_outcome(merging->reporters, outcome);
}

/* ---- the command ----------------------------------------------------------------------------- */

/* All shards as one, for --timings of the next run. */
static int write_times(const struct merging *merging, struct kt_err *reterr)
{
	struct kt_shard_head head = merging->merge.shards[0].record.head;

	head.index = head.total = 1;
	head.selected = head.all;
	head.n_selected = head.n_all;
	head.elapsed_ms = merging->counts.elapsed_ns / KT_NSEC_PER_MSEC;
	return kt_shard_record_write(merging->options->output_dir, KT_TIMINGS_FILE, &head,
				     merging->results, reterr);
}

/* Files cannot be copied to where they are. */
static int check_target(struct merging *merging)
{
	const char *dir = merging->options->output_dir;
	KT_FREE char *target = realpath(dir, NULL);

	for (size_t i = 0; target && i < merging->merge.n; i++) {
		KT_FREE char *source = realpath(merging->merge.shards[i].dir, NULL);

		if (source && !strcmp(source, target))
			kt_merge_fault(&merging->merge,
				       "-o '%s' is where the results of a shard are; give another "
				       "directory",
				       dir);
		if (source && !strcmp(source, target))
			break;
	}
	return 0;
}

static int prove(struct merging *merging)
{
	const struct kt_options *options = merging->options;
	int r = 0;

	for (size_t i = 0; r == 0 && i < options->tests.n; i++)
		r = kt_merge_read(&merging->merge, options->tests.at[i]);
	kt_merge_sort(&merging->merge);
	/* A record that cannot be read is told; that its shard is lost follows from it. */
	r = r ?: kt_merge_prove(&merging->merge);
	if (r == 0 && !merging->merge.n_faults)
		r = visit_all(merging, check_files);
	if (r == 0 && options->output_dir)
		r = check_target(merging);
	return r;
}

static int write_reports(struct merging *merging, struct kt_err *reterr)
{
	const char *dir = merging->options->output_dir;
	int r = kt_reporters_make(merging->options, &merging->reporters), r_end;

	if (r == 0 && dir) {
		merging->results = json_array();
		r = merging->results ? 0 : -ENOMEM;
	}
	if (r < 0)
		return kt_err_oom(reterr);
	r = dir ? kt_mkdir_all(dir, reterr) : 0;
	r = r ?: kt_reporters_begin(merging->reporters, &merging->info, reterr);
	if (r < 0)
		return r;
	r = visit_all(merging, report);
	r_end = kt_reporters_end(merging->reporters, &merging->counts, reterr);
	if (r == 0 && r_end == 0 && dir)
		r = write_times(merging, reterr);
	return r ?: r_end;
}

static int merge(struct merging *merging, const char *program)
{
	struct kt_err err = KT_ERR_NULL;
	int r = prove(merging);

	if (r < 0 || merging->merge.n_faults) {
		(void)fprintf(stderr, "merge: %s; nothing was written\n",
			      r < 0 ? strerror(-r)
				    : "the shards are not proved to be one whole run");
		return KT_EXIT_STATUS_HARNESS;
	}
	describe(merging, program);
	say_proof(merging);
	r = write_reports(merging, &err);
	if (r < 0 && *err.text)
		(void)fprintf(stderr, "merge: %s\n", err.text);
	return kt_reporters_exit_status(merging->options, &merging->counts, 0, r < 0);
}

int kt_merge_command(const char *program, const struct kt_options *options)
{
	struct merging merging = { .merge = { .out = stderr }, .options = options };
	int status = merge(&merging, program);

	kt_reporters_free(merging.reporters);
	json_decref(merging.results);
	kt_merge_deinit(&merging.merge);
	return status;
}
