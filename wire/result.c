/* SPDX-License-Identifier: MIT */
#include "wire/result.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "wire/frame.h"
#include "wire/json.h"
#include "wire/shed.h"

/*
 * A result is made in the guest and read by the host, which does not trust it: every number is
 * checked against its range and every text is bounded. A failure can only be added, never removed,
 * and each one makes the verdict FAIL, so a guest cannot report a failure and pass. The single
 * exception is INCONCLUSIVE for failures that a slow host explains.
 *
 * A result exists in two forms. RSLT is a binary header, followed by JSON only if there is more to
 * say. The JSON alone is what the session passes to the runner and what reports contain.
 */

static const char *const verdict_names[KT_N_VERDICTS] = {
	[KT_VERDICT_SKIP] = "skip",   [KT_VERDICT_PASS] = "pass",
	[KT_VERDICT_FAIL] = "fail",   [KT_VERDICT_INCONCLUSIVE] = "inconclusive",
	[KT_VERDICT_ERROR] = "error",
};

const char *kt_verdict_name(enum kt_verdict verdict)
{
	return verdict_names[verdict];
}

static int parse_verdict(const char *name, enum kt_verdict *ret_verdict)
{
	for (size_t i = 0; name && i < KT_N_VERDICTS; i++) {
		if (!strcmp(name, verdict_names[i])) {
			*ret_verdict = (enum kt_verdict)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Every text of a failure in a result is an own copy. */
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
	free(result->shed);
	json_decref(result->scenario);
	*result = KT_RESULT_NULL;
}

void kt_result_merge(struct kt_result *result, enum kt_verdict verdict, const char *reason)
{
	/*
	 * SKIP is the smallest verdict, and a result begins as PASS. A test that declares itself
	 * skipped has not passed, so SKIP replaces PASS, but nothing else.
	 */
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

/* One text of a failure must not fill a frame by itself; kt_shed() sees to the sum of all. */
#define FAILURE_TEXT_MAX 3000u

static char *copy_text(const char *text)
{
	return text ? strndup(text, FAILURE_TEXT_MAX) : NULL;
}

int kt_result_add_failure(struct kt_result *result, const struct kt_failure *failure)
{
	struct kt_failure *grown;

	kt_result_merge(result, KT_VERDICT_FAIL, NULL);
	if (result->n_failures >= KT_FAILURES_MAX) {
		result->n_failures_lost++;
		return -ENOSPC;
	}
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

/* A new string, or NULL for no text: the format 'o*' of json_pack() then leaves the member out. */
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
	return json_pack("{ss so* so sI sI sI si sI sI sI sI sO* so*}", "verdict",
			 verdict_names[result->verdict], "reason", optional_text(result->reason),
			 "failures", failures, "failures_lost", (json_int_t)result->n_failures_lost,
			 "duration_ns", (json_int_t)result->duration_ns, "since_begin_ns",
			 (json_int_t)result->since_begin_ns, "exit_status", result->exit_status,
			 "turns", (json_int_t)result->turns.ended, "switches",
			 (json_int_t)result->turns.switches, "insns",
			 (json_int_t)result->turns.insns, "left_behind",
			 (json_int_t)result->left_behind, "scenario", result->scenario, "shed",
			 optional_text(result->shed));
}

/*
 * The payload of RSLT is this struct and, if the result has a reason, failures or statistics, the
 * whole result as JSON. Most tests pass and have none of them; making JSON takes long in a guest
 * that was just restored, where every page is touched for the first time.
 */
struct result_header {
	uint32_t verdict;
	uint16_t exit_status;
	uint16_t left_behind; /* saturates */
	uint64_t duration_ns;
	uint64_t since_begin_ns;
	struct kt_turns_made turns;
};

_Static_assert(sizeof(struct result_header) == 48, "wire format");

int kt_result_encode(const struct kt_result *result, void **ret_data, size_t *ret_len)
{
	struct result_header header = {
		.verdict = result->verdict,
		.exit_status = (uint16_t)result->exit_status,
		.left_behind = (uint16_t)KT_MIN(result->left_behind, (unsigned int)UINT16_MAX),
		.duration_ns = result->duration_ns,
		.since_begin_ns = result->since_begin_ns,
		.turns = result->turns,
	};
	bool says_more = result->reason || result->n_failures || result->scenario;
	KT_JSON json_t *json = says_more ? kt_result_to_json(result) : NULL;
	KT_FREE char *text = json ? kt_shed(json, KT_FRAME_PAYLOAD_MAX - sizeof(header)) : NULL;
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

/* A number that only describes; one that is missing or makes no sense counts as @other. */
static int64_t optional_int(const json_t *json, const char *name, int64_t min, int64_t max,
			    int64_t other)
{
	int64_t value;

	return kt_json_get_int(json, name, min, max, &value) ? other : value;
}

/* What went wrong must be said. Where and when are dropped if they make no sense. */
static int failure_from_json(const json_t *json, struct kt_result *result)
{
	struct kt_failure failure;

	if (!text_member(json, "what"))
		return -EBADMSG;
	failure = (struct kt_failure){
		.file = (char *)text_member(json, "file"),
		.line = (unsigned int)optional_int(json, "line", 0, INT32_MAX, 0),
		.what = (char *)text_member(json, "what"),
		.expected = (char *)text_member(json, "expected"),
		.got = (char *)text_member(json, "got"),
		.step = (int)optional_int(json, "step", -1, INT32_MAX, -1),
		.elapsed_ns = (uint64_t)optional_int(json, "elapsed_ns", 0, INT64_MAX, 0),
		.excess_ns = (uint64_t)optional_int(json, "excess_ns", 0, INT64_MAX, 0),
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

		if (r < 0 && r != -ENOSPC)
			return r;
	}
	return 0;
}

/* A sentence that lists what kt_shed() left out, to be freed; NULL when it was nothing. */
static char *describe_shed(const json_t *shed)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer text = KT_BUFFER_NULL;
	const json_t *part;
	size_t i;

	if (json_is_string(shed))
		return copy_text(json_string_value(shed));
	json_array_foreach(shed, i, part)
	{
		const char *what = json_string_value(part) ?: "";

		if ((i && kt_buffer_append(&text, ", ", 2) < 0) ||
		    kt_buffer_append(&text, what, strlen(what)) < 0)
			return NULL;
	}
	return text.len ? strndup(text.data, KT_MIN(text.len, (size_t)FAILURE_TEXT_MAX)) : NULL;
}

int kt_result_from_json(const json_t *json, struct kt_result *ret_result, struct kt_err *reterr)
{
	struct kt_result result = KT_RESULT_NULL;
	json_t *scenario = json_object_get(json, "scenario");
	enum kt_verdict verdict;
	int r;

	if (parse_verdict(text_member(json, "verdict"), &verdict) < 0)
		return kt_err_set(reterr, -EBADMSG, "result without a known verdict");
	r = failures_from_json(json, &result);
	if (r < 0) {
		kt_result_deinit(&result);
		return kt_err_set(reterr, r, "result with malformed failures");
	}
	/*
	 * kt_result_add_failure() has made the verdict FAIL for each failure. It stays so, unless
	 * the verdict is INCONCLUSIVE and the failures are limits that a slow host can explain.
	 */
	if (!result.n_failures ||
	    (verdict == KT_VERDICT_INCONCLUSIVE && kt_result_is_limits_only(&result)))
		result.verdict = verdict;
	else
		result.verdict = KT_MAX(verdict, result.verdict);
	result.reason = copy_text(text_member(json, "reason"));
	result.duration_ns = (uint64_t)optional_int(json, "duration_ns", 0, INT64_MAX, 0);
	result.since_begin_ns = (uint64_t)optional_int(json, "since_begin_ns", 0, INT64_MAX, 0);
	result.turns = (struct kt_turns_made){
		.ended = (uint64_t)optional_int(json, "turns", 0, INT64_MAX, 0),
		.switches = (uint64_t)optional_int(json, "switches", 0, INT64_MAX, 0),
		.insns = (uint64_t)optional_int(json, "insns", 0, INT64_MAX, 0),
	};
	result.left_behind = (unsigned int)optional_int(json, "left_behind", 0, UINT32_MAX / 2, 0);
	result.exit_status = (int)optional_int(json, "exit_status", 0, 255, 255);
	result.n_failures_lost +=
		(unsigned int)optional_int(json, "failures_lost", 0, UINT32_MAX / 2, 0);
	result.shed = describe_shed(json_object_get(json, "shed"));
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
	/* Nothing but the header: no reason, no failures, no statistics. */
	if (len == sizeof(header)) {
		if (header.verdict >= KT_N_VERDICTS || header.exit_status > 255)
			return kt_err_set(reterr, -EBADMSG,
					  "RSLT with verdict %u and exit status %u", header.verdict,
					  header.exit_status);
		/* The session passes the times on as JSON, whose integers are signed. */
		*ret_result = (struct kt_result){
			.verdict = (enum kt_verdict)header.verdict,
			.exit_status = (int)header.exit_status,
			.left_behind = header.left_behind,
			.duration_ns = KT_MIN(header.duration_ns, (uint64_t)INT64_MAX),
			.since_begin_ns = KT_MIN(header.since_begin_ns, (uint64_t)INT64_MAX),
			.turns = {
				.ended = KT_MIN(header.turns.ended, (uint64_t)INT64_MAX),
				.switches = KT_MIN(header.turns.switches, (uint64_t)INT64_MAX),
				.insns = KT_MIN(header.turns.insns, (uint64_t)INT64_MAX),
			},
		};
		return 0;
	}
	r = kt_json_parse((const char *)data + sizeof(header), len - sizeof(header), "RSLT", &json,
			  reterr);
	return r < 0 ? r : kt_result_from_json(json, ret_result, reterr);
}
