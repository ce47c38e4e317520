/* SPDX-License-Identifier: MIT */
#include "wire/watch_op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A payload is a record of fixed length, followed by the texts without a NUL. */
struct request_record {
	uint32_t id, op, on_access, compare, len, name_len, path_len, unused;
	uint64_t number, interval_ns, n_max, elapsed_ns;
};

struct reply_record {
	uint32_t id;
	int32_t result;
};

_Static_assert(sizeof(struct request_record) == 64 && sizeof(struct reply_record) == 8,
	       "wire format");

/* Makes a payload of a record and two texts. */
static int join(const void *record, size_t record_len, const char *first, const char *second,
		void **ret_data, size_t *ret_len)
{
	size_t first_len = strlen(first), second_len = strlen(second);
	char *data = malloc(record_len + first_len + second_len);

	if (!data)
		return -ENOMEM;
	memcpy(data, record, record_len);
	memcpy(data + record_len, first, first_len);
	memcpy(data + record_len + first_len, second, second_len);
	*ret_data = data;
	*ret_len = record_len + first_len + second_len;
	return 0;
}

int kt_wop_request_encode(const struct kt_wop_request *request, void **ret_data, size_t *ret_len)
{
	const struct request_record record = {
		.id = request->id,
		.op = request->op,
		.on_access = request->on_access,
		.compare = request->compare,
		.len = request->len,
		.name_len = (uint32_t)strlen(request->name),
		.path_len = (uint32_t)strlen(request->path),
		.number = request->number,
		.interval_ns = request->interval_ns,
		.n_max = request->n_max,
		.elapsed_ns = request->elapsed_ns,
	};

	return join(&record, sizeof(record), request->name, request->path, ret_data, ret_len);
}

int kt_wop_reply_encode(const struct kt_wop_reply *reply, void **ret_data, size_t *ret_len)
{
	const struct reply_record record = { .id = reply->id, .result = reply->result };

	return join(&record, sizeof(record), reply->text, "", ret_data, ret_len);
}

/* The texts must fill what is left of the payload, and hold no NUL. */
static bool is_valid(const struct request_record *record, const char *texts, size_t len)
{
	return record->op && record->op < KT_WOP_END && record->on_access <= 1 &&
	       record->compare < KT_WOP_COMPARES && record->name_len <= KT_WOP_NAME_MAX &&
	       record->path_len <= KT_WOP_PATH_MAX &&
	       len == (size_t)record->name_len + record->path_len && !memchr(texts, 0, len);
}

int kt_wop_request_decode(const void *data, size_t len, struct kt_wop_request *ret_request,
			  struct kt_err *reterr)
{
	struct request_record record;
	const char *texts = (const char *)data + sizeof(record);

	if (len < sizeof(record))
		return kt_err_set(reterr, -EBADMSG, "a request of a watch of %zu bytes", len);
	memcpy(&record, data, sizeof(record));
	if (!is_valid(&record, texts, len - sizeof(record)))
		return kt_err_set(reterr, -EBADMSG, "a request of a watch with wrong values");
	*ret_request = (struct kt_wop_request){
		.id = record.id,
		.op = (enum kt_wop)record.op,
		.on_access = record.on_access,
		.compare = record.compare,
		.len = record.len,
		.number = record.number,
		.interval_ns = record.interval_ns,
		.n_max = record.n_max,
		.elapsed_ns = record.elapsed_ns,
	};
	memcpy(ret_request->name, texts, record.name_len);
	memcpy(ret_request->path, texts + record.name_len, record.path_len);
	return 0;
}

int kt_wop_reply_decode(const void *data, size_t len, struct kt_wop_reply *ret_reply,
			struct kt_err *reterr)
{
	struct reply_record record;

	if (len < sizeof(record) || len - sizeof(record) > KT_WOP_ERROR_MAX)
		return kt_err_set(reterr, -EBADMSG, "a reply of a watch of %zu bytes", len);
	memcpy(&record, data, sizeof(record));
	*ret_reply = (struct kt_wop_reply){ .id = record.id, .result = record.result };
	memcpy(ret_reply->text, (const char *)data + sizeof(record), len - sizeof(record));
	return 0;
}
