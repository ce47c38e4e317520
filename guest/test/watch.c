/* SPDX-License-Identifier: MIT */
#include "guest/test/watch.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "guest/test/ctx.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define ASK_LIMIT_NS     (20 * KT_NSEC_PER_SEC) /* for the host to answer; real time only */
#define CAPTURES_DEFAULT 16u

_Static_assert(KT_N_COMPARES == KT_WOP_COMPARES && KT_WATCH_NAME_MAX == KT_WOP_NAME_MAX,
	       "comparisons and bounds are those of the wire");

static int ask_locked(struct kt_kernel_memory *memory, struct kt_wop_request *request,
		      struct kt_wop_reply *ret_reply, struct kt_err *reterr)
{
	KT_FREE void *payload = NULL;
	struct kt_frame frame;
	size_t len;
	int r;

	request->id = ++memory->id;
	if (kt_wop_request_encode(request, &payload, &len) < 0)
		return kt_err_oom(reterr);
	r = kt_port_ask(memory->port, KT_MSG_WATCH_REQUEST, KT_MSG_WATCH_REPLY, payload, len,
			kt_now_ns() + ASK_LIMIT_NS, &frame, reterr);
	if (r == 0)
		r = kt_wop_reply_decode(frame.payload, frame.len, ret_reply, reterr);
	if (r == 0 && ret_reply->id != request->id)
		r = kt_err_set(reterr, -EPROTO, "the host answered another request");
	return r;
}

static int ask(struct kt_ctx *ctx, struct kt_wop_request *request, struct kt_err *reterr)
{
	struct kt_wop_reply reply;
	int r;

	if (getpid() != ctx->owner)
		return kt_err_set(reterr, -EPERM,
				  "a forked child cannot watch the kernel's memory: the test's own "
				  "process must do it");
	if (!ctx->kernel.port)
		return kt_err_set(reterr, -ENOTSUP, "there is no machine that could be watched");
	(void)pthread_mutex_lock(&ctx->kernel.lock);
	request->elapsed_ns = kt_elapsed_ns(ctx);
	r = ask_locked(&ctx->kernel, request, &reply, reterr);
	(void)pthread_mutex_unlock(&ctx->kernel.lock);
	if (r < 0 || reply.result == 0)
		return r;
	return kt_err_set(reterr, KT_MIN(reply.result, -1), "%s", reply.text);
}

static const char *name_of(const struct kt_kernel_watch *watch)
{
	return watch->name ?: watch->path;
}

int kt_kernel_watch_check(const struct kt_kernel_watch *watch, struct kt_err *reterr)
{
	if (!watch->path || !*watch->path)
		return kt_err_set(reterr, -EINVAL, "it has no path");
	if (strlen(watch->path) > KT_WOP_PATH_MAX)
		return kt_err_set(reterr, -EINVAL, "its path has more than %u bytes",
				  KT_WOP_PATH_MAX);
	if (!*name_of(watch) || strlen(name_of(watch)) > KT_WOP_NAME_MAX)
		return kt_err_set(reterr, -EINVAL,
				  "its name, '%.80s', must have 1 to %u bytes: give it a .name",
				  name_of(watch), KT_WOP_NAME_MAX);
	if ((unsigned int)watch->when.compare >= KT_N_COMPARES)
		return kt_err_set(reterr, -EINVAL, "its condition is none: use the macros");
	if (watch->when.compare != KT_COMPARE_NONE && watch->len > sizeof(uint64_t))
		return kt_err_set(reterr, -EINVAL, "a condition is on at most 8 bytes, not on %u",
				  watch->len);
	if (watch->count_only && (watch->captures || watch->interval_ms))
		return kt_err_set(reterr, -EINVAL,
				  "it only counts, but has a bound of captures or their interval");
	return 0;
}

int kt_kernel_watch_arm(struct kt_ctx *ctx, const struct kt_kernel_watch *watch,
			struct kt_err *reterr)
{
	struct kt_wop_request request = {
		.op = KT_WOP_WATCH,
		.on_access = watch->access,
		.compare = watch->when.compare,
		.len = watch->len,
		.number = watch->when.number,
		.interval_ns = watch->interval_ms * KT_NSEC_PER_MSEC,
		.n_max = watch->count_only ? 0 : watch->captures ?: CAPTURES_DEFAULT,
	};
	int r = kt_kernel_watch_check(watch, reterr);

	if (r < 0)
		return r;
	strcpy(request.name, name_of(watch));
	strcpy(request.path, watch->path);
	return ask(ctx, &request, reterr);
}

int kt_kernel_watch_end(struct kt_ctx *ctx, const char *name, struct kt_err *reterr)
{
	struct kt_wop_request request = { .op = KT_WOP_UNWATCH };

	if (strlen(name) > KT_WOP_NAME_MAX)
		return kt_err_set(reterr, -ENOENT, "no watch has a name as long as that");
	strcpy(request.name, name);
	return ask(ctx, &request, reterr);
}

void kt_freeze_look(struct kt_ctx *ctx)
{
	struct kt_wop_request request = { .op = KT_WOP_SCHEDULERS };

	(void)ask(ctx, &request, NULL);
}

/* ---- .post_vm ---- */

const struct kt_freeze_hit *kt_freeze_hits(const struct kt_ctx *ctx, size_t *ret_n)
{
	const struct kt_freeze_view *freeze = ctx->view ? ctx->view->freeze : NULL;

	*ret_n = freeze ? freeze->n_hits : 0;
	return freeze ? freeze->hits : NULL;
}

bool kt_watch_count(const struct kt_ctx *ctx, const char *name, struct kt_watch_count *ret_count)
{
	const struct kt_freeze_view *freeze = ctx->view ? ctx->view->freeze : NULL;

	for (size_t i = freeze ? freeze->n_watches : 0; i-- > 0;) {
		if (strcmp(freeze->watches[i].name, name) != 0)
			continue;
		*ret_count = freeze->watches[i].count;
		return true;
	}
	return false;
}
