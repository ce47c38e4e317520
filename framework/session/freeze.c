/* SPDX-License-Identifier: MIT */
#include "framework/session/freeze.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framework/session/kernel_memory.h"
#include "framework/session/phase.h"
#include "framework/session/protocol.h"
#include "framework/session/snapshots.h"
#include "framework/setup/time.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/freeze/freeze.h"
#include "vmm/rendezvous.h"
#include "wire/json.h"
#include "wire/watch_op.h"

/*
 * The guest asks for watches while it waits, so the machine is stopped at a moment of the guest; it
 * then stops by itself at each hit. In real time hits can be missed (KVM emulates an instruction,
 * two vCPUs make a hit at once, QEMU pauses the machine at that moment), so a timer looks at the
 * schedulers too.
 *
 * Hits are kept in the outcome as JSON, which the runner and .post_vm get.
 */

#define POLL_NS  (100 * KT_NSEC_PER_MSEC)
#define HITS_MAX 1000u

static int give_kernel(void *data, struct kt_inspect **ret_inspect, struct kt_err *reterr)
{
	return kt_session_inspect(data, ret_inspect, reterr);
}

static bool is_repeatable(const struct kt_session_state *session)
{
	return kt_setup_is_repeatable(session->setup, session->outcome->test);
}

/*
 * A snapshot of a watch is called by that and the number of the hit, any other by its reason: the
 * first by that alone, so that a test knows its name.
 */
static void name_snapshot(const struct kt_session_state *session,
			  const struct kt_freeze_event *event, size_t n_hits,
			  char name[KT_SNAPSHOT_NAME_MAX + 1])
{
	const char *reason = kt_freeze_reason_name(event->reason);
	bool is_watch = event->reason == KT_FREEZE_WATCH;

	if (is_watch)
		(void)snprintf(name, KT_SNAPSHOT_NAME_MAX + 1, "%.35s_%03zu", event->name, n_hits);
	else if (kt_snapshots_find(&session->outcome->snapshots, reason))
		(void)snprintf(name, KT_SNAPSHOT_NAME_MAX + 1, "%.35s_%03zu", reason, n_hits);
	else
		(void)snprintf(name, KT_SNAPSHOT_NAME_MAX + 1, "%s", reason);
	for (char *c = name; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.')
			*c = '_';
	}
	if (!isalnum((unsigned char)*name))
		*name = '_';
}

/* Adds its name to the hit, or why there is none. The end of a scheduler is worth an older one. */
static enum kt_capture_quality take_snapshot(struct kt_session_state *session,
					     const struct kt_freeze_event *event, size_t n_hits,
					     json_t *hit)
{
	char name[KT_SNAPSHOT_NAME_MAX + 1];
	const struct kt_snapshot_moment moment = {
		.name = name,
		.reason = kt_freeze_reason_name(event->reason),
		.elapsed_ns = kt_session_elapsed_ns(session, event->time_ns),
		.step = session->step,
		.vcpu = (int)event->vcpu,
	};
	struct kt_err err = KT_ERR_NULL;
	int r;

	name_snapshot(session, event, n_hits, name);
	r = kt_session_take_snapshot(session, &moment, event->reason != KT_FREEZE_WATCH, NULL,
				     &err);
	(void)json_object_set_new(hit, r < 0 ? "no_snapshot" : "snapshot",
				  json_string(r < 0 ? err.text : name));
	return r == 0 ? KT_CAPTURE_WHOLE : KT_CAPTURE_DEGRADED;
}

static enum kt_capture_quality on_hit(void *data, const struct kt_freeze_event *event)
{
	struct kt_session_state *session = data;
	enum kt_capture_quality quality;
	json_t *hits = json_object_get(session->outcome->freeze, "hits");
	json_t *hit;

	if (!event->captures || json_array_size(hits) >= HITS_MAX)
		return KT_CAPTURE_NONE;
	hit = json_pack("{ss ss ss sI si si sI}", "reason", kt_freeze_reason_name(event->reason),
			"name", event->name, "kind", event->kind ?: "", "value",
			(json_int_t)event->value, "vcpu", (int)event->vcpu, "step", session->step,
			"time_ns", (json_int_t)event->time_ns);
	quality = hit ? take_snapshot(session, event, json_array_size(hits), hit) : KT_CAPTURE_NONE;
	return json_array_append_new(hits, hit) < 0 ? KT_CAPTURE_NONE : quality;
}

/* ---- Ticks of the host's time ---- */

static void on_poll(void *data)
{
	struct kt_session_state *session = data;
	struct kt_machine *machine = session->link ? kt_link_machine(session->link) : NULL;

	if (!machine || session->phase != KT_PHASE_RUN)
		return;
	if (kt_freeze_is_due(session->freeze) &&
	    kt_machine_pause(machine, kt_now_ns() + KT_RENDEZVOUS_NS, NULL) == 0) {
		(void)kt_freeze_tick(session->freeze, kt_now_ns() + KT_RENDEZVOUS_NS, NULL);
		(void)kt_machine_resume(machine, kt_now_ns() + KT_RENDEZVOUS_NS, NULL);
	}
	kt_timer_arm(session->loop, &session->freeze_timer, kt_now_ns() + POLL_NS);
}

static int make_freeze(struct kt_session_state *session, struct kt_err *reterr)
{
	const struct kt_freeze_config config = {
		.machine = kt_link_machine(session->link),
		.watches_max = kt_machine_watches_max(session->setup->host.accel),
		.wants_early = true,
		.inspect = give_kernel,
		.hit = on_hit,
		.data = session,
	};

	if (session->freeze)
		return 0;
	session->outcome->freeze =
		json_pack("{sb s[]}", "repeatable", is_repeatable(session), "hits");
	if (!session->outcome->freeze || kt_freeze_new(&config, &session->freeze) < 0)
		return kt_err_oom(reterr);
	session->freeze_timer = (struct kt_timer){ .fn = on_poll, .data = session };
	if (!is_repeatable(session))
		kt_timer_arm(session->loop, &session->freeze_timer, kt_now_ns() + POLL_NS);
	return 0;
}

/* ---- Requests ---- */

static int serve(struct kt_session_state *session, const struct kt_wop_request *request,
		 struct kt_err *reterr)
{
	uint64_t deadline_ns = kt_now_ns() + KT_RENDEZVOUS_NS;
	const struct kt_freeze_spec spec = {
		.name = request->name,
		.path = request->path,
		.len = request->len,
		.kind = request->on_access ? KT_WATCH_ON_ACCESS : KT_WATCH_ON_WRITE,
		.when = { .compare = (enum kt_watch_compare)request->compare,
			  .number = request->number },
		.interval_ns = request->interval_ns,
		.n_max = request->n_max,
	};

	switch (request->op) {
	case KT_WOP_SCHEDULERS:
		return kt_freeze_tick(session->freeze, deadline_ns, reterr);
	case KT_WOP_WATCH:
		return kt_freeze_watch(session->freeze, &spec, deadline_ns, reterr);
	case KT_WOP_UNWATCH:
		return kt_freeze_unwatch(session->freeze, request->name, deadline_ns, reterr);
	case KT_WOP_END:
		break;
	}
	return kt_err_set(reterr, -ENOSYS, "there is no such request");
}

/* A machine that cannot go on has ended, which the loop finds out. */
static int serve_standing(struct kt_session_state *session, const struct kt_wop_request *request,
			  struct kt_err *reterr)
{
	struct kt_machine *machine = kt_link_machine(session->link);
	int r = make_freeze(session, reterr)
			?: kt_machine_pause(machine, kt_now_ns() + KT_RENDEZVOUS_NS, reterr);

	if (r < 0)
		return r;
	kt_session_note_time(session, request->elapsed_ns);
	r = serve(session, request, reterr);
	(void)kt_machine_resume(machine, kt_now_ns() + KT_RENDEZVOUS_NS, NULL);
	return r;
}

void kt_session_on_watch_request(struct kt_session_state *session, const struct kt_frame *frame)
{
	struct kt_wop_reply reply = { 0 };
	struct kt_wop_request request;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE void *data = NULL;
	size_t len;

	if (kt_wop_request_decode(frame->payload, frame->len, &request, &err) < 0) {
		kt_session_end(session, KT_VERDICT_ERROR, "malformed frame: %s", err.text);
		return;
	}
	reply.id = request.id;
	reply.result = serve_standing(session, &request, &err);
	if (reply.result < 0)
		(void)snprintf(reply.text, sizeof(reply.text), "%s", err.text);
	/* What is watched without being asked for is not the test's error. */
	if (reply.result < 0 && request.op == KT_WOP_SCHEDULERS && session->outcome->freeze)
		(void)json_object_set_new(session->outcome->freeze, "unwatched",
					  json_string(reply.text));
	if (kt_wop_reply_encode(&reply, &data, &len) < 0)
		kt_session_end(session, KT_VERDICT_ERROR, "out of memory for the guest's port");
	else
		kt_session_send(session, KT_MSG_WATCH_REPLY, data, len);
}

void kt_session_on_stopped(void *data, const struct kt_machine_stop *stop)
{
	struct kt_session_state *session = data;

	if (session->freeze && !session->ended)
		kt_freeze_on_stopped(session->freeze, stop);
}

void kt_session_end_freeze(struct kt_session_state *session)
{
	KT_JSON json_t *json = NULL;

	if (!session->freeze)
		return;
	kt_timer_disarm(session->loop, &session->freeze_timer);
	kt_freeze_end(session->freeze);
	json = kt_freeze_json(session->freeze);
	if (json)
		(void)json_object_update(session->outcome->freeze, json);
	session->freeze = kt_freeze_free(session->freeze);
}

/* ---- .post_vm ---- */

static uint64_t number_of(const json_t *object, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(object, name));
}

static struct kt_freeze_hit hit_of(const json_t *json)
{
	return (struct kt_freeze_hit){
		.reason = kt_json_str(json, "reason"),
		.name = kt_json_str(json, "name"),
		.kind = kt_json_str(json, "kind"),
		.value = number_of(json, "value"),
		.vcpu = (unsigned int)number_of(json, "vcpu"),
		.step = (int)number_of(json, "step"),
		.time_ns = number_of(json, "time_ns"),
	};
}

static struct kt_freeze_watch_view watch_of(const json_t *json)
{
	return (struct kt_freeze_watch_view){
		.name = kt_json_str(json, "name"),
		.count = { .hits = number_of(json, "hits"),
			   .unmet = number_of(json, "unmet"),
			   .captures = number_of(json, "captures"),
			   .left_out = number_of(json, "left_out") },
	};
}

struct kt_freeze_view *kt_session_freeze_view(const struct kt_session_state *session)
{
	const json_t *hits = json_object_get(session->outcome->freeze, "hits");
	const json_t *watches = json_object_get(session->outcome->freeze, "watches");
	size_t n_hits = json_array_size(hits), n_watches = json_array_size(watches);
	struct kt_freeze_view *view = calloc(1, sizeof(*view));
	struct kt_freeze_hit *hit = calloc(n_hits + 1, sizeof(*hit));
	struct kt_freeze_watch_view *watch = calloc(n_watches + 1, sizeof(*watch));

	if (!view || !hit || !watch) {
		free(view);
		free(hit);
		free(watch);
		return NULL;
	}
	for (size_t i = 0; i < n_hits; i++)
		hit[i] = hit_of(json_array_get(hits, i));
	for (size_t i = 0; i < n_watches; i++)
		watch[i] = watch_of(json_array_get(watches, i));
	*view = (struct kt_freeze_view){ hit, n_hits, watch, n_watches };
	return view;
}

void kt_session_free_view(struct kt_freeze_view *view)
{
	if (!view)
		return;
	free((void *)view->hits);
	free((void *)view->watches);
	free(view);
}
