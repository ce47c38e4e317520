/* SPDX-License-Identifier: MIT */
#include "framework/session/snapshots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framework/session/kernel_memory.h"
#include "framework/session/phase.h"
#include "framework/session/protocol.h"
#include "framework/setup/time.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/inspect/runqueues.h"
#include "vmm/rendezvous.h"
#include "vmm/snapshot/view.h"
#include "wire/json.h"

/*
 * A request by a host call finds the vCPUs standing still already, and their registers told. They
 * must not be paused for that: of many runs with one seed in which they were, one went another way.
 * Where no host calls are served, the machine is paused.
 *
 * A report is kept as text, because its tree takes ten times the memory. The tree that a view has
 * needed last is kept too, because views of one report follow each other.
 */

#define TIMES_MAX 1000u

/* What each vCPU was at; NULL: @reterr says why that is not known. To be freed. */
static struct kt_registers *read_registers(struct kt_session_state *session, unsigned int n,
					   struct kt_err *reterr)
{
	KT_FREE struct kt_registers *registers = calloc(n, sizeof(*registers));
	uint64_t deadline_ns = kt_now_ns() + KT_RENDEZVOUS_NS;

	if (!registers)
		(void)kt_err_oom(reterr);
	for (unsigned int cpu = 0; registers && cpu < n; cpu++) {
		if (kt_machine_registers(kt_link_machine(session->link), cpu, &registers[cpu],
					 deadline_ns, reterr) < 0)
			return NULL;
	}
	return kt_steal(registers);
}

/* Adds what the caller of kt_session_take_snapshot() does not know. */
static int take(struct kt_session_state *session, const struct kt_snapshot_moment *moment,
		json_t **ret_report, struct kt_err *reterr)
{
	KT_FREE struct kt_registers *registers = NULL;
	struct kt_snapshot_moment full = *moment;
	struct kt_err no_registers = KT_ERR_NULL;
	struct kt_inspect *inspect;
	int r = kt_session_inspect(session, &inspect, reterr);

	if (r < 0)
		return r;
	if (!moment->registers && !moment->no_registers) {
		full.n_registers = kt_test_vcpus(session->outcome->test);
		registers = read_registers(session, (unsigned int)full.n_registers, &no_registers);
		full.registers = registers;
		full.no_registers = no_registers.text;
	}
	kt_inspect_refresh(inspect);
	return kt_snapshot_take(inspect, &full, ret_report, reterr);
}

/* Keeps a report, whatever it is. */
static int keep(struct kt_session_state *session, const char *name, const json_t *report,
		bool evict, bool *ret_replaced, struct kt_err *reterr)
{
	KT_FREE char *text = report ? json_dumps(report, JSON_COMPACT) : NULL;
	bool replaced = false;
	int r;

	if (!text)
		return kt_err_oom(reterr);
	r = kt_snapshots_put(&session->outcome->snapshots, name, text, strlen(text), evict,
			     &replaced, reterr);
	if (ret_replaced)
		*ret_replaced = replaced;
	return r;
}

int kt_session_take_snapshot(struct kt_session_state *session,
			     const struct kt_snapshot_moment *moment, bool evict,
			     bool *ret_replaced, struct kt_err *reterr)
{
	KT_JSON json_t *report = NULL;
	struct kt_err kept = KT_ERR_NULL;
	int r = take(session, moment, &report, reterr), r2;

	if (r < 0)
		report = kt_snapshot_placeholder(moment, reterr ? reterr->text : strerror(-r));
	r2 = keep(session, moment->name, report, evict, ret_replaced, r < 0 ? &kept : reterr);
	return r ?: r2;
}

/* ---- Time ---- */

/* The latest clock of a run queue; 0: unknown. */
static uint64_t latest_clock_ns(struct kt_inspect *inspect)
{
	unsigned int n_cpus = kt_inspect_facts(inspect)->n_cpus;
	uint64_t latest_ns = 0;
	struct kt_runqueues rqs;
	struct kt_runqueue rq;

	if (kt_runqueues_init(&rqs, inspect, NULL) == 0) {
		for (unsigned int cpu = 0; cpu < n_cpus; cpu++)
			if (kt_runqueues_read(&rqs, cpu, &rq, NULL) == 0)
				latest_ns = KT_MAX(latest_ns, rq.clock);
	}
	kt_runqueues_deinit(&rqs);
	return latest_ns;
}

void kt_session_note_time(struct kt_session_state *session, uint64_t elapsed_ns)
{
	struct kt_inspect *inspect;
	uint64_t clock_ns;

	if (kt_session_inspect(session, &inspect, NULL) < 0)
		return;
	kt_inspect_refresh(inspect);
	clock_ns = latest_clock_ns(inspect);
	if (clock_ns > elapsed_ns)
		session->clock_zero_ns = clock_ns - elapsed_ns;
}

int64_t kt_session_elapsed_ns(const struct kt_session_state *session, uint64_t clock_ns)
{
	if (!session->clock_zero_ns || clock_ns < session->clock_zero_ns)
		return -1;
	return (int64_t)(clock_ns - session->clock_zero_ns);
}

/* ---- Requests ---- */

static void refuse(struct kt_snapshot_reply *reply, int code, const char *text)
{
	reply->result = code;
	(void)snprintf(reply->error, sizeof(reply->error) - 8, "%s", text);
}

/*
 * Keeps how long a capture has taken in real time, for tests/bench: until all vCPUs stood, until it
 * was made, and until they ran again.
 */
static void note_times(struct kt_session_state *session, const uint64_t at_ns[4])
{
	json_t *freeze = session->outcome->freeze;

	if (!freeze)
		session->outcome->freeze = freeze = json_pack("{sb s[]}", "repeatable", 0, "hits");
	if (freeze && !json_object_get(freeze, "captures_ns"))
		(void)json_object_set_new(freeze, "captures_ns", json_array());
	if (json_array_size(json_object_get(freeze, "captures_ns")) < TIMES_MAX)
		(void)json_array_append_new(json_object_get(freeze, "captures_ns"),
					    json_pack("[III]", (json_int_t)(at_ns[1] - at_ns[0]),
						      (json_int_t)(at_ns[2] - at_ns[1]),
						      (json_int_t)(at_ns[3] - at_ns[2])));
}

static void capture(struct kt_session_state *session, const struct kt_snapshot_request *request,
		    struct kt_snapshot_reply *reply)
{
	bool stands = kt_setup_is_repeatable(session->setup, session->outcome->test);
	const struct kt_snapshot_moment moment = {
		.name = request->name,
		.reason = request->periodic ? "periodic" : "request",
		.elapsed_ns = request->elapsed_ns,
		.step = request->step,
		.vcpu = -1,
	};
	struct kt_machine *machine = session->link ? kt_link_machine(session->link) : NULL;
	struct kt_err err = KT_ERR_NULL;
	int r = machine ? 0 : kt_err_set(&err, -ENXIO, "there is no machine any more");
	uint64_t at_ns[4] = { kt_now_ns() };

	if (r == 0 && !stands)
		r = kt_machine_pause(machine, at_ns[0] + KT_RENDEZVOUS_NS, &err);
	at_ns[1] = kt_now_ns();
	if (r == 0)
		r = kt_session_take_snapshot(session, &moment, false, &reply->replaced, &err);
	at_ns[2] = kt_now_ns();
	/* A machine that cannot go on has ended, which the loop finds out. */
	if (machine && !stands)
		(void)kt_machine_resume(machine, at_ns[2] + KT_RENDEZVOUS_NS, NULL);
	at_ns[3] = kt_now_ns();
	if (r == 0 && !stands)
		note_times(session, at_ns);
	if (r < 0)
		refuse(reply, r, err.text);
}

/* The tree of a report; owned by the session. */
static const json_t *tree_of(struct kt_session_state *session,
			     const struct kt_snapshot_entry *entry)
{
	KT_FREE char *text = NULL;

	if (session->viewed && !strcmp(session->viewed_name, entry->name) &&
	    session->viewed_offset == entry->offset)
		return session->viewed;
	text = kt_snapshots_text(&session->outcome->snapshots, entry);
	json_decref(session->viewed);
	session->viewed = text ? json_loads(text, 0, NULL) : NULL;
	session->viewed_offset = entry->offset;
	(void)snprintf(session->viewed_name, sizeof(session->viewed_name), "%s", entry->name);
	return session->viewed;
}

void kt_session_forget_snapshots(struct kt_session_state *session)
{
	json_decref(session->viewed);
	session->viewed = NULL;
}

static void look(struct kt_session_state *session, const struct kt_snapshot_request *request,
		 const struct kt_snapshot_entry *entry, struct kt_snapshot_reply *reply)
{
	struct kt_snapshot_sample *sample = &reply->samples[reply->n++];
	const json_t *report = tree_of(session, entry);
	const json_t *elapsed = json_object_get(report, "elapsed_ns");

	(void)snprintf(sample->name, sizeof(sample->name), "%s", entry->name);
	sample->elapsed_ns = json_is_integer(elapsed) ? json_integer_value(elapsed) : -1;
	if (report)
		kt_view_read(report, request, sample);
	else
		refuse(reply, -ENOMEM, "out of memory for a report");
}

/* The names of those that there are, for an error. */
static void list_names(const struct kt_snapshots *snapshots, char *text, size_t room)
{
	size_t len = (size_t)snprintf(text, room, "%s", snapshots->n ? "" : "none");

	for (size_t i = 0; i < snapshots->n && len < room; i++)
		len += (size_t)snprintf(text + len, room - len, "%s%s", i ? ", " : "",
					snapshots->at[i].name);
}

static void view(struct kt_session_state *session, const struct kt_snapshot_request *request,
		 struct kt_snapshot_reply *reply)
{
	const struct kt_snapshots *snapshots = &session->outcome->snapshots;
	const struct kt_snapshot_entry *entry = kt_snapshots_find(snapshots, request->name);
	struct kt_snapshot_sample *sample = &reply->samples[0];
	char names[400];

	if (entry) {
		look(session, request, entry, reply);
		return;
	}
	list_names(snapshots, names, sizeof(names));
	reply->n = 1;
	sample->fault = KT_SNAPSHOT_NONE;
	sample->elapsed_ns = -1;
	(void)snprintf(sample->text, sizeof(sample->text),
		       "there is no such snapshot; there are: %s", names);
}

/* The number of a periodic snapshot; -1 for another one. */
static int number_of(const char *name)
{
	size_t len = strlen(KT_SNAPSHOT_PERIODIC);

	if (strncmp(name, KT_SNAPSHOT_PERIODIC, len) || strlen(name) != len + 3 ||
	    strspn(name + len, "0123456789") != 3)
		return -1;
	return atoi(name + len);
}

/* In the order of their numbers, whatever that of the table is. */
static void series(struct kt_session_state *session, const struct kt_snapshot_request *request,
		   struct kt_snapshot_reply *reply)
{
	const struct kt_snapshots *snapshots = &session->outcome->snapshots;

	for (int number = 0; number < 1000 && reply->n < KT_SNAPSHOTS_MAX; number++) {
		for (size_t i = 0; i < snapshots->n; i++) {
			if (number_of(snapshots->at[i].name) == number)
				look(session, request, &snapshots->at[i], reply);
		}
	}
}

static void serve(struct kt_session_state *session, const struct kt_snapshot_request *request,
		  struct kt_snapshot_reply *reply)
{
	*reply = (struct kt_snapshot_reply){ .id = request->id };
	switch (request->op) {
	case KT_SNAPSHOT_CAPTURE:
		capture(session, request, reply);
		return;
	case KT_SNAPSHOT_VIEW:
		view(session, request, reply);
		return;
	default:
		series(session, request, reply);
	}
}

void kt_session_on_snapshot_request(struct kt_session_state *session, const struct kt_frame *frame)
{
	KT_FREE struct kt_snapshot_request *request = calloc(1, sizeof(*request));
	KT_FREE struct kt_snapshot_reply *reply = calloc(1, sizeof(*reply));
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *payload = NULL;

	if (request && reply &&
	    kt_snapshot_request_decode(frame->payload, frame->len, request, &err) < 0) {
		kt_session_end(session, KT_VERDICT_ERROR, "malformed frame: %s", err.text);
		return;
	}
	if (request && reply)
		serve(session, request, reply);
	if (!request || !reply || kt_snapshot_reply_encode(reply, &payload) < 0)
		kt_session_end(session, KT_VERDICT_ERROR, "out of memory for the guest's port");
	else
		kt_session_send(session, KT_MSG_SNAPSHOT_REPLY, payload, strlen(payload));
}

/* ---- .post_vm ---- */

static int serve_post_vm(void *data, const struct kt_snapshot_request *request,
			 struct kt_snapshot_reply *ret_reply, struct kt_err *reterr)
{
	(void)reterr;
	serve(data, request, ret_reply);
	return 0;
}

struct kt_snapshot_service kt_session_snapshot_service(struct kt_session_state *session)
{
	return (struct kt_snapshot_service){ serve_post_vm, session };
}
