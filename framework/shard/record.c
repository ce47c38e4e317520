/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "framework/shard/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "framework/shard/journal.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/json.h"

/*
 * A record that was read keeps its JSON, to which all texts belong. Names become names of files
 * that are opened and written, so that check_name() refuses what would leave their directory.
 *
 * The hash of the list is written and checked, too: a list that somebody has edited, or that a tool
 * has cut, is not the list that was divided.
 */

#define SCHEMA    "ktest-shard"
#define VERSION   1 /* to be raised when a member changes its meaning */
#define SHARD_MAX 100000
#define MS_MAX    (INT64_C(1) << 40) /* of a test; sums of any number of files stay in range */

uint64_t kt_shard_names_hash(const char *const *names, size_t n)
{
	XXH64_state_t state;

	(void)XXH64_reset(&state, 0);
	for (size_t i = 0; i < n; i++)
		(void)XXH64_update(&state, names[i], strlen(names[i]) + 1);
	return XXH64_digest(&state);
}

char *kt_shard_record_path(const char *dir, unsigned int index, unsigned int total)
{
	return kt_format("%s/shard-%u-of-%u.json", dir, index, total);
}

bool kt_shard_record_is_name(const char *file)
{
	unsigned int index, total;
	int end = 0;

	return sscanf(file, "shard-%6u-of-%6u.json%n", &index, &total, &end) == 2 && end &&
	       !file[end];
}

/* ---- writing --------------------------------------------------------------------------------- */

json_t *kt_shard_result_to_json(const struct kt_shard_result *result)
{
	return json_pack("{ss ss si si si ss sI so so* ss si}", "test", result->test, "kernel",
			 result->label, "iteration", (int)result->iteration, "attempts",
			 (int)result->attempts, "vcpus", (int)result->vcpus, "verdict",
			 kt_verdict_name(result->verdict), "ms",
			 (json_int_t)KT_MIN(result->ms, (uint64_t)MS_MAX), "seed",
			 json_sprintf("%" PRIu64, result->seed), "reason",
			 result->reason ? kt_json_text(result->reason, strlen(result->reason))
					: NULL,
			 "file", result->file, "line", (int)result->line);
}

static json_t *names_to_json(const char *const *names, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++)
		(void)json_array_append_new(array, json_string(names[i]));
	return array;
}

static json_t *optional_names(const char *const *names, size_t n)
{
	return n ? names_to_json(names, n) : NULL;
}

json_t *kt_shard_record_to_json(const struct kt_shard_head *head, json_t *results)
{
	return json_pack(
		"{ss si ss ss si si ss so so so so so* so* so si ss ss ss ss si so sb sI sO}",
		"schema", SCHEMA, "version", VERSION, "run", head->run, "program", head->program,
		"shard", (int)head->index, "of", (int)head->total, "partition", head->partition,
		"timings", json_sprintf("%016" PRIx64, head->timings), "hash",
		json_sprintf("%016" PRIx64, kt_shard_names_hash(head->all, head->n_all)), "all",
		names_to_json(head->all, head->n_all), "selected",
		names_to_json(head->selected, head->n_selected), "known",
		optional_names(head->known, head->n_known), "outstanding",
		optional_names(head->outstanding, head->n_outstanding), "kernels",
		names_to_json(head->labels, head->n_labels), "rounds", (int)head->rounds, "host",
		head->host, "kernel", head->kernel, "accel", head->accel, "time", head->time,
		"retries", (int)head->retries, "seed", json_sprintf("%" PRIu64, head->seed),
		"complete", head->complete, "elapsed_ms",
		(json_int_t)KT_MIN(head->elapsed_ms, (uint64_t)MS_MAX), "results", results);
}

int kt_shard_record_write(const char *dir, const char *name, const struct kt_shard_head *head,
			  json_t *results, struct kt_err *reterr)
{
	KT_JSON json_t *json = kt_shard_record_to_json(head, results);
	KT_FREE char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
	KT_FREE char *path = name ? kt_format("%s/%s", dir, name)
				  : kt_shard_record_path(dir, head->index, head->total);

	if (!text || !path)
		return kt_err_oom(reterr);
	return kt_file_publish(path, text, strlen(text), reterr);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* The first error stays; what is read after it does not matter. */
struct reader {
	const json_t *json;
	struct kt_err *reterr;
	int r;
};

static void refuse(struct reader *reader, const char *member)
{
	if (reader->r == 0)
		reader->r = kt_err_set(reader->reterr, -EBADMSG, "member '%s' is missing or wrong",
				       member);
}

static const char *get_text(struct reader *reader, const char *member)
{
	const char *text = json_string_value(json_object_get(reader->json, member));

	if (!text)
		refuse(reader, member);
	return text ?: "";
}

static int64_t get_int(struct reader *reader, const char *member, int64_t min, int64_t max)
{
	int64_t value = min;

	if (kt_json_get_int(reader->json, member, min, max, &value) < 0)
		refuse(reader, member);
	return value;
}

/* A number that JSON's integers cannot hold, as text in @base. */
static uint64_t get_u64(struct reader *reader, const char *member, int base)
{
	const char *text = get_text(reader, member);
	char *end;
	uint64_t value = strtoull(text, &end, base);

	if (!*text || *end || strchr(text, '-'))
		refuse(reader, member);
	return value;
}

static bool is_name(const char *name)
{
	size_t len = strlen(name);

	if (!len || len > KT_SHARD_NAME_MAX || *name == '.')
		return false;
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f || name[i] == '/')
			return false;
	}
	return true;
}

static const char *get_name(struct reader *reader, const char *member, bool may_be_empty)
{
	const char *name = get_text(reader, member);

	if (!is_name(name) && (*name || !may_be_empty))
		refuse(reader, member);
	return name;
}

/* Puts the names of an array to @names, which has room for them; returns how many. */
static size_t get_names(struct reader *reader, const char *member, const char **names)
{
	const json_t *array = json_object_get(reader->json, member);
	size_t n = json_array_size(array);

	if (!json_is_array(array))
		refuse(reader, member);
	for (size_t i = 0; i < n; i++) {
		names[i] = json_string_value(json_array_get(array, i)) ?: "";
		if (!is_name(names[i]))
			refuse(reader, member);
	}
	return n;
}

static void read_result(struct reader *reader, struct kt_shard_result *result)
{
	const char *verdict = get_text(reader, "verdict");
	int at = 0;

	while (at < KT_N_VERDICTS && strcmp(verdict, kt_verdict_name((enum kt_verdict)at)))
		at++;
	if (at == KT_N_VERDICTS)
		refuse(reader, "verdict");
	*result = (struct kt_shard_result){
		.test = get_name(reader, "test", false),
		.label = get_name(reader, "kernel", true),
		.iteration = (unsigned int)get_int(reader, "iteration", 1, INT32_MAX),
		.attempts = (unsigned int)get_int(reader, "attempts", 1, INT32_MAX),
		.vcpus = (unsigned int)get_int(reader, "vcpus", 1, 65536),
		.verdict = at < KT_N_VERDICTS ? (enum kt_verdict)at : KT_VERDICT_ERROR,
		.ms = (uint64_t)get_int(reader, "ms", 0, MS_MAX),
		.seed = get_u64(reader, "seed", 10),
		.reason = json_string_value(json_object_get(reader->json, "reason")),
		.file = get_text(reader, "file"),
		.line = (unsigned int)get_int(reader, "line", 0, INT32_MAX),
	};
}

static void read_results(struct reader *reader, struct kt_shard_record *record)
{
	const json_t *array = json_object_get(reader->json, "results");
	struct reader result = *reader;
	size_t n = json_array_size(array);

	if (!json_is_array(array))
		refuse(&result, "results");
	record->results = calloc(n + 1, sizeof(*record->results));
	if (!record->results)
		result.r = kt_err_oom(reader->reterr);
	for (; result.r == 0 && record->n_results < n; record->n_results++) {
		result.json = json_array_get(array, record->n_results);
		read_result(&result, &record->results[record->n_results]);
	}
	reader->r = result.r;
}

static void read_lists(struct reader *reader, struct kt_shard_record *record)
{
	struct kt_shard_head *head = &record->head;
	const struct {
		const char *member;
		bool may_lack;
		const char *const **names;
		size_t *n;
	} lists[] = {
		{ "all", false, &head->all, &head->n_all },
		{ "selected", false, &head->selected, &head->n_selected },
		{ "kernels", false, &head->labels, &head->n_labels },
		{ "known", true, &head->known, &head->n_known },
		{ "outstanding", true, &head->outstanding, &head->n_outstanding },
	};
	const char **at;
	size_t n = 0;

	for (size_t i = 0; i < KT_ARRAY_LEN(lists); i++)
		n += json_array_size(json_object_get(reader->json, lists[i].member));
	at = record->names = calloc(n + 1, sizeof(*record->names));
	if (!at) {
		reader->r = kt_err_oom(reader->reterr);
		return;
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(lists); i++) {
		*lists[i].names = at;
		if (!lists[i].may_lack || json_object_get(reader->json, lists[i].member))
			*lists[i].n = get_names(reader, lists[i].member, at);
		at += *lists[i].n;
	}
	if (get_u64(reader, "hash", 16) != kt_shard_names_hash(head->all, head->n_all))
		refuse(reader, "hash");
}

static void read_head(struct reader *reader, struct kt_shard_head *head)
{
	*head = (struct kt_shard_head){
		.run = get_text(reader, "run"),
		.program = get_text(reader, "program"),
		.total = (unsigned int)get_int(reader, "of", 1, SHARD_MAX),
		.partition = get_text(reader, "partition"),
		.timings = get_u64(reader, "timings", 16),
		.rounds = (unsigned int)get_int(reader, "rounds", 0, INT32_MAX),
		.host = get_text(reader, "host"),
		.kernel = get_text(reader, "kernel"),
		.accel = get_text(reader, "accel"),
		.time = get_text(reader, "time"),
		.retries = (unsigned int)get_int(reader, "retries", 0, 1000),
		.seed = get_u64(reader, "seed", 10),
		.elapsed_ms = (uint64_t)get_int(reader, "elapsed_ms", 0, MS_MAX),
	};
	head->status = -1;
	if (json_object_get(reader->json, "status"))
		head->status = (int)get_int(reader, "status", 0, 255);
	if (json_object_get(reader->json, "left_out"))
		head->n_left_out = (uint64_t)get_int(reader, "left_out", 0, INT64_MAX);
	head->index = (unsigned int)get_int(reader, "shard", 1, head->total);
	if (!json_is_boolean(json_object_get(reader->json, "complete")))
		refuse(reader, "complete");
	head->complete = json_is_true(json_object_get(reader->json, "complete"));
}

static void check_version(struct reader *reader)
{
	int64_t version = get_int(reader, "version", 1, INT32_MAX);

	if (reader->r == 0 && version != VERSION)
		reader->r = kt_err_set(reader->reterr, -EPROTO,
				       "it is of version %d of the format, and this program reads "
				       "version %d",
				       (int)version, VERSION);
}

int kt_shard_record_parse(const char *text, size_t len, struct kt_shard_record *ret_record,
			  struct kt_err *reterr)
{
	struct kt_shard_record record = KT_SHARD_RECORD_NULL;
	struct reader reader = { .reterr = reterr };
	int r = kt_journal_is(text, len)
			? kt_journal_parse(text, len, &record.json, reterr)
			: kt_json_parse(text, len, "the record of a run", &record.json, reterr);

	if (r < 0)
		return r;
	reader.json = record.json;
	if (strcmp(get_text(&reader, "schema"), SCHEMA) != 0)
		refuse(&reader, "schema");
	check_version(&reader);
	if (reader.r == 0)
		read_head(&reader, &record.head);
	if (reader.r == 0)
		read_lists(&reader, &record);
	if (reader.r == 0)
		read_results(&reader, &record);
	if (reader.r < 0)
		kt_shard_record_deinit(&record);
	else
		*ret_record = record;
	return reader.r;
}

int kt_shard_record_read(const char *path, struct kt_shard_record *ret_record,
			 struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	size_t len = 0;
	int r = kt_file_readable(path) ? kt_file_read(path, KT_SHARD_RECORD_MAX, &text, &len)
				       : -EINVAL;

	if (r == -EINVAL)
		return kt_err_set(reterr, r, "'%s' is no regular file that can be read", path);
	if (r < 0)
		return kt_err_set(reterr, r, "'%s': %m", path);
	r = kt_shard_record_parse(text, len, ret_record, reterr);
	if (r == -EPROTO)
		return kt_err_prefix(reterr, r, "'%s'", path);
	return r < 0 ? kt_err_prefix(reterr, r, "'%s' is truncated or damaged", path) : 0;
}

void kt_shard_record_deinit(struct kt_shard_record *record)
{
	free(record->results);
	free(record->names);
	json_decref(record->json);
	*record = KT_SHARD_RECORD_NULL;
}
