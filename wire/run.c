/* SPDX-License-Identifier: MIT */
#include "wire/run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json.h"

static const char *const mode_names[] = {
	[KT_RUN_TEST] = "test",
	[KT_RUN_SHELL] = "shell",
	[KT_RUN_EXEC] = "exec",
};

void kt_run_request_deinit(struct kt_run_request *run)
{
	for (const char *const *at = run->environment; at && *at; at++)
		free((void *)*at);
	free((void *)run->environment);
	free((void *)run->terminal);
	free((void *)run->command);
	free((void *)run->test);
	*run = KT_RUN_REQUEST_NULL;
}

static json_t *encode_environment(const char *const *environment)
{
	json_t *array = json_array();

	for (const char *const *at = environment; array && at && *at; at++)
		(void)json_array_append_new(array, kt_json_text(*at, strlen(*at)));
	return array;
}

char *kt_run_request_encode(const struct kt_run_request *run)
{
	KT_JSON json_t *json = json_pack(
		"{ss ss* ss* ss* si si so si so si so}", "mode", mode_names[run->mode], "test",
		run->test, "command", run->command, "terminal", run->terminal, "rows",
		(int)run->rows, "columns", (int)run->columns, "seed", kt_json_hex(run->seed),
		"attempt", (int)run->attempt, "realtime_ns", kt_json_hex(run->realtime_ns),
		"time_scale_percent", (int)run->time_scale_percent, "environment",
		encode_environment(run->environment));

	return json ? json_dumps(json, JSON_COMPACT) : NULL;
}

static int decode_mode(const json_t *json, enum kt_run_mode *ret_mode)
{
	const char *name = json_string_value(json_object_get(json, "mode"));

	for (size_t i = 0; name && i < KT_ARRAY_LEN(mode_names); i++) {
		if (!strcmp(name, mode_names[i])) {
			*ret_mode = (enum kt_run_mode)i;
			return 0;
		}
	}
	return -EBADMSG;
}

static int decode_string(const json_t *json, const char *name, const char **ret_text)
{
	const char *text = json_string_value(json_object_get(json, name));

	*ret_text = text ? strdup(text) : NULL;
	return text && !*ret_text ? -ENOMEM : 0;
}

static int decode_environment(const json_t *json, const char *const **ret_environment)
{
	const json_t *array = json_object_get(json, "environment");
	size_t n = json_array_size(array);
	char **environment = calloc(n + 1, sizeof(char *));

	if (!environment)
		return -ENOMEM;
	*ret_environment = (const char *const *)environment;
	for (size_t i = 0; i < n; i++) {
		const char *text = json_string_value(json_array_get(array, i));

		if (!text || !strchr(text, '='))
			return -EBADMSG;
		environment[i] = strdup(text);
		if (!environment[i])
			return -ENOMEM;
	}
	return 0;
}

static int decode_numbers(const json_t *json, struct kt_run_request *run)
{
	int64_t rows, columns, attempt, scale;

	if (kt_json_get_int(json, "rows", 0, UINT16_MAX, &rows) ||
	    kt_json_get_int(json, "columns", 0, UINT16_MAX, &columns) ||
	    kt_json_get_int(json, "attempt", 0, INT32_MAX, &attempt) ||
	    kt_json_get_int(json, "time_scale_percent", 100, INT32_MAX, &scale) ||
	    kt_json_get_hex(json, "seed", &run->seed) ||
	    kt_json_get_hex(json, "realtime_ns", &run->realtime_ns))
		return -EBADMSG;
	run->rows = (uint16_t)rows;
	run->columns = (uint16_t)columns;
	run->attempt = (uint32_t)attempt;
	run->time_scale_percent = (uint32_t)scale;
	return 0;
}

int kt_run_request_decode(const void *data, size_t len, struct kt_run_request *ret_run,
			  struct kt_err *reterr)
{
	struct kt_run_request run = KT_RUN_REQUEST_NULL;
	KT_JSON json_t *json = NULL;
	int r;

	r = kt_json_parse(data, len, "RUN", &json, reterr);
	if (r < 0)
		return r;
	r = decode_mode(json, &run.mode) ?:
	    decode_string(json, "test", &run.test) ?:
	    decode_string(json, "command", &run.command) ?:
	    decode_string(json, "terminal", &run.terminal) ?:
	    decode_environment(json, &run.environment) ?:
	    decode_numbers(json, &run);
	if (r < 0) {
		kt_run_request_deinit(&run);
		return kt_err_set(reterr, r, "RUN lacks a member or has one of the wrong type");
	}
	*ret_run = run;
	return 0;
}
