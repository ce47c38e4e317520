/* SPDX-License-Identifier: MIT */
#include "framework/run/attempt.h"

#include <errno.h>

#include "framework/session/session.h"
#include "framework/setup/limits.h"
#include "framework/setup/time.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * The runner's side of an attempt. The attempt's process runs framework/session/.
 *
 * The job holds the vCPUs of its machine while they work, and its memory until its process is
 * gone: a restored machine that waits in the pool holds no vCPU, and neither does one whose test
 * has ended, because taking a machine down needs hardly any CPU time. Each phase has a deadline
 * of its own, after which the watchdog of the job kills the process group.
 */

#define FORK_LIMIT_NS  (90 * KT_NSEC_PER_SEC)
#define READY_LIMIT_NS (3600 * KT_NSEC_PER_SEC)

/* Runs in the forked process. */
static int attempt_entry(struct kt_job *job, int report_fd, int go_fd)
{
	const struct kt_run_job *attempt = (struct kt_run_job *)job;
	const struct kt_group *group = attempt->group;
	const struct kt_session session = {
		.setup = attempt->run->setup,
		.template = group->state == KT_GROUP_READY ? &group->template : NULL,
		.template_id = kt_group_template_id(group, attempt->run->setup),
		.outcome = &job->outcome,
		.report_fd = report_fd,
		.go_fd = go_fd,
		.wanted_ns = job->began_ns,
	};

	return kt_session_main(&session);
}

/* A run that was stopped and waits for its share has not got its clock right yet. */
static void on_slow(void *data)
{
	struct kt_run_job *attempt = data;
	struct kt_run *run = attempt->run;

	kt_timer_arm(run->loop, &attempt->slow, kt_now_ns() + run->options->slow_ns);
	if (run->suspended)
		return;
	kt_progress_clear(&run->progress);
	kt_run_note_fault(run, kt_reporters_slow(run->reporters, &attempt->job.outcome,
						 kt_now_ns() - attempt->told_ns));
}

/* Once for each attempt: one that dies before its turn is told when it has ended. */
static void tell_start(struct kt_run_job *attempt)
{
	struct kt_run *run = attempt->run;

	if (attempt->told_ns)
		return;
	attempt->told_ns = kt_now_ns();
	attempt->slow = (struct kt_timer){ .fn = on_slow, .data = attempt };
	kt_timer_arm(run->loop, &attempt->slow, attempt->told_ns + run->options->slow_ns);
	kt_run_note_fault(run, kt_reporters_start(run->reporters, &attempt->job.outcome));
}

/* The lowest number that no other attempt has now. */
static unsigned int free_slot(const struct kt_run *run, const struct kt_run_job *attempt)
{
	unsigned int slot = 0;

	for (const struct kt_run_job *at = run->jobs; at;) {
		bool taken = at != attempt && at->kind == KT_RUN_JOB_ATTEMPT &&
			     at->job.outcome.slot == slot;

		slot += taken;
		at = taken ? run->jobs : at->next;
	}
	return slot;
}

static void give_vcpus(struct kt_run_job *attempt)
{
	struct kt_run *run = attempt->run;

	kt_budget_give(run->budget, attempt->share.vcpus, 0, &attempt->share);
	run->schedule(run);
}

static void on_phase(struct kt_job *job)
{
	struct kt_run_job *attempt = (struct kt_run_job *)job;
	const struct kt_run *run = attempt->run;

	switch (job->phase) {
	case KT_PHASE_READY:
		kt_job_watch(job, READY_LIMIT_NS);
		if (attempt->is_warm)
			give_vcpus(attempt);
		break;
	case KT_PHASE_RUN:
		kt_job_watch(job, kt_setup_patience_ns(run->setup, job->outcome.test) +
					  KT_SESSION_SLACK_NS);
		break;
	case KT_PHASE_TEARDOWN:
		kt_job_watch(job, kt_setup_hang_limit_ns(run->setup, job->outcome.test,
							 KT_SESSION_SLACK_NS));
		/*
		 * With --max-fail this verdict may be the last one wanted: start nothing before
		 * it.
		 */
		if (!run->options->max_fail)
			give_vcpus(attempt);
		break;
	default:
		break;
	}
}

/*
 * Keeps the outcome for the report and puts the item first in the queue; false if there is no
 * retry.
 */
static bool retry(struct kt_run_job *attempt)
{
	struct kt_run *run = attempt->run;
	struct kt_outcome *outcome = &attempt->job.outcome;
	unsigned int retries =
		kt_override_retries(run->setup->overrides, outcome->test, run->options->retries);
	struct kt_outcome *kept;

	if (outcome->result.verdict <= KT_VERDICT_PASS || outcome->attempt > retries ||
	    run->stopping)
		return false;
	kt_progress_clear(&run->progress);
	kt_run_note_fault(run, kt_reporters_retry(run->reporters, outcome));
	kept = kt_outcome_take(outcome);
	if (!kept)
		return false;
	kept->previous = attempt->item->previous;
	attempt->item->previous = kept;
	attempt->item->attempt++;
	kt_queue_push_front(&run->queue, kt_steal(attempt->item));
	return true;
}

/* An attempt that the run has ended says which option has made it do so. */
static void explain_stop(const struct kt_run *run, struct kt_result *result)
{
	if (result->verdict != KT_VERDICT_ERROR || run->signal || !run->ending)
		return;
	kt_result_set_reason(result, run->timed_out ? "stopped by --global-timeout"
						    : "stopped by --max-fail");
}

static void on_ended(struct kt_job *job)
{
	struct kt_run_job *attempt = (struct kt_run_job *)job;
	struct kt_run *run = attempt->run;

	if (attempt->is_discarded) {
		kt_queue_push_front(&run->queue, kt_steal(attempt->item));
		kt_run_job_free(attempt);
		run->schedule(run);
		return;
	}
	tell_start(attempt);
	kt_run_note_fault(run, kt_baseline_judge(&run->baseline, &job->outcome));
	if (!retry(attempt)) {
		explain_stop(run, &job->outcome.result);
		job->outcome.previous = attempt->item->previous; /* borrowed for the report */
		kt_run_report(run, &job->outcome);
		job->outcome.previous = NULL;
	}
	kt_run_job_free(attempt);
	run->schedule(run);
}

static void on_paused(struct kt_job *job)
{
	struct kt_run *run = ((struct kt_run_job *)job)->run;

	run->schedule(run);
}

static const struct kt_job_events attempt_events = {
	.phase = on_phase,
	.paused = on_paused,
	.ended = on_ended,
};

/* The time limit from the fork until the process reports that its machine has its files. */
static uint64_t start_limit_ns(const struct kt_run *run, const struct kt_item *item)
{
	struct kt_packages packages = kt_cargo_packages(&run->setup->cargo, item->test);
	uint64_t limit_ns =
		item->group->state == KT_GROUP_READY
			? FORK_LIMIT_NS
			: kt_setup_boot_limit_ns(run->setup, item->test) + KT_SESSION_SLACK_NS;

	return kt_setup_hang_limit_ns(run->setup, item->test,
				      limit_ns + kt_setup_send_limit_ns(run->setup, packages));
}

void kt_attempt_start(struct kt_run *run, struct kt_item *item, struct kt_share share, bool warm)
{
	struct kt_run_job *attempt;
	struct kt_err err = KT_ERR_NULL;
	struct kt_outcome *outcome;
	int r = kt_run_job_new(run, KT_RUN_JOB_ATTEMPT, item->group, item->test, item->name,
			       &attempt_events, &attempt, &err);

	if (r < 0) {
		kt_budget_give(run->budget, share.vcpus, share.mib, &share);
		kt_run_report_item(run, item, KT_VERDICT_ERROR, err.text);
		kt_item_free(item);
		return;
	}
	run->started = true;
	run->first_ns = run->first_ns ?: kt_now_ns();
	attempt->item = item;
	attempt->share = share;
	attempt->is_warm = warm;
	outcome = &attempt->job.outcome;
	outcome->slot = free_slot(run, attempt);
	outcome->iteration = item->iteration;
	outcome->attempt = item->attempt;
	if (item->group->state == KT_GROUP_READY) {
		outcome->template_ram = item->group->template.ram_hash;
		outcome->template_is_own = item->group->is_own;
	}
	outcome->seed = kt_plan_seed(run->options, item->iteration, item->attempt);
	outcome->mips = kt_setup_mips(run->setup, item->test);
	if (kt_job_start(&attempt->job, attempt_entry, run->options->no_capture || run->setup->look,
			 warm, &err) < 0) {
		kt_run_report_item(run, item, KT_VERDICT_ERROR, err.text);
		kt_run_job_free(attempt);
		return;
	}
	kt_job_watch(&attempt->job, start_limit_ns(run, item));
	if (!warm)
		tell_start(attempt);
}

void kt_attempt_go(struct kt_run_job *attempt)
{
	kt_job_go(&attempt->job);
	tell_start(attempt);
}
