/* SPDX-License-Identifier: MIT */
#include "guest/test/kernel.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest/test/ctx.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/json.h"

/*
 * A list of pairs becomes one request, whatever its length: the host makes all of it, or nothing.
 * Threads of a test may ask at the same time, and take turns. A forked child may not ask: it shares
 * the port with PID 1, but not the numbers of its frames.
 */

#define ASK_LIMIT_NS (20 * KT_NSEC_PER_SEC) /* for the host to answer; real time only */
#define HEX_MAX      32u                    /* bytes of a value that JSON shows */

_Static_assert((int)KT_KERNEL_TARGET_PATH == KT_KOP_PATH &&
		       (int)KT_KERNEL_TARGET_SYMBOL == KT_KOP_SYMBOL &&
		       (int)KT_KERNEL_TARGET_DIRECT == KT_KOP_DIRECT &&
		       (int)KT_KERNEL_TARGET_KVA == KT_KOP_KVA &&
		       (int)KT_KERNEL_TARGET_PER_CPU_FIELD == KT_KOP_PER_CPU_FIELD &&
		       (int)KT_KERNEL_TARGET_TASK_FIELD == KT_KOP_TASK_FIELD,
	       "the kinds of targets are those of the wire");
_Static_assert((int)KT_KERNEL_VALUE_NUMBER == KT_KOP_TYPED &&
		       (int)KT_KERNEL_VALUE_U32 == KT_KOP_U32 &&
		       (int)KT_KERNEL_VALUE_U64 == KT_KOP_U64 &&
		       (int)KT_KERNEL_VALUE_BYTES == KT_KOP_BYTES &&
		       (int)KT_KERNEL_VALUE_OR_U32 == KT_KOP_OR_U32 &&
		       (int)KT_KERNEL_VALUE_OR_U64 == KT_KOP_OR_U64 &&
		       (int)KT_KERNEL_VALUE_TEXT == KT_KOP_TEXT,
	       "the kinds of values are those of the wire");
_Static_assert(KT_KERNEL_WRITE_MAX == KT_KOP_WRITE_MAX && KT_KERNEL_READ_MAX == KT_KOP_READ_MAX &&
		       KT_KERNEL_PAIRS_MAX == KT_KOP_ITEMS_MAX,
	       "the bounds are those of the wire");

void kt_kernel_memory_init(struct kt_kernel_memory *memory)
{
	*memory = (struct kt_kernel_memory){ .id = 0 };
	memory->captures_end = &memory->captures;
	(void)pthread_mutex_init(&memory->lock, NULL);
}

void kt_kernel_memory_deinit(struct kt_kernel_memory *memory)
{
	struct kt_kernel_capture *at = memory->captures;

	while (at) {
		struct kt_kernel_capture *next = at->next;

		free(at->answer.data);
		free(at->tag);
		free(at);
		at = next;
	}
	(void)pthread_mutex_destroy(&memory->lock);
}

/* ---- Asking ---- */

static int serve_by_port(void *data, const struct kt_kop_request *request,
			 struct kt_kop_reply *ret_reply, struct kt_err *reterr)
{
	KT_FREE void *payload = NULL;
	struct kt_frame frame;
	size_t len;
	int r = kt_kop_request_encode(request, &payload, &len);

	if (r < 0)
		return kt_err_oom(reterr);
	r = kt_port_ask(data, KT_MSG_KERNEL_REQUEST, KT_MSG_KERNEL_REPLY, payload, len,
			kt_now_ns() + ASK_LIMIT_NS, &frame, reterr);
	if (r < 0)
		return r;
	return kt_kop_reply_decode(frame.payload, frame.len, ret_reply, reterr);
}

void kt_kernel_memory_use_port(struct kt_ctx *ctx, struct kt_port *port)
{
	ctx->kernel.service = (struct kt_kernel_service){ port ? serve_by_port : NULL, port };
	ctx->kernel.port = port;
}

static int check_caller(const struct kt_ctx *ctx, struct kt_err *reterr)
{
	if (getpid() != ctx->owner)
		return kt_err_set(reterr, -EPERM,
				  "a forked child cannot access the kernel's memory: the test's "
				  "own process must do it");
	return ctx->kernel.service.serve
		       ? 0
		       : kt_err_set(reterr, -ENOTSUP, "there is no machine whose kernel it is");
}

static int ask_locked(struct kt_kernel_memory *memory, struct kt_kop_request *request,
		      struct kt_kop_reply *ret_reply, struct kt_err *reterr)
{
	int r;

	request->id = ++memory->id;
	r = memory->service.serve(memory->service.data, request, ret_reply, reterr);
	if (r == 0 && (ret_reply->id != request->id || ret_reply->n != request->n)) {
		kt_kop_reply_deinit(ret_reply);
		r = kt_err_set(reterr, -EPROTO, "the host answered another request");
	}
	return r;
}

/* ---- Pairs ---- */

size_t kt_kernel_pairs_count(const struct kt_kernel_pair *pairs)
{
	size_t n = 0;

	while (pairs && !pairs[n].end)
		n++;
	return n;
}

char *kt_kernel_target_text(const struct kt_kernel_target *target)
{
	switch (target->kind) {
	case KT_KERNEL_TARGET_PATH:
	case KT_KERNEL_TARGET_SYMBOL:
		return kt_format("%s", target->name ?: "");
	case KT_KERNEL_TARGET_DIRECT:
	case KT_KERNEL_TARGET_KVA:
		return kt_format("0x%" PRIx64, target->address);
	case KT_KERNEL_TARGET_PER_CPU_FIELD:
		return kt_format("%s[cpu %u].%s", target->name ?: "", target->cpu,
				 target->field ?: "");
	case KT_KERNEL_TARGET_TASK_FIELD:
		return kt_format("task(%d).%s", (int)target->task.tid, target->field ?: "");
	case KT_KERNEL_TARGET_WORKER_FIELD:
		return kt_format("worker %u of '%s': %s", target->worker, target->name ?: "",
				 target->field ?: "");
	case KT_KERNEL_TARGET_NONE:
		break;
	}
	return kt_format("?");
}

static int check_name(const char *name, const char *what, struct kt_err *reterr)
{
	if (!name || !*name)
		return kt_err_set(reterr, -EINVAL, "it has no %s", what);
	return strlen(name) <= KT_KOP_NAME_MAX
		       ? 0
		       : kt_err_set(reterr, -EINVAL, "the %s '%.40s...' is longer than %u bytes",
				    what, name, KT_KOP_NAME_MAX);
}

static int check_target(const struct kt_kernel_target *target, struct kt_err *reterr)
{
	switch (target->kind) {
	case KT_KERNEL_TARGET_PATH:
		return check_name(target->name, "path", reterr);
	case KT_KERNEL_TARGET_SYMBOL:
		return check_name(target->name, "symbol", reterr);
	case KT_KERNEL_TARGET_PER_CPU_FIELD:
		return check_name(target->name, "symbol", reterr)
			       ?: check_name(target->field, "field", reterr);
	case KT_KERNEL_TARGET_TASK_FIELD:
		if (target->task.tid <= 0)
			return kt_err_set(reterr, -EINVAL, "the task %d cannot be",
					  (int)target->task.tid);
		if (!target->task.start_ns)
			return kt_err_set(reterr, -EINVAL,
					  "the task has no identity: ask kt_worker_identity()");
		return check_name(target->field, "field", reterr);
	case KT_KERNEL_TARGET_WORKER_FIELD:
		if (!target->name)
			return kt_err_set(reterr, -EINVAL, "the worker has no cgroup");
		return check_name(target->field, "field", reterr);
	case KT_KERNEL_TARGET_DIRECT:
	case KT_KERNEL_TARGET_KVA:
		return target->address ? 0 : kt_err_set(reterr, -EINVAL, "the address is 0");
	case KT_KERNEL_TARGET_NONE:
		break;
	}
	return kt_err_set(reterr, -EINVAL, "it has no target; use KT_KERNEL_PATH() and others");
}

static int check_bytes(const struct kt_kernel_value *value, bool is_write, struct kt_err *reterr)
{
	size_t max = is_write ? KT_KOP_WRITE_MAX : KT_KOP_READ_MAX;

	if (!value->len || value->len > max)
		return kt_err_set(reterr, -EINVAL, "%zu bytes; 1 to %zu can be %s at once",
				  value->len, max, is_write ? "written" : "read");
	return is_write && !value->bytes ? kt_err_set(reterr, -EINVAL, "the bytes are NULL") : 0;
}

/* An address alone has no type. */
static bool has_type(const struct kt_kernel_target *target)
{
	return target->kind != KT_KERNEL_TARGET_DIRECT && target->kind != KT_KERNEL_TARGET_KVA;
}

static int check_value(const struct kt_kernel_pair *pair, bool is_write, struct kt_err *reterr)
{
	switch (pair->value.kind) {
	case KT_KERNEL_VALUE_BYTES:
		return check_bytes(&pair->value, is_write, reterr);
	case KT_KERNEL_VALUE_OR_U32:
	case KT_KERNEL_VALUE_OR_U64:
		return is_write ? 0 : kt_err_set(reterr, -EINVAL, "bits can only be written");
	case KT_KERNEL_VALUE_TEXT:
		if (is_write)
			return kt_err_set(reterr, -EINVAL, "a text can only be read");
		break;
	case KT_KERNEL_VALUE_NUMBER:
		break;
	case KT_KERNEL_VALUE_U32:
	case KT_KERNEL_VALUE_U64:
		return 0;
	case KT_KERNEL_VALUE_NONE:
		return kt_err_set(reterr, -EINVAL, "it has no value");
	}
	return has_type(&pair->target)
		       ? 0
		       : kt_err_set(reterr, -EINVAL, "an address has no type: say how wide it is");
}

static int check_pair(const struct kt_kernel_pair *pair, bool is_write, struct kt_err *reterr)
{
	int r = check_target(&pair->target, reterr) ?: check_value(pair, is_write, reterr);

	if (r == 0 && !is_write && !(pair->tag && *pair->tag))
		r = kt_err_set(reterr, -EINVAL, "its tag is empty");
	if (r == 0 && is_write && pair->tag)
		r = kt_err_set(reterr, -EINVAL, "it is a read; use KT_PUT()");
	return r;
}

int kt_kernel_pairs_check(const struct kt_kernel_pair *pairs, bool is_write, struct kt_err *reterr)
{
	size_t n = kt_kernel_pairs_count(pairs), data_len = 0;

	if (!n)
		return kt_err_set(reterr, -EINVAL, "it has nothing to %s",
				  is_write ? "write" : "read");
	if (n > KT_KERNEL_PAIRS_MAX)
		return kt_err_set(reterr, -EINVAL, "%zu accesses; %u can be made at once", n,
				  KT_KERNEL_PAIRS_MAX);
	for (size_t i = 0; i < n; i++) {
		int r = check_pair(&pairs[i], is_write, reterr);

		if (r < 0)
			return kt_err_prefix(reterr, r, "access %zu", i);
		data_len += pairs[i].value.kind == KT_KERNEL_VALUE_BYTES ? pairs[i].value.len : 0;
	}
	return data_len <= KT_KOP_DATA_MAX
		       ? 0
		       : kt_err_set(reterr, -EINVAL, "%zu bytes; %u can be read at once", data_len,
				    KT_KOP_DATA_MAX);
}

static struct kt_kop_item item_of(const struct kt_kernel_pair *pair)
{
	return (struct kt_kop_item){
		.target = (enum kt_kop_target)pair->target.kind,
		.value = (enum kt_kop_value)pair->value.kind,
		.address = pair->target.address,
		.number = pair->value.number,
		.start_ns = pair->target.task.start_ns,
		.pid = (uint32_t)pair->target.task.tid,
		.cpu = pair->target.cpu,
		.any_class = pair->target.any_class,
		.len = (uint32_t)pair->value.len,
		.name = pair->target.name,
		.field = pair->target.field,
		.bytes = pair->value.bytes,
	};
}

/* The text of the first answer that is the cause, with the place that it is about. */
static int first_error(const struct kt_kernel_pair *pairs, const struct kt_kop_reply *reply,
		       struct kt_err *reterr)
{
	for (uint32_t i = 0; i < reply->n; i++) {
		const struct kt_kop_answer *answer = &reply->answers[i];
		KT_FREE char *place = NULL;

		if (answer->result == 0 || answer->result == -ECANCELED)
			continue;
		place = kt_kernel_target_text(&pairs[i].target);
		/* The error of a path begins with the path. */
		if (answer->data && answer->data[0] == '\'')
			return kt_err_set(reterr, answer->result, "%s", answer->data);
		return kt_err_set(reterr, answer->result, "%s: %s", place ?: "?",
				  answer->data ?: strerror(-answer->result));
	}
	return 0;
}

static struct kt_kernel_capture *find_capture(const struct kt_kernel_memory *memory,
					      const char *tag)
{
	struct kt_kernel_capture *at = memory->captures;

	while (at && strcmp(at->tag, tag))
		at = at->next;
	return at;
}

/* Takes the data of the answer. */
static int keep(struct kt_kernel_memory *memory, const struct kt_kernel_pair *pair,
		struct kt_kop_answer *answer)
{
	struct kt_kernel_capture *capture = find_capture(memory, pair->tag);

	if (!capture) {
		capture = calloc(1, sizeof(*capture));
		if (!capture || !(capture->tag = strdup(pair->tag))) {
			free(capture);
			return -ENOMEM;
		}
		*memory->captures_end = capture;
		memory->captures_end = &capture->next;
	}
	free(capture->answer.data);
	capture->answer = *answer;
	answer->data = NULL;
	capture->form = pair->value.kind;
	capture->n_reads++;
	return 0;
}

static int keep_all(struct kt_kernel_memory *memory, const struct kt_kernel_pair *pairs,
		    struct kt_kop_reply *reply, struct kt_err *reterr)
{
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < reply->n; i++)
		r = keep(memory, &pairs[i], &reply->answers[i]);
	return r < 0 ? kt_err_oom(reterr) : 0;
}

/* Makes the accesses and leaves the reply to the caller. */
static int exchange(struct kt_ctx *ctx, const struct kt_kernel_pair *pairs, size_t n, bool is_write,
		    bool cold, struct kt_kop_reply *ret_reply, struct kt_err *reterr)
{
	KT_FREE struct kt_kop_item *items = calloc(n ?: 1, sizeof(*items));
	struct kt_kop_request request = { .write = is_write, .cold = cold, .n = (uint32_t)n };
	int r = check_caller(ctx, reterr);

	if (r < 0)
		return r;
	if (!items)
		return kt_err_oom(reterr);
	for (size_t i = 0; i < n; i++)
		items[i] = item_of(&pairs[i]);
	request.items = items;
	r = ask_locked(&ctx->kernel, &request, ret_reply, reterr);
	if (r < 0)
		return r;
	r = first_error(pairs, ret_reply, reterr);
	if (r < 0)
		kt_kop_reply_deinit(ret_reply);
	return r;
}

int kt_kernel_pairs_apply(struct kt_ctx *ctx, const struct kt_kernel_pair *pairs, bool is_write,
			  bool cold, struct kt_err *reterr)
{
	struct kt_kop_reply reply;
	int r;

	(void)pthread_mutex_lock(&ctx->kernel.lock);
	r = exchange(ctx, pairs, kt_kernel_pairs_count(pairs), is_write, cold, &reply, reterr);
	if (r == 0) {
		if (!is_write)
			r = keep_all(&ctx->kernel, pairs, &reply, reterr);
		kt_kop_reply_deinit(&reply);
	}
	(void)pthread_mutex_unlock(&ctx->kernel.lock);
	return r;
}

/* ---- The report ---- */

static json_t *bytes_to_json(const struct kt_kop_answer *answer)
{
	char text[2 * HEX_MAX + 4];
	size_t n = 0;

	for (uint32_t i = 0; i < answer->len && i < HEX_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%02x", (uint8_t)answer->data[i]);
	if (answer->len > HEX_MAX)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "...");
	return json_stringn(text, n);
}

/* A number that JSON's signed ones cannot hold is a text. */
static json_t *number_to_json(const struct kt_kop_answer *answer)
{
	return !answer->is_signed && answer->number > INT64_MAX
		       ? kt_json_hex(answer->number)
		       : json_integer((json_int_t)answer->number);
}

static json_t *value_to_json(const struct kt_kernel_capture *capture)
{
	switch (capture->form) {
	case KT_KERNEL_VALUE_BYTES:
		return bytes_to_json(&capture->answer);
	case KT_KERNEL_VALUE_TEXT:
		return kt_json_text(capture->answer.data ?: "", capture->answer.len);
	default:
		return number_to_json(&capture->answer);
	}
}

json_t *kt_kernel_captures_to_json(const struct kt_kernel_memory *memory)
{
	json_t *object = memory->captures ? json_object() : NULL;

	for (const struct kt_kernel_capture *at = memory->captures; object && at; at = at->next) {
		json_t *value = json_pack("{so sI}", "value", value_to_json(at), "reads",
					  (json_int_t)at->n_reads);

		/* An enumerator or a flag, as people know it. */
		if (value && at->form == KT_KERNEL_VALUE_NUMBER && at->answer.data)
			(void)json_object_set_new(value, "text",
						  kt_json_text(at->answer.data, at->answer.len));
		(void)json_object_set_new(object, at->tag, value);
	}
	return object;
}

/* ---- What a test's functions call ---- */

/* One access; the caller frees the reply. */
static int access_one(struct kt_ctx *ctx, const struct kt_kernel_pair *pair, bool is_write,
		      struct kt_kop_reply *ret_reply, struct kt_err *reterr)
{
	const struct kt_kernel_pair pairs[] = { *pair, { .end = true } };
	int r = check_target(&pair->target, reterr);

	if (r < 0)
		return r;
	(void)pthread_mutex_lock(&ctx->kernel.lock);
	r = exchange(ctx, pairs, 1, is_write, true, ret_reply, reterr);
	(void)pthread_mutex_unlock(&ctx->kernel.lock);
	return r;
}

static int read_number(struct kt_ctx *ctx, const char *path, uint64_t *ret_value,
		       struct kt_err *reterr)
{
	const struct kt_kernel_pair pair = { .target = KT_KERNEL_PATH(path),
					     .value = KT_AS_NUMBER };
	struct kt_kop_reply reply;
	int r = access_one(ctx, &pair, false, &reply, reterr);

	if (r < 0)
		return r;
	*ret_value = reply.answers[0].number;
	kt_kop_reply_deinit(&reply);
	return 0;
}

int kt_kernel_read_path(struct kt_ctx *ctx, struct kt_where where, const char *path,
			uint64_t *ret_value)
{
	struct kt_err err = KT_ERR_NULL;

	return read_number(ctx, path, ret_value, &err) < 0 ? kt_fail(ctx, where, "%s", err.text)
							   : 0;
}

int kt_kernel_write_path(struct kt_ctx *ctx, struct kt_where where, const char *path,
			 uint64_t value)
{
	const struct kt_kernel_pair pair = { .target = KT_KERNEL_PATH(path),
					     .value = KT_KERNEL_NUMBER(value) };
	struct kt_err err = KT_ERR_NULL;
	struct kt_kop_reply reply;

	if (access_one(ctx, &pair, true, &reply, &err) < 0)
		return kt_fail(ctx, where, "%s", err.text);
	kt_kop_reply_deinit(&reply);
	return 0;
}

int kt_kernel_text_path(struct kt_ctx *ctx, struct kt_where where, const char *path, char *text,
			size_t room)
{
	const struct kt_kernel_pair pair = { .target = KT_KERNEL_PATH(path), .value = KT_AS_TEXT };
	struct kt_err err = KT_ERR_NULL;
	struct kt_kop_reply reply;

	if (access_one(ctx, &pair, false, &reply, &err) < 0)
		return kt_fail(ctx, where, "%s", err.text);
	(void)snprintf(text, room, "%s", reply.answers[0].data ?: "");
	kt_kop_reply_deinit(&reply);
	return 0;
}

bool kt_kernel_captured(const struct kt_ctx *ctx, const char *tag, uint64_t *ret_value)
{
	const struct kt_kernel_capture *capture = find_capture(&ctx->kernel, tag);

	if (!capture || capture->form == KT_KERNEL_VALUE_BYTES ||
	    capture->form == KT_KERNEL_VALUE_TEXT)
		return false;
	*ret_value = capture->answer.number;
	return true;
}

const void *kt_kernel_captured_bytes(const struct kt_ctx *ctx, const char *tag, size_t *ret_len)
{
	const struct kt_kernel_capture *capture = find_capture(&ctx->kernel, tag);

	*ret_len = capture ? capture->answer.len : 0;
	return capture ? capture->answer.data : NULL;
}

int kt_kernel_identify(struct kt_ctx *ctx, pid_t tid, struct kt_worker_identity *ret_identity,
		       struct kt_err *reterr)
{
	KT_FREE char *path = kt_format("task(%d).start_time", (int)tid);
	uint64_t start_ns;
	int r = path ? read_number(ctx, path, &start_ns, reterr) : kt_err_oom(reterr);

	if (r == 0)
		*ret_identity = (struct kt_worker_identity){ tid, start_ns };
	return r;
}

int kt_worker_identity_of(struct kt_ctx *ctx, struct kt_where where, pid_t tid,
			  struct kt_worker_identity *ret_identity)
{
	struct kt_err err = KT_ERR_NULL;

	if (!ctx->scenario)
		return kt_fail(ctx, where, "there is no guest any more");
	return kt_kernel_identify(ctx, tid, ret_identity, &err) < 0
		       ? kt_fail(ctx, where, "%s", err.text)
		       : 0;
}
