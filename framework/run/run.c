/* SPDX-License-Identifier: MIT */
#include "framework/run/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "framework/outcome/advice.h"

/* What attempts and builds have in common: the list of jobs, and how their ends are reported. */

int kt_run_job_new(struct kt_run *run, enum kt_run_job_kind kind, struct kt_group *group,
		   const struct kt_test *test, const char *name, const struct kt_job_events *events,
		   struct kt_run_job **ret_job, struct kt_err *reterr)
{
	bool forks = kind == KT_RUN_JOB_ATTEMPT && group->state == KT_GROUP_READY;
	struct kt_run_job *job = calloc(1, sizeof(*job));
	int r;

	if (!job)
		return kt_err_oom(reterr);
	job->run = run;
	job->kind = kind;
	job->group = group;
	r = kt_job_init(&job->job, run->loop, events, test, name, group->kernel,
			forks ? KT_PHASE_FORK : KT_PHASE_BOOT, reterr);
	if (r < 0) {
		kt_outcome_deinit(&job->job.outcome);
		free(job);
		return kt_advise(reterr, r);
	}
	*run->jobs_end = job;
	run->jobs_end = &job->next;
	*ret_job = job;
	return 0;
}

void kt_run_job_free(struct kt_run_job *job)
{
	struct kt_run *run = job->run;
	struct kt_run_job **at = &run->jobs;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	if (!*at)
		run->jobs_end = at;
	kt_budget_give(run->budget, job->share.vcpus, job->share.mib, &job->share);
	kt_timer_disarm(run->loop, &job->slow);
	kt_item_free(job->item);
	kt_job_deinit(&job->job);
	free(job);
}

/* The report is incomplete, so the run starts no more jobs. Jobs that run now are not stopped. */
void kt_run_note_fault(struct kt_run *run, int r)
{
	if (r >= 0)
		return;
	run->fault = r;
	run->stopping = true;
}

void kt_run_warn(struct kt_run *run, const char *text)
{
	kt_progress_clear(&run->progress);
	(void)fprintf(stderr, "warning: %s\n", text);
}

/* A test that passed after attempts that did not is flaky. It counts as passed too. */
void kt_run_report(struct kt_run *run, const struct kt_outcome *outcome)
{
	const unsigned int *by = run->counts.by_verdict;
	enum kt_verdict verdict = outcome->result.verdict;
	unsigned int max_fail = run->options->max_fail, failed;

	run->counts.total++;
	run->counts.n_flaky += outcome->previous && verdict == KT_VERDICT_PASS;
	run->counts.by_verdict[verdict]++;
	failed = by[KT_VERDICT_FAIL] + by[KT_VERDICT_ERROR] + by[KT_VERDICT_INCONCLUSIVE];
	run->failed_enough = max_fail && failed >= max_fail;
	run->stopping |= run->failed_enough;
	run->progress.done++;
	run->progress.failed = failed;
	kt_progress_clear(&run->progress);
	kt_run_note_fault(run, kt_reporters_outcome(run->reporters, outcome));
}

void kt_run_report_item(struct kt_run *run, const struct kt_item *item, enum kt_verdict verdict,
			const char *reason)
{
	struct kt_outcome outcome = KT_OUTCOME_NULL;

	outcome.test = item->test;
	outcome.name = item->name;
	outcome.kernel = item->kernel;
	outcome.iteration = item->iteration;
	outcome.attempt = item->attempt;
	outcome.seed = kt_plan_seed(run->options, item->iteration, item->attempt);
	outcome.result.verdict = verdict;
	outcome.result.reason = (char *)reason;
	outcome.previous = item->previous;
	kt_run_report(run, &outcome);
}
