/* SPDX-License-Identifier: MIT */
#include "framework/outcome.h"

#include <errno.h>
#include <stdlib.h>

#include "wire/json.h"

static const char *const phase_names[KT_N_PHASES] = {
	[KT_PHASE_BOOT] = "boot",
	[KT_PHASE_RUN] = "run",
	[KT_PHASE_TEARDOWN] = "teardown",
};

const char *kt_phase_name(enum kt_phase phase)
{
	return phase_names[phase];
}

int kt_outcome_init(struct kt_outcome *outcome, const struct kt_test *test, struct kt_err *reterr)
{
	*outcome = (struct kt_outcome){
		.test = test,
		.iteration = 1,
		.result = KT_RESULT_NULL,
		.out = KT_CAPTURE_NULL,
		.err = KT_CAPTURE_NULL,
		.console = KT_CAPTURE_NULL,
		.dmesg = KT_CAPTURE_NULL,
		.host = KT_CAPTURE_NULL,
	};
	return kt_capture_init(&outcome->out, "ktest-stdout", reterr) ?:
	       kt_capture_init(&outcome->err, "ktest-stderr", reterr) ?:
	       kt_capture_init(&outcome->console, "ktest-console", reterr) ?:
	       kt_capture_init(&outcome->dmesg, "ktest-dmesg", reterr) ?:
	       kt_capture_init(&outcome->host, "ktest-host", reterr);
}

void kt_outcome_deinit(struct kt_outcome *outcome)
{
	kt_result_deinit(&outcome->result);
	kt_capture_deinit(&outcome->out);
	kt_capture_deinit(&outcome->err);
	kt_capture_deinit(&outcome->console);
	kt_capture_deinit(&outcome->dmesg);
	kt_capture_deinit(&outcome->host);
}

char *kt_outcome_encode(const struct kt_outcome *outcome)
{
	KT_JSON json_t *json =
		json_pack("{so sI sI sI}", "result", kt_result_to_json(&outcome->result), "boot",
			  (json_int_t)outcome->phase_ns[KT_PHASE_BOOT], "run",
			  (json_int_t)outcome->phase_ns[KT_PHASE_RUN], "teardown",
			  (json_int_t)outcome->phase_ns[KT_PHASE_TEARDOWN]);

	return json ? json_dumps(json, JSON_COMPACT) : NULL;
}

int kt_outcome_decode(const void *data, size_t len, struct kt_outcome *outcome,
		      struct kt_err *reterr)
{
	KT_JSON json_t *json = NULL;
	int r;

	r = kt_json_parse(data, len, "outcome", &json, reterr);
	if (r < 0)
		return r;
	for (int i = 0; i < KT_N_PHASES; i++) {
		int64_t ns;

		if (kt_json_get_int(json, phase_names[i], 0, INT64_MAX, &ns) < 0)
			return kt_err_set(reterr, -EBADMSG, "outcome without phases");
		outcome->phase_ns[i] = (uint64_t)ns;
	}
	return kt_result_from_json(json_object_get(json, "result"), &outcome->result, reterr);
}
