/* SPDX-License-Identifier: MIT */
#include "wire/result.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json.h"

static const char *const verdict_names[KT_N_VERDICTS] = {
	[KT_VERDICT_SKIP] = "skip",   [KT_VERDICT_PASS] = "pass",
	[KT_VERDICT_FAIL] = "fail",   [KT_VERDICT_INCONCLUSIVE] = "inconclusive",
	[KT_VERDICT_ERROR] = "error",
};

const char *kt_verdict_name(enum kt_verdict verdict)
{
	return verdict_names[verdict];
}

int kt_verdict_parse(const char *name, enum kt_verdict *ret_verdict)
{
	for (size_t i = 0; name && i < KT_N_VERDICTS; i++) {
		if (!strcmp(name, verdict_names[i])) {
			*ret_verdict = (enum kt_verdict)i;
			return 0;
		}
	}
	return -EINVAL;
}

static void failure_deinit(struct kt_failure *failure)
{
	free(failure->file);
	free(failure->what);
	free(failure->expected);
	free(failure->got);
}

void kt_result_deinit(struct kt_result *result)
{
	for (size_t i = 0; i < result->n_failures; i++)
		failure_deinit(&result->failures[i]);
	free(result->failures);
	free(result->reason);
	json_decref(result->scenario);
	*result = KT_RESULT_NULL;
}

void kt_result_merge(struct kt_result *result, enum kt_verdict verdict, const char *reason)
{
	/* Skip is the least of all, yet a test that says it skips has not passed. */
	if (verdict == KT_VERDICT_SKIP && result->verdict != KT_VERDICT_PASS)
		return;
	if (verdict != KT_VERDICT_SKIP && verdict <= result->verdict)
		return;
	result->verdict = verdict;
	kt_result_set_reason(result, reason);
}

void kt_result_set_reason(struct kt_result *result, const char *reason)
{
	free(result->reason);
	result->reason = reason ? strdup(reason) : NULL;
}

/* A failure's texts are bounded, so that KT_FAILURES_MAX of them fit into one frame. */
#define FAILURE_TEXT_MAX 3000u

static char *copy_text(const char *text)
{
	return text ? strndup(text, FAILURE_TEXT_MAX) : NULL;
}

int kt_result_add_failure(struct kt_result *result, const struct kt_failure *failure)
{
	struct kt_failure *grown;

	kt_result_merge(result, KT_VERDICT_FAIL, NULL);
	if (result->n_failures >= KT_FAILURES_MAX)
		return -ENOSPC;
	grown = reallocarray(result->failures, result->n_failures + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	result->failures = grown;
	grown[result->n_failures++] = (struct kt_failure){
		.file = copy_text(failure->file),
		.line = failure->line,
		.what = copy_text(failure->what ?: ""),
		.expected = copy_text(failure->expected),
		.got = copy_text(failure->got),
		.step = failure->step,
		.elapsed_ns = failure->elapsed_ns,
		.excess_ns = failure->excess_ns,
		.excess_share = failure->excess_share,
	};
	return 0;
}

/* NULL for no text: packed with 'o*', the member is then left out. */
static json_t *optional_text(const char *text)
{
	return text ? kt_json_text(text, strlen(text)) : NULL;
}

static json_t *failure_to_json(const struct kt_failure *failure)
{
	return json_pack("{so* si so so* so* si sI sI sf}", "file", optional_text(failure->file),
			 "line", (int)failure->line, "what", optional_text(failure->what ?: ""),
			 "expected", optional_text(failure->expected), "got",
			 optional_text(failure->got), "step", failure->step, "elapsed_ns",
			 (json_int_t)failure->elapsed_ns, "excess_ns",
			 (json_int_t)failure->excess_ns, "excess_share", failure->excess_share);
}

bool kt_result_is_limits_only(const struct kt_result *result)
{
	for (size_t i = 0; i < result->n_failures; i++) {
		if (!result->failures[i].excess_ns && !(result->failures[i].excess_share > 0))
			return false;
	}
	return result->n_failures > 0;
}

json_t *kt_result_to_json(const struct kt_result *result)
{
	json_t *failures = json_array();

	for (size_t i = 0; failures && i < result->n_failures; i++)
		(void)json_array_append_new(failures, failure_to_json(&result->failures[i]));
	return json_pack("{ss so* so sI sI si sO*}", "verdict", verdict_names[result->verdict],
			 "reason", optional_text(result->reason), "failures", failures,
			 "duration_ns", (json_int_t)result->duration_ns, "since_begin_ns",
			 (json_int_t)result->since_begin_ns, "exit_status", result->exit_status,
			 "scenario", result->scenario);
}

/*
 * The payload is this struct and then, only if there is more to say, the whole result as JSON. Most
 * tests pass and have nothing to say, and making JSON takes a guest that was just restored long.
 */
struct result_header {
	uint32_t verdict;
	uint32_t exit_status;
	uint64_t duration_ns;
	uint64_t since_begin_ns;
};

_Static_assert(sizeof(struct result_header) == 24, "wire format");

int kt_result_encode(const struct kt_result *result, void **ret_data, size_t *ret_len)
{
	struct result_header header = {
		.verdict = result->verdict,
		.exit_status = (uint32_t)result->exit_status,
		.duration_ns = result->duration_ns,
		.since_begin_ns = result->since_begin_ns,
	};
	bool says_more = result->reason || result->n_failures || result->scenario;
	KT_JSON json_t *json = says_more ? kt_result_to_json(result) : NULL;
	KT_FREE char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	size_t text_len = text ? strlen(text) : 0;
	char *data = malloc(sizeof(header) + text_len);

	if (!data || (says_more && !text)) {
		free(data);
		return -ENOMEM;
	}
	memcpy(data, &header, sizeof(header));
	if (text)
		memcpy(data + sizeof(header), text, text_len);
	*ret_data = data;
	*ret_len = sizeof(header) + text_len;
	return 0;
}

static const char *text_member(const json_t *json, const char *name)
{
	return json_string_value(json_object_get(json, name));
}

static int failure_from_json(const json_t *json, struct kt_result *result)
{
	int64_t line, step, elapsed, excess;
	struct kt_failure failure;

	if (kt_json_get_int(json, "line", 0, INT32_MAX, &line) ||
	    kt_json_get_int(json, "step", -1, INT32_MAX, &step) ||
	    kt_json_get_int(json, "elapsed_ns", 0, INT64_MAX, &elapsed) ||
	    kt_json_get_int(json, "excess_ns", 0, INT64_MAX, &excess) || !text_member(json, "what"))
		return -EBADMSG;
	failure = (struct kt_failure){
		.file = (char *)text_member(json, "file"),
		.line = (unsigned int)line,
		.what = (char *)text_member(json, "what"),
		.expected = (char *)text_member(json, "expected"),
		.got = (char *)text_member(json, "got"),
		.step = (int)step,
		.elapsed_ns = (uint64_t)elapsed,
		.excess_ns = (uint64_t)excess,
		.excess_share = json_number_value(json_object_get(json, "excess_share")),
	};
	return kt_result_add_failure(result, &failure);
}

static int failures_from_json(const json_t *json, struct kt_result *result)
{
	const json_t *failures = json_object_get(json, "failures");
	const json_t *failure;
	size_t i;

	if (!json_is_array(failures))
		return -EBADMSG;
	json_array_foreach(failures, i, failure)
	{
		int r = failure_from_json(failure, result);

		if (r < 0)
			return r;
	}
	return 0;
}

int kt_result_from_json(const json_t *json, struct kt_result *ret_result, struct kt_err *reterr)
{
	struct kt_result result = KT_RESULT_NULL;
	json_t *scenario = json_object_get(json, "scenario");
	enum kt_verdict verdict;
	int64_t duration, since, status;
	int r;

	if (kt_verdict_parse(text_member(json, "verdict"), &verdict) < 0)
		return kt_err_set(reterr, -EBADMSG, "result without a known verdict");
	if (kt_json_get_int(json, "duration_ns", 0, INT64_MAX, &duration) ||
	    kt_json_get_int(json, "since_begin_ns", 0, INT64_MAX, &since) ||
	    kt_json_get_int(json, "exit_status", 0, 255, &status))
		return kt_err_set(reterr, -EBADMSG, "result without duration or exit status");
	r = failures_from_json(json, &result);
	if (r < 0) {
		kt_result_deinit(&result);
		return kt_err_set(reterr, r, "result with malformed failures");
	}
	/* Failures make it one, unless they are limits that the host explains. */
	if (!result.n_failures ||
	    (verdict == KT_VERDICT_INCONCLUSIVE && kt_result_is_limits_only(&result)))
		result.verdict = verdict;
	else
		result.verdict = KT_MAX(verdict, result.verdict);
	result.reason = copy_text(text_member(json, "reason"));
	result.duration_ns = (uint64_t)duration;
	result.since_begin_ns = (uint64_t)since;
	result.exit_status = (int)status;
	result.scenario = json_is_object(scenario) ? json_incref(scenario) : NULL;
	*ret_result = result;
	return 0;
}

int kt_result_decode(const void *data, size_t len, struct kt_result *ret_result,
		     struct kt_err *reterr)
{
	struct result_header header;
	KT_JSON json_t *json = NULL;
	int r;

	if (len < sizeof(header))
		return kt_err_set(reterr, -EBADMSG, "RSLT of %zu bytes", len);
	memcpy(&header, data, sizeof(header));
	if (len == sizeof(header)) {
		if (header.verdict >= KT_N_VERDICTS || header.exit_status > 255)
			return kt_err_set(reterr, -EBADMSG,
					  "RSLT with verdict %u and exit status %u", header.verdict,
					  header.exit_status);
		/* The session passes the times on as JSON, whose integers are signed. */
		*ret_result = (struct kt_result){
			.verdict = (enum kt_verdict)header.verdict,
			.exit_status = (int)header.exit_status,
			.duration_ns = KT_MIN(header.duration_ns, (uint64_t)INT64_MAX),
			.since_begin_ns = KT_MIN(header.since_begin_ns, (uint64_t)INT64_MAX),
		};
		return 0;
	}
	r = kt_json_parse((const char *)data + sizeof(header), len - sizeof(header), "RSLT", &json,
			  reterr);
	return r < 0 ? r : kt_result_from_json(json, ret_result, reterr);
}
