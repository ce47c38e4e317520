/* SPDX-License-Identifier: MIT */
#include "wire/kernel_op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "wire/frame.h"

/*
 * A payload is a header and one record for each item or answer. Behind a record come its texts,
 * each with a NUL, and its bytes. Nothing is aligned; records are copied out before they are read.
 */

struct request_header {
	uint32_t id;
	uint32_t flags;
	uint32_t n;
	uint32_t zero;
};

#define FLAG_WRITE 1u
#define FLAG_COLD  2u

struct item_record {
	uint32_t target;
	uint32_t value;
	uint64_t address;
	uint64_t number;
	uint64_t start_ns;
	uint32_t pid;
	uint32_t cpu;
	uint32_t any_class;
	uint32_t len;       /* of bytes that are read or written */
	uint32_t name_len;  /* without the NUL; 0: no name */
	uint32_t field_len; /* likewise */
};

struct reply_header {
	uint32_t id;
	uint32_t n;
};

struct answer_record {
	int32_t result;
	uint32_t is_signed;
	uint64_t number;
	uint32_t len;
	uint32_t has_data;
};

_Static_assert(sizeof(struct request_header) == 16, "wire format");
_Static_assert(sizeof(struct item_record) == 56, "wire format");
_Static_assert(sizeof(struct reply_header) == 8, "wire format");
_Static_assert(sizeof(struct answer_record) == 24, "wire format");
_Static_assert(KT_KOP_ITEMS_MAX *(sizeof(struct answer_record) + KT_KOP_TEXT_MAX + 1) +
			       KT_KOP_DATA_MAX + sizeof(struct reply_header) <
		       KT_FRAME_PAYLOAD_MAX,
	       "a reply always fits into a frame");

/* ---- Requests ---- */

static bool writes_bytes(const struct kt_kop_request *request, const struct kt_kop_item *item)
{
	return request->write && item->value == KT_KOP_BYTES;
}

static int add_text(struct kt_buffer *buffer, const char *text)
{
	return text && *text ? kt_buffer_append(buffer, text, strlen(text) + 1) : 0;
}

static int add_item(struct kt_buffer *buffer, const struct kt_kop_request *request,
		    const struct kt_kop_item *item)
{
	const struct item_record record = {
		.target = item->target,
		.value = item->value,
		.address = item->address,
		.number = item->number,
		.start_ns = item->start_ns,
		.pid = item->pid,
		.cpu = item->cpu,
		.any_class = item->any_class,
		.len = item->len,
		.name_len = (uint32_t)strlen(item->name ?: ""),
		.field_len = (uint32_t)strlen(item->field ?: ""),
	};
	int r = kt_buffer_append(buffer, &record, sizeof(record)) ?: add_text(buffer, item->name) ?:
		add_text(buffer, item->field);

	return r == 0 && writes_bytes(request, item)
		       ? kt_buffer_append(buffer, item->bytes, item->len)
		       : r;
}

int kt_kop_request_encode(const struct kt_kop_request *request, void **ret_data, size_t *ret_len)
{
	const struct request_header header = {
		.id = request->id,
		.flags = (request->write ? FLAG_WRITE : 0) | (request->cold ? FLAG_COLD : 0),
		.n = request->n,
	};
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer buffer = KT_BUFFER_NULL;
	int r = kt_buffer_append(&buffer, &header, sizeof(header));

	for (uint32_t i = 0; r == 0 && i < request->n; i++)
		r = add_item(&buffer, request, &request->items[i]);
	if (r < 0)
		return r;
	*ret_len = buffer.len;
	*ret_data = kt_steal(buffer.data);
	return 0;
}

/* What is left of a payload. */
struct rest {
	const char *at;
	size_t len;
};

static const void *take(struct rest *rest, size_t len)
{
	const char *at = rest->at;

	if (len > rest->len)
		return NULL;
	rest->at += len;
	rest->len -= len;
	return at;
}

static bool take_copy(struct rest *rest, void *to, size_t len)
{
	const void *from = take(rest, len);

	if (from)
		memcpy(to, from, len);
	return from;
}

/* A text of @len bytes and its NUL; none if @len is 0. */
static bool take_text(struct rest *rest, uint32_t len, const char **ret_text)
{
	const char *text;

	*ret_text = NULL;
	if (!len)
		return true;
	text = len <= KT_KOP_NAME_MAX ? take(rest, (size_t)len + 1) : NULL;
	*ret_text = text;
	return text && strnlen(text, (size_t)len + 1) == len;
}

static bool is_known(const struct item_record *record)
{
	return record->target && record->target < KT_KOP_TARGETS_END && record->value &&
	       record->value < KT_KOP_VALUES_END && record->any_class <= 1;
}

/* The names that a target needs. */
static bool has_names(const struct kt_kop_item *item)
{
	switch (item->target) {
	case KT_KOP_PATH:
	case KT_KOP_SYMBOL:
		return item->name;
	case KT_KOP_PER_CPU_FIELD:
		return item->name && item->field;
	case KT_KOP_TASK_FIELD:
		return item->field;
	default:
		return true;
	}
}

/* Whether the value goes with the direction, and its length is within the bounds. */
static bool has_value(const struct kt_kop_request *request, const struct kt_kop_item *item)
{
	switch (item->value) {
	case KT_KOP_BYTES:
		return item->len &&
		       item->len <= (request->write ? KT_KOP_WRITE_MAX : KT_KOP_READ_MAX);
	case KT_KOP_OR_U32:
	case KT_KOP_OR_U64:
		return request->write;
	case KT_KOP_TEXT:
		return !request->write;
	default:
		return true;
	}
}

static bool decode_item(const struct kt_kop_request *request, struct rest *rest,
			struct kt_kop_item *item)
{
	struct item_record record;

	if (!take_copy(rest, &record, sizeof(record)) || !is_known(&record))
		return false;
	*item = (struct kt_kop_item){
		.target = (enum kt_kop_target)record.target,
		.value = (enum kt_kop_value)record.value,
		.address = record.address,
		.number = record.number,
		.start_ns = record.start_ns,
		.pid = record.pid,
		.cpu = record.cpu,
		.any_class = record.any_class,
		.len = record.len,
	};
	if (!take_text(rest, record.name_len, &item->name) ||
	    !take_text(rest, record.field_len, &item->field) || !has_names(item) ||
	    !has_value(request, item))
		return false;
	if (writes_bytes(request, item)) {
		item->bytes = take(rest, item->len);
		return item->bytes;
	}
	return true;
}

static int decode_items(struct kt_kop_request *request, struct rest *rest)
{
	size_t data_len = 0;

	for (uint32_t i = 0; i < request->n; i++) {
		struct kt_kop_item *item = &request->items[i];

		if (!decode_item(request, rest, item))
			return -EBADMSG;
		data_len += item->value == KT_KOP_BYTES ? item->len : 0;
	}
	return rest->len || data_len > KT_KOP_DATA_MAX ? -EBADMSG : 0;
}

int kt_kop_request_decode(const void *data, size_t len, struct kt_kop_request *ret_request,
			  struct kt_err *reterr)
{
	struct kt_kop_request request = KT_KOP_REQUEST_NULL;
	struct request_header header;
	struct rest rest;
	int r;

	if (len < sizeof(header))
		return kt_err_set(reterr, -EBADMSG, "KOPQ of %zu bytes", len);
	memcpy(&header, data, sizeof(header));
	if (!header.n || header.n > KT_KOP_ITEMS_MAX || header.zero ||
	    header.flags & ~(FLAG_WRITE | FLAG_COLD) ||
	    header.n > (len - sizeof(header)) / sizeof(struct item_record))
		return kt_err_set(reterr, -EBADMSG, "KOPQ of %u accesses in %zu bytes", header.n,
				  len);
	request.id = header.id;
	request.write = header.flags & FLAG_WRITE;
	request.cold = header.flags & FLAG_COLD;
	request.n = header.n;
	request.items = calloc(header.n, sizeof(*request.items));
	request.storage = malloc(len);
	if (!request.items || !request.storage) {
		kt_kop_request_deinit(&request);
		return kt_err_oom(reterr);
	}
	memcpy(request.storage, data, len);
	rest = (struct rest){ (char *)request.storage + sizeof(header), len - sizeof(header) };
	r = decode_items(&request, &rest);
	if (r < 0) {
		kt_kop_request_deinit(&request);
		return kt_err_set(reterr, r, "KOPQ with a malformed access");
	}
	*ret_request = request;
	return 0;
}

void kt_kop_request_deinit(struct kt_kop_request *request)
{
	free(request->items);
	free(request->storage);
	*request = KT_KOP_REQUEST_NULL;
}

/* ---- Replies ---- */

int kt_kop_reply_new(const struct kt_kop_request *request, struct kt_kop_reply *ret_reply)
{
	struct kt_kop_answer *answers = calloc(request->n ?: 1, sizeof(*answers));

	if (!answers)
		return -ENOMEM;
	*ret_reply = (struct kt_kop_reply){
		.id = request->id,
		.n = request->n,
		.answers = answers,
	};
	return 0;
}

void kt_kop_reply_deinit(struct kt_kop_reply *reply)
{
	for (uint32_t i = 0; i < reply->n; i++)
		free(reply->answers[i].data);
	free(reply->answers);
	*reply = KT_KOP_REPLY_NULL;
}

void kt_kop_answer_set(struct kt_kop_answer *answer, const void *data, size_t len)
{
	free(answer->data);
	answer->len = 0;
	answer->data = malloc(len + 1);
	if (!answer->data) {
		answer->result = -ENOMEM;
		return;
	}
	if (len)
		memcpy(answer->data, data, len);
	answer->data[len] = 0;
	answer->len = (uint32_t)len;
}

int kt_kop_answer_fail(struct kt_kop_answer *answer, int code, const char *text)
{
	kt_kop_answer_set(answer, text, strnlen(text, KT_KOP_ERROR_MAX));
	answer->result = code;
	return code;
}

int kt_kop_reply_encode(const struct kt_kop_reply *reply, void **ret_data, size_t *ret_len)
{
	const struct reply_header header = { .id = reply->id, .n = reply->n };
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer buffer = KT_BUFFER_NULL;
	int r = kt_buffer_append(&buffer, &header, sizeof(header));

	for (uint32_t i = 0; r == 0 && i < reply->n; i++) {
		const struct kt_kop_answer *answer = &reply->answers[i];
		const struct answer_record record = {
			.result = answer->result,
			.is_signed = answer->is_signed,
			.number = answer->number,
			.len = answer->len,
			.has_data = answer->data != NULL,
		};

		r = kt_buffer_append(&buffer, &record, sizeof(record))
			    ?: kt_buffer_append(&buffer, answer->data, answer->len);
	}
	if (r < 0)
		return r;
	*ret_len = buffer.len;
	*ret_data = kt_steal(buffer.data);
	return 0;
}

static int decode_answer(struct rest *rest, struct kt_kop_answer *answer)
{
	struct answer_record record;
	const void *data;

	if (!take_copy(rest, &record, sizeof(record)) || record.result > 0 ||
	    record.result < -4095 || (record.len && !record.has_data))
		return -EBADMSG;
	data = take(rest, record.len);
	if (!data)
		return -EBADMSG;
	*answer = (struct kt_kop_answer){
		.is_signed = record.is_signed,
		.number = record.number,
	};
	if (record.has_data)
		kt_kop_answer_set(answer, data, record.len);
	if (answer->result < 0)
		return answer->result;
	answer->result = record.result;
	return 0;
}

int kt_kop_reply_decode(const void *data, size_t len, struct kt_kop_reply *ret_reply,
			struct kt_err *reterr)
{
	struct rest rest = { data, len };
	struct kt_kop_reply reply = KT_KOP_REPLY_NULL;
	struct reply_header header;
	int r = 0;

	if (!take_copy(&rest, &header, sizeof(header)) || header.n > KT_KOP_ITEMS_MAX ||
	    header.n > rest.len / sizeof(struct answer_record))
		return kt_err_set(reterr, -EBADMSG, "KOPR of %zu bytes", len);
	reply.id = header.id;
	reply.answers = calloc(header.n ?: 1, sizeof(*reply.answers));
	if (!reply.answers)
		return kt_err_oom(reterr);
	reply.n = header.n;
	for (uint32_t i = 0; r == 0 && i < reply.n; i++)
		r = decode_answer(&rest, &reply.answers[i]);
	if (r == 0 && rest.len)
		r = -EBADMSG;
	if (r < 0) {
		kt_kop_reply_deinit(&reply);
		return kt_err_set(reterr, r, "KOPR with a malformed answer");
	}
	*ret_reply = reply;
	return 0;
}
