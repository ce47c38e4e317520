/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/report/failure.h"
#include "framework/report/report.h"
#include "framework/report/topology.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/json.h"

/*
 * A sidecar is a JSON file for each test, with everything that is known about it, for programs that
 * compare runs. Beside it, files with the same name and another ending hold the output of the
 * test's schedulers, the kernel's dumps of them, the output of a test that did not pass, and what
 * explains its failure.
 *
 * A directory may have the files of an earlier run. Those of the same name are replaced, and those
 * that this run does not write are removed, so that all files of a test are of one run.
 *
 * Every file is published by a rename, so a reader never sees half of one. Tests run on after a
 * file could not be written; the first error is kept, nothing more is written, and the end of the
 * run reports it.
 */

/* To be raised when a member changes its meaning; docs/results.md describes the members. */
#define SIDECAR_VERSION 1

struct sidecar {
	struct kt_reporter reporter;
	char *dir;
	uint64_t bytes;    /* of files, so far */
	bool failed;       /* a file could not be written; no other is tried */
	struct kt_err err; /* of the first failure */
};

/* A directory in which nothing can be written is reported before the run, not after it. */
static int check_directory(const char *dir, struct kt_err *reterr)
{
	int r = kt_mkdir_all(dir, reterr);

	if (r == 0 && access(dir, W_OK | X_OK) < 0)
		r = kt_err_set(reterr, -errno, "results cannot be written to '%s': %m", dir);
	return r;
}

static int sidecar_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
			 struct kt_err *reterr)
{
	struct sidecar *sidecar = (struct sidecar *)reporter;

	(void)info;
	return check_directory(sidecar->dir, reterr);
}

static json_t *phases_to_json(const struct kt_outcome *outcome)
{
	json_t *phases = json_object();

	for (int i = 0; phases && i < KT_N_PHASES; i++)
		(void)json_object_set_new(phases, kt_phase_name((enum kt_phase)i),
					  json_integer((json_int_t)outcome->phase_ns[i]));
	return phases;
}

/* The snapshots have files of their own, with names that follow from this one's. */
static json_t *snapshots_to_json(const struct kt_outcome *outcome)
{
	json_t *array = outcome->snapshots.n ? json_array() : NULL;

	for (size_t i = 0; array && i < outcome->snapshots.n; i++)
		(void)json_array_append_new(
			array, json_pack("{s:s, s:I}", "name", outcome->snapshots.at[i].name,
					 "bytes", (json_int_t)outcome->snapshots.at[i].len));
	return array;
}

/* Of an attempt that failed, the command that runs it again. */
static json_t *rerun_to_json(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	KT_FREE char *text =
		kt_outcome_is_failure(outcome) ? kt_report_rerun_command(info, outcome) : NULL;

	return text ? kt_json_text(text, strlen(text)) : NULL;
}

static json_t *attempt_to_json(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	json_t *template =
		outcome->template_ram ? json_sprintf("%016" PRIx64, outcome->template_ram) : NULL;

	return json_pack(
		"{si so so* si so so so* ss* ss* sO* sO* so* so*}", "attempt",
		(int)outcome->attempt, "seed", json_sprintf("%" PRIu64, outcome->seed), "template",
		template, "total_ms", (int)(outcome->total_ns / 1000000), "phases_ns",
		phases_to_json(outcome), "result", kt_result_to_json(&outcome->result), "snapshots",
		snapshots_to_json(outcome), "capsule", outcome->capsule, "no_capsule",
		outcome->no_capsule, "freeze", outcome->freeze, "machine", outcome->machine,
		"rerun", rerun_to_json(info, outcome), "capsule_bytes",
		outcome->capsule ? json_integer((json_int_t)outcome->capsule_bytes) : NULL);
}

/* The attempts are linked from the latest to the first; the array is in the order of time. */
static json_t *attempts_to_json(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	json_t *attempts = json_array();

	for (; attempts && outcome; outcome = outcome->previous)
		(void)json_array_insert_new(attempts, 0, attempt_to_json(info, outcome));
	return attempts;
}

/* NULL where no policy was in effect. */
static const char *policy_of(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	return outcome->mips && info->host->repeatable ? kt_turns_policy_name(info->options->policy)
						       : NULL;
}

static json_t *outcome_to_json(const struct kt_run_info *info, const struct kt_outcome *outcome)
{
	const struct kt_test *test = outcome->test;

	return json_pack("{si ss ss si ss* ss ss ss si ss* ss so si si so}", "version",
			 SIDECAR_VERSION, "test", outcome->name, "file", test->file, "line",
			 (int)test->line, "summary", test->summary, "kernel",
			 outcome->kernel->facts.release, "accel", info->host->accel_text, "time",
			 kt_time_name(test->time == KT_REAL_TIME ? KT_TIME_REAL : info->time),
			 "mips", (int)outcome->mips, "policy", policy_of(info, outcome), "verdict",
			 kt_verdict_name(outcome->result.verdict), "topology",
			 kt_report_topology(test), "iteration", (int)outcome->iteration,
			 "n_attempts", (int)outcome->attempt, "attempts",
			 attempts_to_json(info, outcome));
}

static char *make_path(const struct sidecar *sidecar, const struct kt_outcome *outcome,
		       const char *ending)
{
	return kt_report_path(sidecar->reporter.info, outcome, sidecar->dir, ending);
}

static int publish(struct sidecar *sidecar, const char *path, const char *text, size_t len)
{
	sidecar->bytes += len;
	return kt_file_publish(path, text, len, &sidecar->err);
}

static int write_outcome(struct sidecar *sidecar, const struct kt_outcome *outcome)
{
	KT_JSON json_t *json = outcome_to_json(sidecar->reporter.info, outcome);
	KT_FREE char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
	KT_FREE char *path = make_path(sidecar, outcome, "json");

	if (!text || !path)
		return kt_err_oom(&sidecar->err);
	return publish(sidecar, path, text, strlen(text));
}

/* Writes a file; an empty text means none, and removes one that an earlier run has left. */
static int write_file(struct sidecar *sidecar, const char *path, const char *text, size_t len)
{
	if (!text || !path)
		return kt_err_oom(&sidecar->err);
	if (len)
		return publish(sidecar, path, text, len);
	if (unlink(path) < 0 && errno != ENOENT)
		return kt_err_set(&sidecar->err, -errno, "'%s', of an earlier run: %m", path);
	return 0;
}

/* Writes all bytes of @capture as they are, if it is @wanted. */
static int write_capture(struct sidecar *sidecar, const struct kt_outcome *outcome,
			 const struct kt_capture *capture, const char *ending, bool wanted)
{
	size_t len;
	KT_FREE char *bytes = kt_capture_read(capture, &len);
	KT_FREE char *path = make_path(sidecar, outcome, ending);

	return write_file(sidecar, path, bytes, wanted ? len : 0);
}

/* What the guest has written, where it may explain something: in the latest attempt that failed. */
static int write_output(struct sidecar *sidecar, const struct kt_outcome *outcome)
{
	const struct kt_outcome *failed = kt_report_failed_attempt(outcome),
				*of = failed ?: outcome;

	return write_capture(sidecar, outcome, &of->out, "stdout", failed)
		       ?: write_capture(sidecar, outcome, &of->err, "stderr", failed)
		       ?: write_capture(sidecar, outcome, &of->console, "console", failed)
		       ?: write_capture(sidecar, outcome, &of->dmesg, "dmesg", failed);
}

/* The guest's trace, where -o says. The record in the cache would be full after two of them. */
static int write_trace(struct sidecar *sidecar, const struct kt_outcome *outcome)
{
	const char *wanted = sidecar->reporter.info->options->output_dir;

	return write_capture(sidecar, outcome, &outcome->trace, "sched.trace",
			     wanted && !strcmp(wanted, sidecar->dir));
}

/* What explains the latest attempt that failed, in one file. */
static int write_failure(struct sidecar *sidecar, const struct kt_outcome *outcome)
{
	const struct kt_outcome *failed = kt_report_failed_attempt(outcome);
	KT_FREE char *text =
		failed ? kt_report_failure_json(sidecar->reporter.info, failed) : strdup("");
	KT_FREE char *path = make_path(sidecar, outcome, "failure.json");

	return write_file(sidecar, path, text, text ? strlen(text) : 0);
}

/* Reports of an earlier run, which had snapshots by other names. Other files are not ours. */
static int remove_reports(struct sidecar *sidecar, const char *path)
{
	DIR *dir = opendir(path);
	int r = dir || errno == ENOENT ? 0 : -errno;

	for (struct dirent *entry; r == 0 && dir && (entry = readdir(dir));) {
		size_t len = strlen(entry->d_name);

		if (len > 5 && !strcmp(entry->d_name + len - 5, ".json") &&
		    unlinkat(dirfd(dir), entry->d_name, 0) < 0)
			r = -errno;
	}
	if (dir)
		(void)closedir(dir);
	/* It stays if it holds anything else. */
	(void)rmdir(path);
	return r < 0 ? kt_err_set(&sidecar->err, r, "'%s', of an earlier run: %m", path) : 0;
}

/* DIR/NAME.snapshots/SNAPSHOT.json for each; those of the latest attempt. */
static int write_snapshots(struct sidecar *sidecar, const struct kt_outcome *outcome)
{
	const struct kt_snapshots *snapshots = &outcome->snapshots;
	KT_FREE char *dir = make_path(sidecar, outcome, "snapshots");
	int r = dir ? remove_reports(sidecar, dir) : kt_err_oom(&sidecar->err);

	if (r == 0 && snapshots->n)
		r = kt_mkdir_all(dir, &sidecar->err);
	for (size_t i = 0; r == 0 && i < snapshots->n; i++) {
		KT_FREE char *text = kt_snapshots_text(snapshots, &snapshots->at[i]);
		KT_FREE char *path = kt_format("%s/%s.json", dir, snapshots->at[i].name);

		r = write_file(sidecar, path, text, snapshots->at[i].len);
	}
	return r;
}

static int write_all(struct sidecar *sidecar, const struct kt_outcome *outcome)
{
	return write_outcome(sidecar, outcome) ?: write_output(sidecar, outcome)
		       ?: write_capture(sidecar, outcome, &outcome->scx_log, "scheduler.log", true)
		       ?: write_capture(sidecar, outcome, &outcome->scx_dump, "dump", true)
		       ?: write_trace(sidecar, outcome)
		       ?: write_snapshots(sidecar, outcome) ?: write_failure(sidecar, outcome);
}

static int sidecar_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct sidecar *sidecar = (struct sidecar *)reporter;

	if (!sidecar->failed)
		sidecar->failed = write_all(sidecar, outcome) < 0;
	return 0;
}

/* The error is returned here, so that the exit status tells it, and not by sidecar_outcome(). */
static int sidecar_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		       struct kt_err *reterr)
{
	const struct sidecar *sidecar = (const struct sidecar *)reporter;

	(void)counts;
	return sidecar->failed ? kt_err_set(reterr, -EIO, "results: %s", sidecar->err.text) : 0;
}

bool kt_report_sidecar_has_failed(const struct kt_reporter *reporter)
{
	return ((const struct sidecar *)reporter)->failed;
}

uint64_t kt_report_sidecar_bytes(const struct kt_reporter *reporter)
{
	return ((const struct sidecar *)reporter)->bytes;
}

static void sidecar_free(struct kt_reporter *reporter)
{
	free(((struct sidecar *)reporter)->dir);
	free(reporter);
}

static const struct kt_reporter_ops sidecar_ops = {
	.begin = sidecar_begin,
	.outcome = sidecar_outcome,
	.end = sidecar_end,
	.free = sidecar_free,
};

int kt_report_sidecar_new(const char *dir, struct kt_reporter **ret_reporter)
{
	struct sidecar *sidecar = calloc(1, sizeof(*sidecar));

	if (!sidecar)
		return -ENOMEM;
	sidecar->reporter.ops = &sidecar_ops;
	sidecar->dir = strdup(dir);
	if (!sidecar->dir) {
		free(sidecar);
		return -ENOMEM;
	}
	*ret_reporter = &sidecar->reporter;
	return 0;
}
