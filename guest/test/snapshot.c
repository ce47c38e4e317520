/* SPDX-License-Identifier: MIT */
#include "guest/test/snapshot.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ktest/snapshot.h>

#include "guest/test/ctx.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * A view is a list of steps, which the host follows in the report when the view is read: a report
 * is long, and stays where it is. Threads of a test take turns with each other and with accesses to
 * the kernel's memory, because all of them wait for answers at the port.
 */

#define ASK_LIMIT_NS (20 * KT_NSEC_PER_SEC) /* for the host to answer; real time only */

_Static_assert((int)KT_VIEW_STEP_MAP == KT_SNAPSHOT_STEP_MAP &&
		       (int)KT_VIEW_STEP_VARIABLE == KT_SNAPSHOT_STEP_VARIABLE &&
		       (int)KT_VIEW_STEP_ACTIVE == KT_SNAPSHOT_STEP_ACTIVE &&
		       (int)KT_VIEW_STEP_AT == KT_SNAPSHOT_STEP_AT &&
		       (int)KT_VIEW_STEP_FIND == KT_SNAPSHOT_STEP_FIND &&
		       (int)KT_VIEW_STEP_FIND_TEXT == KT_SNAPSHOT_STEP_FIND_TEXT &&
		       (int)KT_VIEW_STEP_MAX == KT_SNAPSHOT_STEP_MAX &&
		       (int)KT_VIEW_STEP_CPU == KT_SNAPSHOT_STEP_CPU &&
		       (int)KT_VIEW_STEP_GET == KT_SNAPSHOT_STEP_GET &&
		       (int)KT_VIEW_STEPS == (int)KT_VIEW_STEPS_MAX,
	       "the steps are those of the wire");
_Static_assert((int)KT_VIEW_AS_U64 == KT_SNAPSHOT_AS_U64 &&
		       (int)KT_VIEW_AS_COUNT == KT_SNAPSHOT_AS_COUNT,
	       "the forms are those of the wire");
_Static_assert((int)KT_VIEW_NO_SNAPSHOT == KT_SNAPSHOT_NONE &&
		       (int)KT_VIEW_MISSING == KT_SNAPSHOT_MISSING &&
		       (int)KT_VIEW_AMBIGUOUS == KT_SNAPSHOT_AMBIGUOUS &&
		       (int)KT_VIEW_TYPE_MISMATCH == KT_SNAPSHOT_TYPE &&
		       (int)KT_VIEW_NOT_NARROWED == KT_SNAPSHOT_PER_CPU &&
		       (int)KT_VIEW_EMPTY_COMPONENT == KT_SNAPSHOT_EMPTY,
	       "the faults are those of the wire");

/* ---- Asking ---- */

static int serve_by_port(void *data, const struct kt_snapshot_request *request,
			 struct kt_snapshot_reply *ret_reply, struct kt_err *reterr)
{
	KT_FREE char *payload = NULL;
	struct kt_frame frame;
	int r = kt_snapshot_request_encode(request, &payload);

	if (r < 0)
		return kt_err_oom(reterr);
	r = kt_port_ask(data, KT_MSG_SNAPSHOT_REQUEST, KT_MSG_SNAPSHOT_REPLY, payload,
			strlen(payload), kt_now_ns() + ASK_LIMIT_NS, &frame, reterr);
	if (r < 0)
		return r;
	return kt_snapshot_reply_decode(frame.payload, frame.len, ret_reply, reterr);
}

void kt_snapshots_use_port(struct kt_ctx *ctx, struct kt_port *port)
{
	ctx->snapshots = (struct kt_snapshot_service){ port ? serve_by_port : NULL, port };
}

static int ask_locked(struct kt_ctx *ctx, struct kt_snapshot_request *request,
		      struct kt_snapshot_reply *reply, struct kt_err *reterr)
{
	int r;

	request->id = ++ctx->kernel.id;
	r = ctx->snapshots.serve(ctx->snapshots.data, request, reply, reterr);
	if (r == 0 && reply->id != request->id)
		r = kt_err_set(reterr, -EPROTO, "the host answered another request");
	if (r == 0 && reply->result < 0)
		r = kt_err_set(reterr, reply->result, "%s", reply->error);
	return r;
}

/* *@ret_reply is to be freed. */
static int ask(struct kt_ctx *ctx, struct kt_snapshot_request *request,
	       struct kt_snapshot_reply **ret_reply, struct kt_err *reterr)
{
	KT_FREE struct kt_snapshot_reply *reply = calloc(1, sizeof(*reply));
	int r;

	if (!reply)
		return kt_err_oom(reterr);
	if (getpid() != ctx->owner)
		return kt_err_set(reterr, -EPERM,
				  "a forked child cannot ask for snapshots: the test's own process "
				  "must do it");
	if (!ctx->snapshots.serve)
		return kt_err_set(reterr, -ENOTSUP, "there is no machine");
	(void)pthread_mutex_lock(&ctx->kernel.lock);
	r = ask_locked(ctx, request, reply, reterr);
	(void)pthread_mutex_unlock(&ctx->kernel.lock);
	if (r == 0)
		*ret_reply = kt_steal(reply);
	return r;
}

/* ---- Taking ---- */

int kt_snapshot_capture(struct kt_ctx *ctx, const char *name, bool periodic, struct kt_err *reterr)
{
	struct kt_snapshot_request request = {
		.op = KT_SNAPSHOT_CAPTURE,
		.periodic = periodic,
		.elapsed_ns = (int64_t)kt_elapsed_ns(ctx),
		.step = ctx->step,
	};
	KT_FREE struct kt_snapshot_reply *reply = NULL;
	int r = kt_snapshot_check_name(name, reterr);

	if (r < 0)
		return r;
	(void)snprintf(request.name, sizeof(request.name), "%s", name);
	r = ask(ctx, &request, &reply, reterr);
	if (r == 0 && reply->replaced)
		(void)fprintf(stderr, "ktest: snapshot '%s' replaces an earlier one\n", name);
	return r;
}

int kt_capture_snapshot(struct kt_ctx *ctx, struct kt_where where, const char *name)
{
	struct kt_err err = KT_ERR_NULL;

	if (!ctx->scenario)
		return kt_fail(ctx, where, "the guest has ended before .post_vm");
	return kt_snapshot_capture(ctx, name, false, &err) < 0
		       ? kt_fail(ctx, where, "snapshot '%s': %s", name ?: "", err.text)
		       : 0;
}

/* ---- Views ---- */

struct kt_view kt_snapshot(struct kt_ctx *ctx, const char *name)
{
	return (struct kt_view){ .ctx = ctx, .snapshot = name ?: "" };
}

struct kt_view kt_periodic(struct kt_ctx *ctx)
{
	return (struct kt_view){ .ctx = ctx };
}

/* A view with too many steps is an error when it is read. */
static struct kt_view go(struct kt_view view, const struct kt_view_step *step)
{
	if (view.n_steps < KT_VIEW_STEPS)
		view.steps[view.n_steps] = *step;
	view.n_steps++;
	return view;
}

#define STEP(view, ...) go(view, &(const struct kt_view_step){ __VA_ARGS__ })

struct kt_view kt_view_map(struct kt_view view, const char *name)
{
	return STEP(view, .kind = KT_VIEW_STEP_MAP, .text = name);
}

struct kt_view kt_view_variable(struct kt_view view, const char *name)
{
	return STEP(view, .kind = KT_VIEW_STEP_VARIABLE, .text = name);
}

struct kt_view kt_view_active(struct kt_view view)
{
	return STEP(view, .kind = KT_VIEW_STEP_ACTIVE);
}

struct kt_view kt_view_at(struct kt_view view, unsigned int index)
{
	return STEP(view, .kind = KT_VIEW_STEP_AT, .number = index);
}

struct kt_view kt_view_find(struct kt_view view, const char *path, int64_t number)
{
	return STEP(view, .kind = KT_VIEW_STEP_FIND, .text = path, .number = number);
}

struct kt_view kt_view_find_text(struct kt_view view, const char *path, const char *text)
{
	return STEP(view, .kind = KT_VIEW_STEP_FIND_TEXT, .text = path, .value = text);
}

struct kt_view kt_view_max(struct kt_view view, const char *path)
{
	return STEP(view, .kind = KT_VIEW_STEP_MAX, .text = path);
}

struct kt_view kt_view_cpu(struct kt_view view, unsigned int cpu)
{
	return STEP(view, .kind = KT_VIEW_STEP_CPU, .number = cpu);
}

struct kt_view kt_view_get(struct kt_view view, const char *path)
{
	return STEP(view, .kind = KT_VIEW_STEP_GET, .text = path);
}

static int copy_text(char *to, const char *text, struct kt_err *reterr)
{
	if (strlen(text ?: "") > KT_VIEW_TEXT_MAX)
		return kt_err_set(reterr, -EINVAL, "a step of the view is longer than %u bytes",
				  KT_VIEW_TEXT_MAX);
	(void)snprintf(to, KT_VIEW_TEXT_MAX + 1, "%s", text ?: "");
	return 0;
}

static int request_of(const struct kt_view *view, enum kt_snapshot_form form,
		      struct kt_snapshot_request *request, struct kt_err *reterr)
{
	int r = 0;

	if (view->n_steps > KT_VIEW_STEPS)
		return kt_err_set(reterr, -EINVAL, "the view has %u steps; %u is the limit",
				  view->n_steps, KT_VIEW_STEPS);
	*request = (struct kt_snapshot_request){
		.op = view->snapshot ? KT_SNAPSHOT_VIEW : KT_SNAPSHOT_SERIES,
		.step = -1,
		.form = form,
		.n_steps = view->n_steps,
	};
	if (view->snapshot) {
		r = kt_snapshot_check_name(view->snapshot, reterr);
		if (r == 0)
			(void)snprintf(request->name, sizeof(request->name), "%s", view->snapshot);
	}
	for (size_t i = 0; r == 0 && i < view->n_steps; i++) {
		const struct kt_view_step *step = &view->steps[i];

		request->steps[i].kind = (enum kt_snapshot_step_kind)step->kind;
		request->steps[i].number = step->number;
		r = copy_text(request->steps[i].text, step->text, reterr)
			    ?: copy_text(request->steps[i].value, step->value, reterr);
	}
	return r;
}

int kt_snapshot_ask(struct kt_ctx *ctx, const struct kt_view *view, enum kt_snapshot_form form,
		    struct kt_snapshot_reply **ret_reply, struct kt_err *reterr)
{
	KT_FREE struct kt_snapshot_request *request = calloc(1, sizeof(*request));
	int r = request ? request_of(view, form, request, reterr) : kt_err_oom(reterr);

	return r ?: ask(ctx, request, ret_reply, reterr);
}

/* ---- Reading ---- */

/* The view as a person knows it: the snapshot, and its steps in words. */
static char *view_text(const struct kt_view *view)
{
	char text[256] = "";
	size_t len = 0;

	for (size_t i = 0; i < view->n_steps && i < KT_VIEW_STEPS && len < sizeof(text); i++) {
		const struct kt_view_step *step = &view->steps[i];
		char *at = text + len;
		size_t room = sizeof(text) - len;

		switch (step->kind) {
		case KT_VIEW_STEP_ACTIVE:
			len += (size_t)snprintf(at, room, ", active");
			break;
		case KT_VIEW_STEP_AT:
			len += (size_t)snprintf(at, room, ", entry %lld", (long long)step->number);
			break;
		case KT_VIEW_STEP_CPU:
			len += (size_t)snprintf(at, room, ", CPU %lld", (long long)step->number);
			break;
		default:
			len += (size_t)snprintf(at, room, ", %s", step->text ?: "");
		}
	}
	return kt_format("snapshot '%s'%s", view->snapshot ?: "periodic", text);
}

/* One sample; a fault is one, too. */
static int read_sample(struct kt_view *view, enum kt_snapshot_form form,
		       struct kt_snapshot_sample *ret_sample, struct kt_err *reterr)
{
	KT_FREE struct kt_snapshot_reply *reply = NULL;
	int r;

	if (!view->snapshot)
		return kt_err_set(reterr, -EINVAL, "a view of several snapshots has no one value");
	r = kt_snapshot_ask(view->ctx, view, form, &reply, reterr);
	if (r == 0 && reply->n != 1)
		r = kt_err_set(reterr, -EPROTO, "the host has sent %zu values", reply->n);
	if (r == 0)
		*ret_sample = reply->samples[0];
	return r;
}

static int read_view(struct kt_where where, struct kt_view *view, enum kt_snapshot_form form,
		     struct kt_snapshot_sample *ret_sample)
{
	KT_FREE char *text = view_text(view);
	struct kt_err err = KT_ERR_NULL;

	if (read_sample(view, form, ret_sample, &err) < 0)
		return kt_fail(view->ctx, where, "%s: %s", text ?: "?", err.text);
	if (ret_sample->fault != KT_SNAPSHOT_OK)
		return kt_fail(view->ctx, where, "%s: %s", text ?: "?", ret_sample->text);
	return 0;
}

enum kt_view_fault kt_view_check(struct kt_view view, enum kt_view_form form, char *text,
				 size_t room)
{
	struct kt_snapshot_sample sample = { .fault = KT_SNAPSHOT_OK };
	struct kt_err err = KT_ERR_NULL;

	if (read_sample(&view, (enum kt_snapshot_form)form, &sample, &err) < 0) {
		/* Nobody can be asked, or not for that: as if there was no snapshot. */
		sample.fault = KT_SNAPSHOT_NONE;
		(void)snprintf(sample.text, sizeof(sample.text), "%.590s", err.text);
	}
	if (text && room)
		(void)snprintf(text, room, "%s", sample.fault == KT_SNAPSHOT_OK ? "" : sample.text);
	return (enum kt_view_fault)sample.fault;
}

int kt_view_as_u64(struct kt_where where, struct kt_view view, uint64_t *ret_value)
{
	struct kt_snapshot_sample sample;
	int r = read_view(where, &view, KT_SNAPSHOT_AS_U64, &sample);

	if (r == 0)
		*ret_value = sample.number;
	return r;
}

int kt_view_as_i64(struct kt_where where, struct kt_view view, int64_t *ret_value)
{
	struct kt_snapshot_sample sample;
	int r = read_view(where, &view, KT_SNAPSHOT_AS_I64, &sample);

	if (r == 0)
		*ret_value = (int64_t)sample.number;
	return r;
}

int kt_view_as_double(struct kt_where where, struct kt_view view, double *ret_value)
{
	struct kt_snapshot_sample sample;
	int r = read_view(where, &view, KT_SNAPSHOT_AS_DOUBLE, &sample);

	if (r == 0)
		*ret_value = sample.real;
	return r;
}

int kt_view_as_bool(struct kt_where where, struct kt_view view, bool *ret_value)
{
	struct kt_snapshot_sample sample;
	int r = read_view(where, &view, KT_SNAPSHOT_AS_BOOL, &sample);

	if (r == 0)
		*ret_value = sample.number != 0;
	return r;
}

int kt_view_as_text(struct kt_where where, struct kt_view view, char *text, size_t room)
{
	struct kt_snapshot_sample sample;
	int r = read_view(where, &view, KT_SNAPSHOT_AS_TEXT, &sample);

	if (r == 0)
		(void)snprintf(text, room, "%s", sample.text);
	return r;
}

int kt_view_as_count(struct kt_where where, struct kt_view view, uint64_t *ret_n)
{
	struct kt_snapshot_sample sample;
	int r = read_view(where, &view, KT_SNAPSHOT_AS_COUNT, &sample);

	if (r == 0)
		*ret_n = sample.number;
	return r;
}
