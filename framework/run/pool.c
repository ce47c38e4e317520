/* SPDX-License-Identifier: MIT */
#include "framework/run/pool.h"

#include <signal.h>

#include "framework/run/attempt.h"
#include "framework/setup/time.h"
#include "guest/test/test.h"
#include "util/cleanup.h"

static unsigned int count_warm(const struct kt_run *run)
{
	unsigned int n = 0;

	for (const struct kt_run_job *at = run->jobs; at; at = at->next)
		n += at->is_warm;
	return n;
}

/* In order: a large machine at the front must not be overtaken by smaller ones behind it. */
bool kt_pool_hand_out(struct kt_run *run)
{
	if (run->stopping)
		return false;
	for (struct kt_run_job *at = run->jobs; at; at = at->next) {
		unsigned int vcpus;

		if (!at->is_warm)
			continue;
		vcpus = kt_budget_cap_vcpus(run->budget,
					    kt_setup_threads(run->setup, at->job.outcome.test));
		/* One that is still being restored has a vCPU already. */
		if (!kt_budget_complete(run->budget, vcpus - KT_MIN(vcpus, at->share.vcpus), 0,
					&at->share))
			return false;
		at->is_warm = false;
		kt_attempt_go(at);
	}
	return true;
}

bool kt_pool_warm_up(struct kt_run *run, struct kt_item **at)
{
	struct kt_share share = { 0, 0 };
	struct kt_item *item = *at;

	if (item->group->state != KT_GROUP_READY || run->options->no_capture ||
	    count_warm(run) >= run->options->pool ||
	    !kt_budget_try(run->budget, 1, kt_test_machine_mib(item->test), &share))
		return false;
	(void)kt_queue_take(&run->queue, at);
	kt_attempt_start(run, item, share, true);
	return true;
}

/* Nothing is lost by SIGKILL: the tests of these machines have not begun. */
void kt_pool_discard(struct kt_run *run)
{
	for (struct kt_run_job *at = run->jobs; at; at = at->next) {
		if (at->is_warm) {
			at->is_warm = false;
			at->is_discarded = true;
			kt_job_signal(&at->job, SIGKILL);
		}
	}
}
