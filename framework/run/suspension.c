/* SPDX-License-Identifier: MIT */
#include "framework/run/suspension.h"

#include <signal.h>
#include <unistd.h>

#include "framework/run/schedule.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * A suspended run is in one of two states. While it pauses, the jobs are asked to: a session pauses
 * its machine and says so; a template job is ended, and made again later. When all have paused, the
 * runner lends its vCPUs and stops itself with SIGSTOP, as the terminal expects. SIGCONT lets that
 * call return. Then the run reclaims its vCPUs, which others may be using, and lets the jobs go on.
 *
 * Every process leaves the time of the stop out of its own clock (kt_clock_skip()), which moves all
 * its deadlines at once. The runner's loop runs before that, while it reclaims: the deadlines of
 * the jobs and of the run are taken out of it meanwhile. A second SIGTSTP while the run reclaims
 * begins anew: the jobs are still paused.
 */

/*
 * For a session to pause its machine. That takes milliseconds, but a busy host can make it wait. A
 * session that is stopped instead does not know how long: its clock and its machine's count that.
 */
#define PAUSE_NS (10 * KT_NSEC_PER_SEC)

static bool all_paused(const struct kt_run *run)
{
	for (const struct kt_run_job *at = run->jobs; at; at = at->next) {
		if (!kt_job_is_paused(&at->job))
			return false;
	}
	return true;
}

/* The guest of a template boots and settles without hearing anybody; nothing is lost but time. */
static void pause_job(struct kt_run_job *job)
{
	if (job->kind != KT_RUN_JOB_TEMPLATE) {
		kt_job_pause(&job->job);
		return;
	}
	job->is_discarded = true;
	kt_job_signal(&job->job, SIGKILL);
}

void kt_suspension_begin(struct kt_run *run)
{
	if (run->suspended == KT_SUSPENSION_PAUSES || run->stopping)
		return;
	if (!run->suspended) {
		for (struct kt_run_job *at = run->jobs; at; at = at->next)
			pause_job(at);
		run->suspended_ns = kt_now_ns();
		run->global_left_ns =
			run->global.armed ? KT_MAX(kt_left_ns(run->global.due_ns), 1u) : 0;
		kt_timer_disarm(run->loop, &run->global);
	}
	run->suspended = KT_SUSPENSION_PAUSES;
	kt_timer_arm(run->loop, &run->stop, kt_now_ns() + PAUSE_NS);
	kt_suspension_go_on(run);
}

void kt_suspension_on_late(void *data)
{
	struct kt_run *run = data;

	for (struct kt_run_job *at = run->jobs; at; at = at->next) {
		if (!kt_job_is_paused(&at->job))
			kt_job_stop(&at->job);
	}
	if (run->suspended)
		kt_suspension_go_on(run);
}

/* Returns after SIGCONT. */
static void stop_self(struct kt_run *run)
{
	kt_timer_disarm(run->loop, &run->stop);
	kt_progress_clear(&run->progress);
	kt_keys_leave(&run->keys);
	kt_budget_lend(run->budget);
	(void)kill(getpid(), SIGSTOP);
	run->suspended = KT_SUSPENSION_RECLAIMS;
	run->told_waiting = false;
}

static void continue_jobs(struct kt_run *run)
{
	uint64_t now_ns = kt_now_ns();

	kt_timer_disarm(run->loop, &run->stop);
	kt_clock_skip(now_ns - run->suspended_ns);
	if (run->global_left_ns)
		kt_timer_arm(run->loop, &run->global, kt_now_ns() + run->global_left_ns);
	run->suspended = KT_SUSPENSION_NONE;
	for (struct kt_run_job *at = run->jobs; at; at = at->next)
		kt_job_continue(&at->job);
	kt_schedule(run);
}

void kt_suspension_go_on(struct kt_run *run)
{
	if (run->suspended == KT_SUSPENSION_PAUSES && !run->stopping && all_paused(run))
		stop_self(run);
	if (run->stopping ||
	    (run->suspended == KT_SUSPENSION_RECLAIMS && kt_budget_reclaim(run->budget)))
		continue_jobs(run);
	else if (run->suspended == KT_SUSPENSION_RECLAIMS)
		kt_schedule_await_budget(run);
}
