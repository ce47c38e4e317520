/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/report/shard.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/json.h"

/*
 * The record of a shard, for "ktests merge". It is written at the end, in one step, and one of an
 * earlier run goes at the beginning: a shard that is killed leaves none, and so is found missing.
 */
struct shard {
	struct kt_reporter reporter;
	char *dir;
	struct kt_shard_head head;
	json_t *results;
};

static int shard_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
		       struct kt_err *reterr)
{
	struct shard *shard = (struct shard *)reporter;
	KT_FREE char *path = kt_shard_record_path(shard->dir, shard->head.index, shard->head.total);

	(void)info;
	if (!path)
		return kt_err_oom(reterr);
	if (unlink(path) < 0 && errno != ENOENT && errno != ENOTDIR)
		return kt_err_set(reterr, -errno, "'%s', of an earlier run: %m", path);
	return 0;
}

/* A test that never had a machine, such as a disabled one, has taken no time. */
struct kt_shard_result kt_report_shard_result(const struct kt_outcome *outcome)
{
	const char *label = outcome->kernel ? outcome->kernel->label : NULL;
	struct kt_shard_result result = {
		.test = outcome->test->name,
		.label = label ?: "",
		.iteration = outcome->iteration,
		.attempts = outcome->attempt,
		.vcpus = kt_test_vcpus(outcome->test),
		.verdict = outcome->result.verdict,
		.seed = outcome->seed,
		.reason = outcome->result.reason,
		.file = outcome->test->file,
		.line = outcome->test->line,
	};

	for (const struct kt_outcome *at = outcome; at; at = at->previous)
		result.ms += at->total_ns / KT_NSEC_PER_MSEC;
	return result;
}

static int shard_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct shard *shard = (struct shard *)reporter;
	struct kt_shard_result result = kt_report_shard_result(outcome);

	if (json_array_append_new(shard->results, kt_shard_result_to_json(&result)) < 0)
		return -ENOMEM;
	return 0;
}

void kt_report_shard_describe(struct kt_shard_head *head, const struct kt_run_info *info,
			      char host[256])
{
	memset(host, 0, 256);
	if (gethostname(host, 255) < 0)
		host[0] = '\0';
	head->host = host;
	head->kernel = info->kernels_text;
	head->accel = info->host->accel_text;
	head->time = kt_time_name(info->time);
}

bool kt_report_shard_is_complete(const struct kt_counts *counts)
{
	return !counts->interrupted && !counts->n_not_run;
}

static int shard_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		     struct kt_err *reterr)
{
	struct shard *shard = (struct shard *)reporter;
	struct kt_shard_head head = shard->head;
	char host[256];

	kt_report_shard_describe(&head, reporter->info, host);
	head.complete = kt_report_shard_is_complete(counts);
	head.n_known = head.n_outstanding = 0;
	head.elapsed_ms = counts->elapsed_ns / KT_NSEC_PER_MSEC;
	return kt_shard_record_write(shard->dir, NULL, &head, shard->results, reterr);
}

static void shard_free(struct kt_reporter *reporter)
{
	struct shard *shard = (struct shard *)reporter;

	json_decref(shard->results);
	free(shard->dir);
	free(shard);
}

static const struct kt_reporter_ops shard_ops = {
	.begin = shard_begin,
	.outcome = shard_outcome,
	.end = shard_end,
	.free = shard_free,
};

int kt_report_shard_new(const char *dir, const struct kt_shard_head *head,
			struct kt_reporter **ret_reporter)
{
	struct shard *shard = calloc(1, sizeof(*shard));

	if (!shard)
		return -ENOMEM;
	shard->reporter.ops = &shard_ops;
	shard->head = *head;
	shard->dir = strdup(dir);
	shard->results = json_array();
	if (!shard->dir || !shard->results) {
		shard_free(&shard->reporter);
		return -ENOMEM;
	}
	*ret_reporter = &shard->reporter;
	return 0;
}
