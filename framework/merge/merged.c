/* SPDX-License-Identifier: MIT */
#include "framework/merge/merged.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/json.h"

/*
 * The declaration of a test is read from its file, not from this program: the program that merges
 * need not have the tests. Texts belong to the JSON, as far as the outcome does not own them.
 *
 * The files are not trusted. A member that is missing leaves a default; only what makes the report
 * wrong is refused: another version, another test, verdict or seed than the record says.
 */

#define FILE_MAX     ((size_t)64 << 20)
#define ATTEMPTS_MAX 1001u /* one, and 1000 retries */
#define VERSION      1     /* of TEST.json */

void kt_merged_deinit(struct kt_merged *merged)
{
	for (size_t i = 0; i < merged->n_attempts; i++)
		kt_outcome_deinit(&merged->attempts[i]);
	free(merged->attempts);
	free(merged->steps);
	free(merged->name);
	free(merged->base);
	json_decref(merged->json);
	*merged = (struct kt_merged){ .n_attempts = 0 };
}

static char *copy_text(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text ? strdup(text) : NULL;
}

static uint64_t get_u64(const json_t *object, const char *name)
{
	int64_t value;

	return kt_json_get_int(object, name, 0, INT64_MAX, &value) < 0 ? 0 : (uint64_t)value;
}

/* A report names the step of a failure. Steps that did not run are not in the file. */
static int read_steps(struct kt_merged *merged, const json_t *result)
{
	const json_t *steps = json_object_get(json_object_get(result, "scenario"), "steps");
	size_t n = json_array_size(steps);

	merged->steps = calloc(n + 1, sizeof(*merged->steps));
	if (!merged->steps)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		merged->steps[i].name =
			json_string_value(json_object_get(json_array_get(steps, i), "name"));
	merged->steps[n].end = true;
	merged->test.steps = n ? merged->steps : NULL;
	return 0;
}

static int read_attempt(struct kt_merged *merged, const json_t *json, struct kt_outcome *outcome,
			struct kt_err *reterr)
{
	const json_t *phases = json_object_get(json, "phases_ns");
	const char *template = kt_json_str(json, "template");

	outcome->test = &merged->test;
	outcome->name = merged->name;
	outcome->kernel = &merged->kernel;
	outcome->iteration = (unsigned int)KT_MAX(get_u64(merged->json, "iteration"), UINT64_C(1));
	outcome->attempt = (unsigned int)KT_MAX(get_u64(json, "attempt"), UINT64_C(1));
	outcome->seed = strtoull(kt_json_str(json, "seed"), NULL, 10);
	outcome->template_ram = strtoull(template, NULL, 16);
	outcome->mips = (unsigned int)get_u64(merged->json, "mips");
	outcome->total_ns = get_u64(json, "total_ms") * KT_NSEC_PER_MSEC;
	for (int i = 0; i < KT_N_PHASES; i++)
		outcome->phase_ns[i] = get_u64(phases, kt_phase_name((enum kt_phase)i));
	outcome->capsule = copy_text(json, "capsule");
	outcome->capsule_bytes = get_u64(json, "capsule_bytes");
	outcome->no_capsule = copy_text(json, "no_capsule");
	outcome->rerun = copy_text(json, "rerun");
	outcome->freeze = json_incref(json_object_get(json, "freeze"));
	return kt_result_from_json(json_object_get(json, "result"), &outcome->result, reterr);
}

/* Each refers to the one before. */
static int read_attempts(struct kt_merged *merged, struct kt_err *reterr)
{
	const json_t *attempts = json_object_get(merged->json, "attempts");
	size_t n = json_array_size(attempts);
	int r = 0;

	if (!n || n > ATTEMPTS_MAX)
		return kt_err_set(reterr, -EBADMSG, "member 'attempts' is wrong");
	merged->attempts = calloc(n, sizeof(*merged->attempts));
	if (!merged->attempts)
		return kt_err_oom(reterr);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct kt_outcome *outcome = &merged->attempts[i];

		*outcome = KT_OUTCOME_NULL;
		merged->n_attempts++;
		r = read_attempt(merged, json_array_get(attempts, i), outcome, reterr);
		outcome->previous = i ? outcome - 1 : NULL;
	}
	return r ?: read_steps(merged, json_object_get(json_array_get(attempts, n - 1), "result"));
}

/* Each is a file in memory: only those that are used have one. */
static int init_captures(struct kt_outcome *outcome, struct kt_err *reterr)
{
	struct kt_capture *captures[] = { &outcome->out,   &outcome->err,     &outcome->console,
					  &outcome->dmesg, &outcome->scx_log, &outcome->scx_dump };
	int r = 0;

	for (size_t i = 0; r == 0 && i < KT_ARRAY_LEN(captures); i++) {
		if (captures[i]->fd < 0)
			r = kt_capture_init(captures[i], "ktest-merged", reterr);
	}
	return r;
}

/* Of a test that has no such file, the capture stays empty. */
static int load_capture(const struct kt_merged *merged, const char *ending,
			struct kt_capture *capture)
{
	KT_FREE char *path = kt_format("%s.%s", merged->base, ending);
	KT_FREE char *text = NULL;
	size_t len = 0;
	int r = path ? 0 : -ENOMEM;

	if (r == 0 && kt_file_readable(path))
		r = kt_file_read(path, FILE_MAX, &text, &len);
	return r < 0 || !len ? r : kt_capture_append(capture, text, len);
}

/* What the guest has written is that of the latest attempt that failed. */
static int load_output(struct kt_merged *merged, struct kt_err *reterr)
{
	size_t i = merged->n_attempts;

	while (i && !kt_outcome_is_failure(&merged->attempts[i - 1]))
		i--;
	if (!i)
		return 0;
	return init_captures(&merged->attempts[i - 1], reterr)
		       ?: load_capture(merged, "stdout", &merged->attempts[i - 1].out)
		       ?: load_capture(merged, "stderr", &merged->attempts[i - 1].err)
		       ?: load_capture(merged, "console", &merged->attempts[i - 1].console)
		       ?: load_capture(merged, "dmesg", &merged->attempts[i - 1].dmesg);
}

/* What schedulers have printed is that of the last attempt. */
static int load_captures(struct kt_merged *merged, struct kt_err *reterr)
{
	struct kt_outcome *last = &merged->attempts[merged->n_attempts - 1];

	return init_captures(last, reterr)
		       ?: load_capture(merged, "scheduler.log", &last->scx_log)
		       ?: load_capture(merged, "dump", &last->scx_dump)
		       ?: kt_snapshots_init(&last->snapshots, reterr)
		       ?: load_output(merged, reterr);
}

/* One that is gone, or whose name leads elsewhere, is not shown. */
static int load_snapshots(struct kt_merged *merged, struct kt_err *reterr)
{
	struct kt_outcome *outcome = &merged->attempts[merged->n_attempts - 1];
	const json_t *attempts = json_object_get(merged->json, "attempts");
	const json_t *names =
		json_object_get(json_array_get(attempts, merged->n_attempts - 1), "snapshots");
	size_t n = KT_MIN(json_array_size(names), (size_t)KT_SNAPSHOTS_MAX);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++) {
		const char *name = kt_json_str(json_array_get(names, i), "name");
		KT_FREE char *path = kt_format("%s.snapshots/%s.json", merged->base, name);
		KT_FREE char *text = NULL;
		bool replaced;
		size_t len;

		if (!path)
			return kt_err_oom(reterr);
		if (!*name || strlen(name) > KT_SNAPSHOT_NAME_MAX || strchr(name, '/') ||
		    !kt_file_readable(path) || kt_file_read(path, FILE_MAX, &text, &len) < 0)
			continue;
		r = kt_snapshots_put(&outcome->snapshots, name, text, len, true, &replaced, reterr);
	}
	return r;
}

/* Whether the file is that of the record's run. */
static int check_result(const struct kt_merged *merged, const struct kt_shard_result *result,
			struct kt_err *reterr)
{
	const struct kt_outcome *last = kt_merged_outcome(merged);

	if (strcmp(kt_json_str(merged->json, "test"), merged->name) != 0)
		return kt_err_set(reterr, -ESTALE, "is of the test '%s'",
				  kt_json_str(merged->json, "test"));
	if (last->result.verdict != result->verdict || last->seed != result->seed ||
	    last->iteration != result->iteration || last->attempt != result->attempts)
		return kt_err_set(
			reterr, -ESTALE,
			"is of another run than the record: it has verdict %s, seed %" PRIu64
			" and attempt %u, the record %s, %" PRIu64 " and %u",
			kt_verdict_name(last->result.verdict), last->seed, last->attempt,
			kt_verdict_name(result->verdict), result->seed, result->attempts);
	return 0;
}

static int read_json(struct kt_merged *merged, const char *path, struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	int64_t version;
	size_t len;
	int r = kt_file_readable(path) ? kt_file_read(path, FILE_MAX, &text, &len) : -ENOENT;

	if (r < 0)
		return kt_err_set(reterr, r, "cannot be read: %m");
	r = kt_json_parse(text, len, "the file", &merged->json, reterr);
	if (r == 0 && kt_json_get_int(merged->json, "version", VERSION, VERSION, &version) < 0)
		r = kt_err_set(reterr, -EBADMSG, "member 'version' is not %d", VERSION);
	if (r < 0)
		return r;
	merged->test = (struct kt_test){
		.name = merged->name,
		.file = kt_json_str(merged->json, "file"),
		.line = (unsigned int)get_u64(merged->json, "line"),
		.summary = json_string_value(json_object_get(merged->json, "summary")),
	};
	(void)snprintf(merged->kernel.facts.release, sizeof(merged->kernel.facts.release), "%s",
		       kt_json_str(merged->json, "kernel"));
	return read_attempts(merged, reterr);
}

static int make_names(struct kt_merged *merged, const struct kt_merge_shard *shard,
		      const struct kt_shard_result *result)
{
	merged->kernel = KT_KERNEL_NULL;
	merged->name = *result->label ? kt_format("%s[%s]", result->test, result->label)
				      : strdup(result->test);
	if (!merged->name)
		return -ENOMEM;
	merged->base = shard->record.head.rounds == 1 ? kt_format("%s/%s", shard->dir, merged->name)
						      : kt_format("%s/%s@stress-%u", shard->dir,
								  merged->name, result->iteration);
	return merged->base ? 0 : -ENOMEM;
}

int kt_merged_read(struct kt_merged *merged, const struct kt_merge_shard *shard,
		   const struct kt_shard_result *result, struct kt_err *reterr)
{
	KT_FREE char *path = NULL;
	int r;

	*merged = (struct kt_merged){ .n_attempts = 0 };
	if (make_names(merged, shard, result) < 0)
		return kt_err_oom(reterr);
	path = kt_format("%s.json", merged->base);
	if (!path)
		return kt_err_oom(reterr);
	r = read_json(merged, path, reterr) ?: check_result(merged, result, reterr);
	if (r == 0)
		r = load_captures(merged, reterr) ?: load_snapshots(merged, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "'%s'", path) : 0;
}

const struct kt_outcome *kt_merged_outcome(const struct kt_merged *merged)
{
	return &merged->attempts[merged->n_attempts - 1];
}
