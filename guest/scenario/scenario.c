/* SPDX-License-Identifier: MIT */
/*
 * The executor: runs what a test declares, in this order.
 *
 *	begin		attach the test's scheduler
 *	backdrop	setup, operations
 *	each step	setup, operations, hold, teardown of what no later step names
 *	end		teardown of everything else
 *
 * The first failure ends the run. It is recorded in the test's result where it is known, with the
 * step and the operation; callers only see that something failed. All waits are in operations and
 * in the hold, and each has a deadline. Between begin and end of the steps init runs with the
 * highest priority (urgent.h).
 */

#include "guest/scenario/scenario.h"

#include "guest/port/activity.h"
#include "guest/scenario/definition.h"
#include "guest/scenario/hold.h"
#include "guest/scenario/op.h"
#include "guest/scenario/state.h"
#include "guest/scenario/urgent.h"
#include "guest/scheduler/bpf_map.h"
#include "guest/test/test.h"
#include "guest/test/trace.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define REPORTED_WORKERS_MAX 500u /* rows in the report; the rest is only counted */

struct teardown {
	struct kt_scenario *scenario;
	unsigned int step; /* the step that ends, or KT_LIVES_ON */
	int first;         /* the first failure; 0: none */
};

/* Whether the cgroup ends with this step. Its payload ends just before it. */
static bool is_ending(void *data, const char *name)
{
	const struct teardown *teardown = data;
	const struct kt_live_cgroup *cgroup = kt_live_find(&teardown->scenario->live, name);

	return !cgroup || cgroup->last_step <= teardown->step;
}

static void on_teardown_failed(void *data, const struct kt_err *err)
{
	struct teardown *teardown = data;
	int r = kt_scenario_fail(teardown->scenario, err, "teardown");

	teardown->first = teardown->first ?: r;
}

static void begin_part(const struct kt_scenario *scenario, const char *phase)
{
	int step = scenario->steps ? scenario->ctx->step : -1;

	kt_activity_begin(phase, step, step < 0 ? NULL : scenario->steps[step].name);
}

/* One cgroup that cannot be removed does not keep the others: all are tried. */
static int tear_down(struct kt_scenario *scenario, unsigned int step)
{
	struct teardown teardown = { scenario, step, 0 };

	begin_part(scenario, "the teardown");

	kt_payload_set_end(&scenario->payloads, is_ending, &teardown);
	kt_live_tear_down(&scenario->live, step, on_teardown_failed, &teardown);
	return teardown.first;
}

void kt_scenario_tear_down(struct kt_scenario *scenario)
{
	(void)tear_down(scenario, KT_LIVES_ON);
}

int kt_scenario_begin(struct kt_scenario *scenario)
{
	const struct kt_scheduler *scheduler = scenario->ctx->test->scheduler;
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (!scheduler)
		return 0;
	r = kt_scheduler_set_attach(&scenario->schedulers, scheduler, NULL, &err);
	if (r < 0 && r != KT_FAILED)
		/* An ERROR and not a FAIL: without its scheduler the test has not run. */
		kt_result_merge(&scenario->ctx->result, KT_VERDICT_ERROR, err.text);
	return r;
}

/* ---- one step -------------------------------------------------------------------------------- */

static int apply_setup(struct kt_scenario *scenario, const struct kt_cgroup_def *setup)
{
	struct kt_err err = KT_ERR_NULL;

	for (const struct kt_cgroup_def *def = setup; def && !def->end; def++) {
		kt_activity_await("the setup of cgroup", def->name);
		if (kt_definition_set_up(scenario, def, &err) < 0)
			return kt_scenario_fail(scenario, &err, "setup");
	}
	return 0;
}

static int apply_ops(struct kt_scenario *scenario, const struct kt_op *ops)
{
	struct kt_err err = KT_ERR_NULL;
	unsigned int n;
	int index = 0;

	for (const struct kt_op *op = ops; op && !op->end; op += n, index += (int)n) {
		int r;

		n = kt_op_count_merged(op);
		r = n > 1 ? kt_op_apply_merged(scenario, op, n, index, &err)
			  : kt_op_apply(scenario, op, index, &err);

		if (r == KT_FAILED) /* the failure is recorded already */
			return r;
		if (r < 0) {
			KT_FREE char *text = kt_op_text(op);
			KT_FREE char *what = kt_format("operation %d %s", index, text ?: "");

			return kt_scenario_fail(scenario, &err, what ?: "operation");
		}
	}
	return 0;
}

/*
 * .setup_fn is called when its step begins. Its list is used until the test ends, so it must be
 * static (struct kt_step).
 */
static int set_up_step(struct kt_scenario *scenario, const struct kt_step *step)
{
	const struct kt_cgroup_def *setup = step->setup;

	if (step->setup_fn) {
		setup = step->setup_fn(scenario->ctx);
		if (!setup) {
			const struct kt_err err = { .text = "it returned no list" };

			return kt_scenario_fail(scenario, &err, ".setup_fn");
		}
	}
	return apply_setup(scenario, setup);
}

static int count_group(void *data, struct kt_live_cgroup *cgroup, struct kt_worker_group *group)
{
	(void)cgroup;
	*(uint32_t *)data += kt_worker_group_count(group);
	return 0;
}

/* Tells the host which step runs, which the host reports if the guest hangs or dies in it. */
static void send_step(struct kt_scenario *scenario, enum kt_message type,
		      const struct kt_step *step)
{
	struct kt_msg_step msg = {
		.index = (uint32_t)scenario->ctx->step,
		.elapsed_ns = kt_elapsed_ns(scenario->ctx),
	};

	for (const struct kt_live_cgroup *at = scenario->live.first; at; at = at->next)
		msg.n_cgroups++;
	(void)kt_live_for_each_group(&scenario->live, count_group, &msg.n_workers);
	for (const struct kt_op *op = step->ops; op && !op->end; op++) {
		msg.n_ops++;
		msg.op_kinds |= UINT64_C(1) << op->kind;
	}
	if (scenario->port)
		(void)kt_port_send(scenario->port, type, &msg, sizeof(msg));
}

static uint64_t hold_ns(const struct kt_scenario *scenario, const struct kt_hold *hold)
{
	switch (hold->kind) {
	case KT_HOLD_FRACTION:
		return (uint64_t)(hold->fraction * kt_test_duration_ms(scenario->ctx->test) *
				  KT_NSEC_PER_MSEC);
	case KT_HOLD_FIXED:
	case KT_HOLD_REPEAT:
		return hold->ms * KT_NSEC_PER_MSEC;
	case KT_HOLD_NONE:
		break;
	}
	return 0;
}

/*
 * Repeats the operations of a step at an interval until the duration of the test is over. The
 * duration counts from the first hold, so that setting up does not shorten it. Rounds are due at
 * multiples of the interval: a round that takes long does not delay the later ones.
 */
static int loop_step(struct kt_scenario *scenario, const struct kt_step *step,
		     struct kt_err *reterr)
{
	uint64_t end_ns =
		scenario->hold_ns + kt_test_duration_ms(scenario->ctx->test) * KT_NSEC_PER_MSEC;
	uint64_t next_ns = kt_now_ns(), interval_ns = hold_ns(scenario, &step->hold);
	int r = 0;

	while (r == 0 && kt_now_ns() < end_ns) {
		next_ns += interval_ns;
		if (apply_ops(scenario, step->ops) < 0)
			return KT_FAILED;
		r = kt_scenario_hold_until(scenario, KT_MIN(next_ns, end_ns), reterr);
	}
	return r;
}

/* A step without a hold gets a record too: records are found by the number of their step. */
static int hold_step(struct kt_scenario *scenario, const struct kt_step *step)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_step_record *record = NULL;
	int r;

	scenario->hold_ns = scenario->hold_ns ?: kt_now_ns();
	scenario->periodic.began_ns = scenario->hold_ns;
	r = kt_record_begin(&scenario->records, &scenario->live, step->name, &record, &err);
	if (r == 0 && scenario->schedulers.scheduler)
		record->scheduler = scenario->schedulers.scheduler->name;
	if (r == 0)
		r = step->hold.kind == KT_HOLD_REPEAT
			    ? loop_step(scenario, step, &err)
			    : kt_scenario_hold(scenario, hold_ns(scenario, &step->hold), &err);
	if (r == 0)
		r = kt_record_end(record, &scenario->live, &err);
	return r < 0 && r != KT_FAILED ? kt_scenario_fail(scenario, &err, "hold") : r;
}

/*
 * A scheduler that has ended unexpectedly fails the test before the next step begins. The step's
 * end is sent even after a failure; everything is torn down then, since no later step runs.
 */
static int run_step(struct kt_scenario *scenario, unsigned int index)
{
	const struct kt_step *step = &scenario->steps[index];
	int r, r2;

	scenario->ctx->step = (int)index;
	begin_part(scenario, "the setup");
	r = kt_scheduler_set_check(&scenario->schedulers) ?: set_up_step(scenario, step);
	begin_part(scenario, "the operations");
	if (r == 0 && step->hold.kind != KT_HOLD_REPEAT)
		r = apply_ops(scenario, step->ops);
	send_step(scenario, KT_MSG_STEP_BEGIN, step);
	kt_trace_mark_begin("step", step->name ?: "");
	begin_part(scenario, "the hold");
	if (r == 0)
		r = hold_step(scenario, step);
	kt_trace_mark_end();
	send_step(scenario, KT_MSG_STEP_END, step);
	r2 = tear_down(scenario, r < 0 ? KT_LIVES_ON : index);
	return r ?: r2;
}

/* ---- all of them ----------------------------------------------------------------------------- */

/* What the backdrop creates lives until the end of the test (kt_scenario_last_step()). */
static int set_up_backdrop(struct kt_scenario *scenario, const struct kt_backdrop *backdrop)
{
	int r;

	scenario->in_backdrop = true;
	kt_activity_begin("the backdrop", -1, NULL);
	r = apply_setup(scenario, backdrop->setup) ?: apply_ops(scenario, backdrop->ops);
	scenario->in_backdrop = false;
	return r;
}

int kt_scenario_run(struct kt_scenario *scenario, const struct kt_test *test)
{
	int r;

	kt_urgent_begin();
	scenario->steps = test->steps;
	r = set_up_backdrop(scenario, &test->backdrop);
	for (unsigned int i = 0; r == 0 && !test->steps[i].end; i++)
		r = run_step(scenario, i);
	scenario->ctx->step = -1;
	scenario->steps = NULL;
	kt_urgent_end();
	return r;
}

/* ---- the report ------------------------------------------------------------------------------ */

/* A subset of the worker's report; .check functions see all of it. */
static json_t *worker_to_json(const struct kt_worker_report *report)
{
	return json_pack(
		"{ss ss si si si sI sI sI sI sI sI sI sI sI sI sf sb}", "cgroup", report->cgroup,
		"work", report->work, "group", (int)report->group, "index", (int)report->index,
		"tid", (int)report->tid, "iterations", (json_int_t)report->iterations, "wall_ns",
		(json_int_t)report->wall_ns, "cpu_ns", (json_int_t)report->cpu_ns, "run_delay_ns",
		(json_int_t)report->run_delay_ns, "switches", (json_int_t)report->switches,
		"migrations", (json_int_t)report->migrations, "max_gap_ns",
		(json_int_t)report->max_gap_ns, "max_stall_ns", (json_int_t)report->max_stall_ns,
		"wake_p50_ns", (json_int_t)report->latency_p50_ns, "wake_p99_ns",
		(json_int_t)report->latency_p99_ns, "wake_cv", report->latency_cv, "killed",
		report->killed);
}

static json_t *workers_to_json(const struct kt_reports *reports)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < KT_MIN(reports->n, REPORTED_WORKERS_MAX); i++)
		(void)json_array_append_new(array, worker_to_json(&reports->at[i]));
	return array;
}

/* The names of the operations that were applied, each once. */
static json_t *operations_to_json(uint64_t applied)
{
	json_t *array = json_array();

	for (int kind = 0; array && kind < KT_N_OP_KINDS; kind++) {
		const struct kt_op_ops *ops = kt_op_ops((enum kt_op_kind)kind);

		if (ops && applied & UINT64_C(1) << kind)
			(void)json_array_append_new(array, json_string(ops->name));
	}
	return array;
}

/* "n_workers" and "n_payloads" also count those that the lists have no room for. */
json_t *kt_scenario_report(const struct kt_scenario *scenario)
{
	const struct kt_reports *reports = &scenario->live.reports;

	if (!scenario->records.first && !reports->n && !scenario->applied &&
	    !json_array_size(scenario->schedulers.history) && !scenario->payloads.n_done)
		return NULL;
	return json_pack("{so so so sI sO* sI sO* so* so*}", "operations",
			 operations_to_json(scenario->applied), "steps",
			 kt_records_to_json(&scenario->records), "workers",
			 workers_to_json(reports), "n_workers", (json_int_t)reports->n, "payloads",
			 scenario->payloads.done, "n_payloads",
			 (json_int_t)scenario->payloads.n_done, "schedulers",
			 scenario->schedulers.history, "kernel_memory",
			 kt_kernel_captures_to_json(&scenario->ctx->kernel), "periodic_snapshots",
			 kt_periodic_to_json(&scenario->periodic));
}
