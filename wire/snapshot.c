/* SPDX-License-Identifier: MIT */
#include "wire/snapshot.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "wire/json.h"

/*
 * A number of 64 bits without a sign is sent as the signed one with the same bits, because JSON has
 * no other here. A member that a kind of request does not use has its default.
 */

int kt_snapshot_check_name(const char *name, struct kt_err *reterr)
{
	size_t len = name ? strlen(name) : 0;

	if (!len)
		return kt_err_set(reterr, -EINVAL, "its name is empty");
	if (len > KT_SNAPSHOT_NAME_MAX)
		return kt_err_set(reterr, -EINVAL, "the name '%.40s...' is longer than %u bytes",
				  name, KT_SNAPSHOT_NAME_MAX);
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr(i ? "_-." : "_", name[i]))
			return kt_err_set(reterr, -EINVAL,
					  "the name '%s' has other characters than letters, "
					  "digits, '_', '-' and '.'",
					  name);
	}
	return 0;
}

/* ---- Requests ---- */

static json_t *steps_to_json(const struct kt_snapshot_request *request)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < request->n_steps; i++) {
		const struct kt_snapshot_step *step = &request->steps[i];

		(void)json_array_append_new(
			array, json_pack("{s:i, s:o, s:o, s:I}", "kind", (int)step->kind, "text",
					 kt_json_text(step->text, strlen(step->text)), "value",
					 kt_json_text(step->value, strlen(step->value)), "number",
					 (json_int_t)step->number));
	}
	return array;
}

int kt_snapshot_request_encode(const struct kt_snapshot_request *request, char **ret_data)
{
	KT_JSON json_t *json = json_pack(
		"{s:I, s:i, s:s, s:b, s:I, s:i, s:i, s:o}", "id", (json_int_t)request->id, "op",
		(int)request->op, "name", request->name, "periodic", request->periodic, "elapsed",
		(json_int_t)request->elapsed_ns, "step", request->step, "form", (int)request->form,
		"steps", steps_to_json(request));

	*ret_data = json ? json_dumps(json, JSON_COMPACT) : NULL;
	return *ret_data ? 0 : -ENOMEM;
}

static int get_int(const json_t *json, const char *name, int64_t min, int64_t max,
		   int64_t *ret_value, struct kt_err *reterr)
{
	if (kt_json_get_int(json, name, min, max, ret_value) < 0)
		return kt_err_set(reterr, -EBADMSG, "'%s' is missing or out of range", name);
	return 0;
}

static int get_text(const json_t *json, const char *name, char *to, size_t room,
		    struct kt_err *reterr)
{
	if (kt_json_get_text(json, name, to, room) < 0)
		return kt_err_set(reterr, -EBADMSG, "'%s' is missing or too long", name);
	return 0;
}

static int decode_step(const json_t *json, struct kt_snapshot_step *step, struct kt_err *reterr)
{
	int64_t kind = 0;
	int r = get_int(json, "kind", 1, KT_SNAPSHOT_STEPS_END - 1, &kind, reterr) ?:
		get_int(json, "number", INT64_MIN, INT64_MAX, &step->number, reterr) ?:
		get_text(json, "text", step->text, sizeof(step->text), reterr) ?:
		get_text(json, "value", step->value, sizeof(step->value), reterr);

	step->kind = (enum kt_snapshot_step_kind)kind;
	return r;
}

static int decode_steps(const json_t *array, struct kt_snapshot_request *request,
			struct kt_err *reterr)
{
	int r = 0;

	request->n_steps = json_array_size(array);
	if (!json_is_array(array) || request->n_steps > KT_VIEW_STEPS_MAX)
		return kt_err_set(reterr, -EBADMSG, "the view has more than %u steps",
				  KT_VIEW_STEPS_MAX);
	for (size_t i = 0; r == 0 && i < request->n_steps; i++)
		r = decode_step(json_array_get(array, i), &request->steps[i], reterr);
	return r;
}

/* What is a name is one that a file may have. */
static int check_request(const struct kt_snapshot_request *request, struct kt_err *reterr)
{
	if (request->op != KT_SNAPSHOT_CAPTURE && !request->form)
		return kt_err_set(reterr, -EBADMSG, "'form' is missing");
	if (request->op == KT_SNAPSHOT_SERIES)
		return 0;
	return kt_snapshot_check_name(request->name, reterr) < 0 ? -EBADMSG : 0;
}

int kt_snapshot_request_decode(const void *data, size_t len,
			       struct kt_snapshot_request *ret_request, struct kt_err *reterr)
{
	KT_FREE struct kt_snapshot_request *request = calloc(1, sizeof(*request));
	int64_t id = 0, op = 0, step = 0, form = 0;
	KT_JSON json_t *json = NULL;
	int r;

	if (!request)
		return kt_err_oom(reterr);
	r = kt_json_parse(data, len, "SNRQ", &json, reterr) ?:
		get_int(json, "id", 0, UINT32_MAX, &id, reterr) ?:
		get_int(json, "op", 1, KT_SNAPSHOT_OPS_END - 1, &op, reterr) ?:
		get_int(json, "elapsed", -1, INT64_MAX, &request->elapsed_ns, reterr) ?:
		get_int(json, "step", -1, 65535, &step, reterr) ?:
		get_int(json, "form", 0, KT_SNAPSHOT_FORMS_END - 1, &form, reterr) ?:
		get_text(json, "name", request->name, sizeof(request->name), reterr) ?:
		decode_steps(json_object_get(json, "steps"), request, reterr);
	if (r < 0)
		return r;
	request->id = (uint32_t)id;
	request->op = (enum kt_snapshot_op)op;
	request->step = (int)step;
	request->form = (enum kt_snapshot_form)form;
	request->periodic = json_is_true(json_object_get(json, "periodic"));
	r = check_request(request, reterr);
	if (r == 0)
		*ret_request = *request;
	return r;
}

/* ---- Replies ---- */

static json_t *samples_to_json(const struct kt_snapshot_reply *reply)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < reply->n; i++) {
		const struct kt_snapshot_sample *sample = &reply->samples[i];

		(void)json_array_append_new(
			array, json_pack("{s:s, s:I, s:i, s:I, s:f, s:o}", "name", sample->name,
					 "elapsed", (json_int_t)sample->elapsed_ns, "fault",
					 (int)sample->fault, "number", (json_int_t)sample->number,
					 "real", isfinite(sample->real) ? sample->real : 0.0,
					 "text", kt_json_text(sample->text, strlen(sample->text))));
	}
	return array;
}

int kt_snapshot_reply_encode(const struct kt_snapshot_reply *reply, char **ret_data)
{
	KT_JSON json_t *json = json_pack("{s:I, s:i, s:b, s:o, s:o}", "id", (json_int_t)reply->id,
					 "result", reply->result, "replaced", reply->replaced,
					 "error", kt_json_text(reply->error, strlen(reply->error)),
					 "samples", samples_to_json(reply));

	*ret_data = json ? json_dumps(json, JSON_COMPACT) : NULL;
	return *ret_data ? 0 : -ENOMEM;
}

static int decode_sample(const json_t *json, struct kt_snapshot_sample *sample,
			 struct kt_err *reterr)
{
	int64_t fault = 0, number = 0;
	int r = get_int(json, "fault", 0, KT_SNAPSHOT_FAULTS_END - 1, &fault, reterr) ?:
		get_int(json, "number", INT64_MIN, INT64_MAX, &number, reterr) ?:
		get_int(json, "elapsed", -1, INT64_MAX, &sample->elapsed_ns, reterr) ?:
		get_text(json, "name", sample->name, sizeof(sample->name), reterr) ?:
		get_text(json, "text", sample->text, sizeof(sample->text), reterr);

	sample->fault = (enum kt_snapshot_fault)fault;
	sample->number = (uint64_t)number;
	sample->real = json_number_value(json_object_get(json, "real"));
	return r;
}

static int decode_samples(const json_t *array, struct kt_snapshot_reply *reply,
			  struct kt_err *reterr)
{
	int r = 0;

	reply->n = json_array_size(array);
	if (!json_is_array(array) || reply->n > KT_SNAPSHOTS_MAX)
		return kt_err_set(reterr, -EBADMSG, "there are more than %u samples",
				  KT_SNAPSHOTS_MAX);
	for (size_t i = 0; r == 0 && i < reply->n; i++)
		r = decode_sample(json_array_get(array, i), &reply->samples[i], reterr);
	return r;
}

int kt_snapshot_reply_decode(const void *data, size_t len, struct kt_snapshot_reply *ret_reply,
			     struct kt_err *reterr)
{
	KT_FREE struct kt_snapshot_reply *reply = calloc(1, sizeof(*reply));
	int64_t id = 0, result = 0;
	KT_JSON json_t *json = NULL;
	int r;

	if (!reply)
		return kt_err_oom(reterr);
	r = kt_json_parse(data, len, "SNRP", &json, reterr) ?:
		get_int(json, "id", 0, UINT32_MAX, &id, reterr) ?:
		get_int(json, "result", -4095, 0, &result, reterr) ?:
		get_text(json, "error", reply->error, sizeof(reply->error), reterr) ?:
		decode_samples(json_object_get(json, "samples"), reply, reterr);
	if (r < 0)
		return r;
	reply->id = (uint32_t)id;
	reply->result = (int)result;
	reply->replaced = json_is_true(json_object_get(json, "replaced"));
	*ret_reply = *reply;
	return 0;
}
