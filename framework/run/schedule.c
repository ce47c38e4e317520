/* SPDX-License-Identifier: MIT */
#include "framework/run/schedule.h"

#include "framework/run/attempt.h"
#include "framework/run/build.h"
#include "framework/run/pool.h"
#include "framework/setup/time.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/process.h"

/*
 * The queue is served in its order: an item that the budget has no room for holds back all items
 * behind it, so a large machine is not overtaken for ever by small ones. There are two exceptions:
 * an item whose template is still being built lets the next ones start, and an item that is short
 * of vCPUs may have its machine restored ahead (the pool). An item never starts before the template
 * of its group is there, unless its group boots.
 *
 * All of this runs in one thread, from the events of the loop, and never blocks.
 */

#define RECHECK_NS (10 * KT_NSEC_PER_MSEC) /* see on_budget() */
#define TURN_NS    (50 * KT_NSEC_PER_MSEC) /* after which signals and keys are heard */
#define TELL_NS    KT_NSEC_PER_SEC         /* of waiting for another run, before the user hears */

/* ---- rounds ---------------------------------------------------------------------------------- */

/*
 * If a round started nothing, the next one would not either. If that is because tests are skipped,
 * a run with a number of rounds still makes them all: it has announced them, as in the plan of TAP.
 * A guest that does not start is told once.
 */
static bool is_futile(const struct kt_run *run)
{
	return run->queue.rounds && !run->started &&
	       (!run->options->stress_count || run->counts.by_verdict[KT_VERDICT_ERROR]);
}

/* Whether to append another round. */
static bool another_round(const struct kt_run *run)
{
	const struct kt_options *options = run->options;

	if (run->stopping || is_futile(run))
		return false;
	if (options->stress_count && run->queue.rounds >= options->stress_count)
		return false;
	return !options->stress_duration_ns || !run->first_ns ||
	       kt_now_ns() - run->first_ns < options->stress_duration_ns;
}

static void add_round(struct kt_run *run)
{
	run->started = false;
	kt_run_note_fault(run,
			  kt_queue_add_round(&run->queue, run->plan, &run->groups, run->setup));
}

/* The number of known future attempts that need a machine of @group. */
static unsigned int count_attempts(const struct kt_run *run, const struct kt_group *group)
{
	unsigned int rounds = run->options->stress_count;

	if (!rounds)
		return UINT32_MAX;
	return kt_queue_count(&run->queue, group) * (rounds - run->queue.rounds + 1);
}

/* ---- items ----------------------------------------------------------------------------------- */

enum step {
	STEP_AGAIN, /* something has changed: look from the front */
	STEP_NEXT,  /* this item cannot start yet, a later one may */
	STEP_STOP,  /* nothing can start now */
};

static enum step start_item(struct kt_run *run, struct kt_item **at)
{
	struct kt_share share = { 0, 0 };
	struct kt_item *item = *at;

	/* Tests that share standard output run one at a time. */
	if (run->options->no_capture && run->jobs)
		return STEP_STOP;
	if (!kt_budget_take(run->budget, kt_setup_threads(run->setup, item->test),
			    kt_test_machine_mib(item->test), &share))
		return kt_pool_warm_up(run, at) ? STEP_AGAIN : STEP_STOP;
	(void)kt_queue_take(&run->queue, at);
	kt_attempt_start(run, item, share, false);
	return STEP_AGAIN;
}

static enum step drop_item(struct kt_run *run, struct kt_item **at, enum kt_verdict verdict,
			   const char *reason)
{
	struct kt_item *item = kt_queue_take(&run->queue, at);

	kt_run_report_item(run, item, verdict, reason);
	kt_item_free(item);
	return STEP_AGAIN;
}

/* Every test of a group whose template failed has the outcome of the build, with its console. */
static enum step fail_item(struct kt_run *run, struct kt_item **at)
{
	struct kt_outcome *failure = (*at)->group->failure;
	struct kt_item *item;

	if (!failure)
		return drop_item(run, at, KT_VERDICT_ERROR, "the guest does not start");
	item = kt_queue_take(&run->queue, at);
	failure->test = item->test;
	failure->name = item->name;
	failure->kernel = item->kernel;
	failure->iteration = item->iteration;
	failure->seed = kt_plan_seed(run->options, item->iteration, item->attempt);
	kt_run_report(run, failure);
	kt_item_free(item);
	return STEP_AGAIN;
}

static enum step step_item(struct kt_run *run, struct kt_item **at)
{
	struct kt_group *group = (*at)->group;
	struct kt_err err = KT_ERR_NULL;

	if ((*at)->obstacle)
		return drop_item(run, at, KT_VERDICT_SKIP, (*at)->obstacle);
	if ((*at)->fault)
		return drop_item(run, at, KT_VERDICT_ERROR, (*at)->fault);
	if (group->state == KT_GROUP_NEW) {
		kt_group_look(group, run->setup, count_attempts(run, group), &err);
		if (err.text[0])
			kt_run_warn(run, err.text);
	}
	switch (group->state) {
	case KT_GROUP_READY:
	case KT_GROUP_COLD:
		return start_item(run, at);
	case KT_GROUP_FAILED:
		return fail_item(run, at);
	case KT_GROUP_MISSING:
		return kt_build_start(run, group) ? STEP_AGAIN : STEP_STOP;
	case KT_GROUP_NEW:
	case KT_GROUP_BUILDING:
		break;
	}
	return STEP_NEXT;
}

/* Millions of rounds may have nothing but tests that are skipped. */
static void start_items(struct kt_run *run)
{
	struct kt_item **at = &run->queue.first;
	uint64_t until_ns = kt_now_ns() + TURN_NS;

	run->paced = false;
	while (!run->stopping && !run->paced) {
		enum step step;

		if (!run->queue.first && another_round(run))
			add_round(run);
		if (!*at)
			break;
		step = step_item(run, at);
		if (step == STEP_STOP)
			break;
		at = step == STEP_AGAIN ? &run->queue.first : &(*at)->next;
		run->paced = kt_now_ns() > until_ns;
	}
	if (run->paced)
		kt_timer_arm(run->loop, &run->recheck, kt_now_ns() + KT_NSEC_PER_MSEC);
}

/* ---- other runs on this host ----------------------------------------------------------------- */

/*
 * The event that a file was closed comes a moment before its locks are gone (Linux:
 * fs/file_table.c, __fput), so a look right now may be too early: a second one follows.
 */
static void on_budget(void *data, uint32_t events)
{
	struct kt_run *run = data;

	(void)events;
	kt_budget_drain(run->budget);
	kt_timer_arm(run->loop, &run->recheck, kt_now_ns() + RECHECK_NS);
	run->schedule(run);
}

void kt_schedule_recheck(void *data)
{
	struct kt_run *run = data;

	run->schedule(run);
}

/* Another run is just taking something: nothing tells when it has. */
static void recheck_busy(struct kt_run *run)
{
	if (kt_budget_is_busy(run->budget))
		kt_timer_arm(run->loop, &run->recheck, kt_now_ns() + RECHECK_NS);
}

/*
 * Watches the budget once another run has been found to hold a part of it: ending a watch costs
 * some milliseconds. The recheck finds what that run gave back before the watch began.
 */
static void watch_budget(struct kt_run *run)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (run->budget_source.fd >= 0 || !kt_budget_is_contended(run->budget))
		return;
	run->budget_source.events = EPOLLIN;
	run->budget_source.fn = on_budget;
	run->budget_source.data = run;
	r = kt_budget_watch(run->budget, &run->budget_source.fd, &err)
		    ?: kt_loop_add(run->loop, &run->budget_source);
	if (r < 0)
		kt_run_note_fault(run, r);
	kt_timer_arm(run->loop, &run->recheck, kt_now_ns());
}

static bool is_waiting(const struct kt_run *run)
{
	return run->suspended || (!run->jobs && run->queue.first && !run->paced);
}

/* The machines of another run fill the host: say so once, or the run looks as if it hung. */
void kt_schedule_tell(void *data)
{
	struct kt_run *run = data;
	pid_t holder = kt_budget_holder(run->budget);
	KT_FREE char *who = holder ? kt_process_describe(holder) : NULL;
	KT_FREE char *text = kt_format("waiting for CPUs or memory that another run uses%s%s",
				       who ? ": " : "", who ?: "");

	run->told_waiting = true;
	kt_run_warn(run, text ?: "waiting for another run");
}

/* Waits of less than TELL_NS are not worth a line. */
static void watch_waiting(struct kt_run *run)
{
	if (!is_waiting(run))
		kt_timer_disarm(run->loop, &run->tell);
	else if (!run->told_waiting && !run->tell.armed)
		kt_timer_arm(run->loop, &run->tell, kt_now_ns() + TELL_NS);
}

void kt_schedule_await_budget(struct kt_run *run)
{
	recheck_busy(run);
	watch_budget(run);
	watch_waiting(run);
}

void kt_schedule(struct kt_run *run)
{
	if (kt_pool_hand_out(run))
		start_items(run);
	if (run->stopping)
		kt_pool_discard(run);
	kt_schedule_await_budget(run);
	if (!run->jobs && (run->stopping || (!run->queue.first && !run->paced)))
		kt_loop_stop(run->loop, 0);
}
