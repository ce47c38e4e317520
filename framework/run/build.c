/* SPDX-License-Identifier: MIT */
#include "framework/run/build.h"

#include <errno.h>

#include "framework/run/template.h"
#include "framework/setup/limits.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define TEMPLATE_LIMIT_NS (180 * KT_NSEC_PER_SEC) /* beyond the boot: settling, saving, locks */

/* In the child. */
static int build_entry(struct kt_job *job, int report_fd, int go_fd)
{
	const struct kt_run_job *build = (struct kt_run_job *)job;
	const struct kt_template_job spec = {
		.setup = build->run->setup,
		.test = build->group->test,
		.kernel = build->group->kernel,
		.id = kt_group_template_id(build->group, build->run->setup),
		.packages = build->group->packages,
		.outcome = &job->outcome,
		.report_fd = report_fd,
	};

	(void)go_fd;
	return kt_template_job_main(&spec);
}

/*
 * The template is a matter of speed: without it the tests of the group boot and must pass as
 * well.
 */
static void fall_back(struct kt_run *run, struct kt_group *group, const char *why)
{
	KT_FREE char *text = kt_format("no template, machines are booted instead: %s", why);

	group->state = KT_GROUP_COLD;
	kt_run_warn(run, text ?: why);
}

/*
 * A template that cannot be built or stored costs time: the tests of the group boot. A guest that
 * does not get up in a build does not get up in a boot either, so the tests fail with the build's
 * outcome.
 */
static void on_ended(struct kt_job *job)
{
	struct kt_run_job *build = (struct kt_run_job *)job;
	struct kt_run *run = build->run;
	struct kt_group *group = build->group;
	struct kt_err err = KT_ERR_NULL;

	if (build->is_discarded && job->exit_code != KT_TEMPLATE_JOB_DONE) {
		group->state = KT_GROUP_MISSING;
	} else if (job->exit_code == KT_TEMPLATE_JOB_DONE) {
		kt_group_look(group, run->setup, 0, &err);
		if (group->state != KT_GROUP_READY)
			fall_back(run, group, err.text[0] ? err.text : "it has been removed again");
	} else if (job->exit_code == KT_TEMPLATE_JOB_NO_GUEST) {
		group->state = KT_GROUP_FAILED;
		group->failure = kt_outcome_take(&job->outcome);
	} else if (!run->stopping) {
		fall_back(run, group, job->outcome.result.reason ?: "no reason given");
	}
	kt_run_job_free(build);
	run->schedule(run);
}

static const struct kt_job_events build_events = {
	.ended = on_ended,
};

bool kt_build_start(struct kt_run *run, struct kt_group *group)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_share share = { 0, 0 };
	struct kt_run_job *build;
	uint64_t limit_ns;
	int r;

	/* Without an initramfs there is no guest, however it is started. */
	if (kt_setup_initramfs(run->setup, &err) < 0) {
		kt_group_fail(group, err.text);
		return true;
	}
	/* A boot keeps one CPU busy, however many vCPUs the machine has. */
	if (!kt_budget_take(run->budget, 1, kt_test_machine_mib(group->test), &share))
		return false;
	r = kt_run_job_new(run, KT_RUN_JOB_TEMPLATE, group, group->test, group->test->name,
			   &build_events, &build, &err);
	if (r < 0) {
		kt_budget_give(run->budget, share.vcpus, share.mib, &share);
		fall_back(run, group, err.text);
		return true;
	}
	build->share = share;
	group->state = KT_GROUP_BUILDING;
	if (kt_job_start(&build->job, build_entry, false, false, &err) < 0) {
		fall_back(run, group, err.text);
		kt_run_job_free(build);
		return true;
	}
	limit_ns = kt_setup_boot_limit_ns(run->setup, group->test) + TEMPLATE_LIMIT_NS;
	kt_job_watch(&build->job, kt_setup_hang_limit_ns(run->setup, group->test, limit_ns));
	return true;
}
