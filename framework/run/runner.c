/* SPDX-License-Identifier: MIT */
#include "framework/run/runner.h"

#include <errno.h>
#include <signal.h>

#include "framework/run/budget.h"
#include "framework/run/group.h"
#include "framework/run/job.h"
#include "framework/run/progress.h"
#include "framework/run/queue.h"
#include "framework/run/template.h"
#include "framework/session/session.h"
#include "framework/setup/limits.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/signals.h"

/*
 * The runner owns the loop of a run and its end. One thread waits for all: the processes and
 * pipes of the jobs, signals, the budget, and timers. framework/run/schedule.c decides what
 * starts.
 *
 * A run ends early by a signal, --global-timeout, --max-fail or a fault. It is stopping then:
 * nothing starts, the sessions are asked to end, and the loop goes on until all jobs have ended,
 * so that each attempt that had started is reported. No process may be left when kt_runner_run()
 * returns.
 */

#define KILL_AFTER_NS (500 * KT_NSEC_PER_MSEC) /* from asking a session to end to killing it */
#define REDRAW_NS     (100 * KT_NSEC_PER_MSEC)

/* ---- progress -------------------------------------------------------------------------------- */

/* Machines of the pool are not shown: their tests have not begun. */
static void draw_progress(struct kt_run *run)
{
	struct kt_progress_line lines[64];
	size_t n = 0;

	for (const struct kt_run_job *at = run->jobs; at && n < KT_ARRAY_LEN(lines);
	     at = at->next) {
		if (!at->is_warm)
			lines[n++] = (struct kt_progress_line){
				.name = at->kind == KT_RUN_JOB_TEMPLATE ? "template"
									: at->job.outcome.name,
				.phase = kt_phase_name(at->job.phase),
				.step = at->job.step,
				.began_ns = at->job.began_ns,
			};
	}
	kt_progress_draw(&run->progress, lines, n);
}

static void on_redraw(void *data)
{
	struct kt_run *run = data;

	draw_progress(run);
	kt_timer_arm(run->loop, &run->redraw, kt_now_ns() + REDRAW_NS);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void signal_jobs(const struct kt_run *run, int signal)
{
	kt_progress_clear(&runner->progress);
	(void)fprintf(stderr, "warning: %s\n", text);
}

static void note_fault(struct runner *runner, int r)
{
	if (r >= 0)
		return;
	runner->fault = r;
	runner->stopping = true;
}

static void report_final(struct runner *runner, const struct kt_outcome *outcome)
{
	const struct kt_options *options = runner->options;
	enum kt_verdict verdict = outcome->result.verdict;
	bool flaky = outcome->previous && verdict == KT_VERDICT_PASS;
	unsigned int failed;
	int r;

	runner->counts.total++;
	runner->counts.n_flaky += flaky;
	runner->counts.by_verdict[verdict]++;
	failed = runner->counts.by_verdict[KT_VERDICT_FAIL] +
		 runner->counts.by_verdict[KT_VERDICT_ERROR] +
		 runner->counts.by_verdict[KT_VERDICT_INCONCLUSIVE];
	runner->stopping |= options->max_fail && failed >= options->max_fail;
	runner->progress.done++;
	runner->progress.failed = failed;
	kt_progress_clear(&runner->progress);
	r = kt_reporters_outcome(runner->reporters, outcome);
	note_fault(runner, r);
}

/* For a test that ends without a process. */
static void report_without_job(struct runner *runner, const struct kt_item *item,
			       enum kt_verdict verdict, const char *reason)
{
	struct kt_outcome outcome = KT_OUTCOME_NULL;

	outcome.test = item->test;
	outcome.name = item->name;
	outcome.kernel = item->kernel;
	outcome.iteration = item->iteration;
	outcome.attempt = item->attempt;
	outcome.result.verdict = verdict;
	outcome.result.reason = (char *)reason;
	outcome.previous = item->previous;
	report_final(runner, &outcome);
}

/* ---- jobs ------------------------------------------------------------------------------------- */

static struct run_job *job_new(struct runner *runner, enum job_kind kind, struct kt_group *group,
			       const struct kt_test *test, const char *name,
			       const struct kt_job_events *events)
{
	enum kt_phase first = kind == JOB_ATTEMPT && group->state == KT_GROUP_READY ? KT_PHASE_FORK
										    : KT_PHASE_BOOT;
	struct run_job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->runner = runner;
	job->kind = kind;
	job->group = group;
	if (kt_job_init(&job->job, runner->loop, events, test, name, group->kernel, first, NULL) <
	    0) {
		kt_outcome_deinit(&job->job.outcome);
		free(job);
		return NULL;
	}
	*runner->jobs_end = job;
	runner->jobs_end = &job->next;
	return job;
}

/* Out of the list, and everything given back. */
static void job_free(struct run_job *job)
{
	struct runner *runner = job->runner;
	struct run_job **at = &runner->jobs;

	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	if (!*at)
		runner->jobs_end = at;
	kt_budget_give(runner->budget, job->share.vcpus, job->share.mib, &job->share);
	kt_item_free(job->item);
	kt_job_deinit(&job->job);
	free(job);
}

/* ---- templates -------------------------------------------------------------------------------- */

static int template_main(struct kt_job *job, int report_fd, int go_fd)
{
	const struct run_job *run = (struct run_job *)job;
	const struct kt_template_job spec = {
		.setup = run->runner->setup,
		.test = run->group->test,
		.kernel = run->group->kernel,
		.id = kt_group_template_id(run->group, run->runner->setup),
		.packages = run->group->packages,
		.outcome = &job->outcome,
		.report_fd = report_fd,
	};

	(void)go_fd;
	return kt_template_job_main(&spec);
}

static void fall_back(struct runner *runner, struct kt_group *group, const char *why)
{
	KT_FREE char *text = kt_format("no template, machines are booted instead: %s", why);

	group->state = KT_GROUP_COLD;
	warn(runner, text ?: why);
}

/* Without a template there is still the boot; without a guest there is nothing. */
static void on_template_ended(struct kt_job *job)
{
	struct run_job *run = (struct run_job *)job;
	struct runner *runner = run->runner;
	struct kt_group *group = run->group;
	struct kt_err err = KT_ERR_NULL;

	if (job->exit_code == KT_TEMPLATE_JOB_DONE) {
		kt_group_look(group, runner->setup, 0, &err);
		if (group->state != KT_GROUP_READY)
			fall_back(runner, group, err.text[0] ? err.text : "it is gone again");
	} else if (job->exit_code == KT_TEMPLATE_JOB_NO_GUEST) {
		group->state = KT_GROUP_FAILED;
		group->failure = kt_outcome_take(&job->outcome);
	} else if (!runner->stopping) {
		fall_back(runner, group, job->outcome.result.reason ?: "no reason given");
	}
	job_free(run);
	start_more(runner);
}

static const struct kt_job_events template_events = {
	.ended = on_template_ended,
};

/* A boot keeps one CPU busy, however many the machine has. */
static bool start_template(struct runner *runner, struct kt_group *group)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_share share = { 0, 0 };
	struct run_job *job;

	if (kt_setup_initramfs(runner->setup, &err) < 0) {
		fall_back(runner, group, err.text);
		return true;
	}
	if (!kt_budget_take(runner->budget, 1, kt_test_machine_mib(group->test), &share))
		return false;
	job = job_new(runner, JOB_TEMPLATE, group, group->test, group->test->name,
		      &template_events);
	if (!job) {
		note_fault(runner, -ENOMEM);
		return false;
	}
	job->share = share;
	group->state = KT_GROUP_BUILDING;
	if (kt_job_start(&job->job, template_main, false, false, &err) < 0) {
		fall_back(runner, group, err.text);
		job_free(job);
		return true;
	}
	kt_job_watch(&job->job,
		     kt_setup_boot_limit_ns(runner->setup, group->test) + TEMPLATE_LIMIT_NS);
	return true;
}

/* ---- attempts --------------------------------------------------------------------------------- */

static int attempt_main(struct kt_job *job, int report_fd, int go_fd)
{
	const struct run_job *run = (struct run_job *)job;
	const struct kt_session session = {
		.setup = run->runner->setup,
		.template = run->group->state == KT_GROUP_READY ? &run->group->template : NULL,
		.outcome = &job->outcome,
		.report_fd = report_fd,
		.go_fd = go_fd,
		.wanted_ns = job->began_ns,
	};

	return kt_session_main(&session);
}

static void on_attempt_phase(struct kt_job *job)
{
	struct run_job *run = (struct run_job *)job;
	struct runner *runner = run->runner;

	switch (job->phase) {
	case KT_PHASE_READY:
		kt_job_watch(job, READY_LIMIT_NS);
		if (!run->is_warm)
			break;
		/* Restoring took one, waiting takes none. */
		kt_budget_give(runner->budget, run->share.vcpus, 0, &run->share);
		start_more(runner);
		break;
	case KT_PHASE_RUN:
		kt_job_watch(job, kt_setup_run_limit_ns(runner->setup, job->outcome.test) +
					  SESSION_SLACK_NS);
		break;
	case KT_PHASE_TEARDOWN:
		kt_job_watch(job, POST_VM_LIMIT_NS + SESSION_SLACK_NS);
		if (runner->options->max_fail) /* the verdict may be the last one wanted */
			break;
		kt_budget_give(runner->budget, run->share.vcpus, 0, &run->share);
		start_more(runner);
		break;
	default:
		break;
	}
}

/* Keeps the outcome for the report, and lets the next attempt come first. */
static bool retry(struct run_job *run)
{
	struct runner *runner = run->runner;
	struct kt_outcome *outcome = &run->job.outcome;
	struct kt_outcome *kept;

	if (outcome->result.verdict <= KT_VERDICT_PASS ||
	    outcome->attempt > runner->options->retries || runner->stopping)
		return false;
	kt_progress_clear(&runner->progress);
	note_fault(runner, kt_reporters_retry(runner->reporters, outcome));
	kept = kt_outcome_take(outcome);
	if (!kept)
		return false;
	kept->previous = run->item->previous;
	run->item->previous = kept;
	run->item->attempt++;
	kt_queue_push_front(&runner->queue, kt_steal(run->item));
	return true;
}

static void on_attempt_ended(struct kt_job *job)
{
	struct run_job *run = (struct run_job *)job;
	struct runner *runner = run->runner;

	if (run->is_discarded) {
		kt_queue_push_front(&runner->queue, kt_steal(run->item));
	} else if (!retry(run)) {
		if (runner->timed_out && job->outcome.result.verdict == KT_VERDICT_ERROR)
			kt_result_set_reason(&job->outcome.result, "stopped by --global-timeout");
		job->outcome.previous = run->item->previous;
		report_final(runner, &job->outcome);
		job->outcome.previous = NULL;
	}
	job_free(run);
	start_more(runner);
}

static const struct kt_job_events attempt_events = {
	.phase = on_attempt_phase,
	.ended = on_attempt_ended,
};

/* Takes the item over. The share is the job's whatever happens. */
static void start_attempt(struct runner *runner, struct kt_item *item, struct kt_share share,
			  bool warm)
{
	struct run_job *job =
		job_new(runner, JOB_ATTEMPT, item->group, item->test, item->name, &attempt_events);
	struct kt_err err = KT_ERR_NULL;
	uint64_t limit_ns, packages;

	if (!job) {
		kt_budget_give(runner->budget, share.vcpus, share.mib, &share);
		kt_item_free(item);
		note_fault(runner, -ENOMEM);
		return;
	}
	runner->started = true;
	runner->first_ns = runner->first_ns ?: kt_now_ns();
	job->item = item;
	job->share = share;
	job->is_warm = warm;
	job->job.outcome.iteration = item->iteration;
	job->job.outcome.attempt = item->attempt;
	job->job.outcome.seed = kt_plan_seed(runner->options->seed, item->iteration, item->attempt);
	if (kt_job_start(&job->job, attempt_main, runner->options->no_capture, warm, &err) < 0) {
		report_without_job(runner, item, KT_VERDICT_ERROR, err.text);
		job_free(job);
		return;
	}
	limit_ns = item->group->state == KT_GROUP_READY
			   ? FORK_LIMIT_NS
			   : kt_setup_boot_limit_ns(runner->setup, item->test) + SESSION_SLACK_NS;
	packages = kt_cargo_packages(&runner->setup->cargo, item->test);
	kt_job_watch(&job->job, limit_ns + kt_setup_send_limit_ns(runner->setup, packages));
}

/* ---- the pool --------------------------------------------------------------------------------- */

static unsigned int count_warm(const struct runner *runner)
{
	unsigned int n = 0;

	for (const struct run_job *at = runner->jobs; at; at = at->next)
		n += at->is_warm;
	return n;
}

/* Hands the machines that are ready out, in order; false when one has to go on waiting. */
static bool hand_out(struct runner *runner)
{
	if (runner->stopping)
		return false;
	for (struct run_job *at = runner->jobs; at; at = at->next) {
		unsigned int vcpus;

		if (!at->is_warm)
			continue;
		vcpus = kt_budget_cap_vcpus(runner->budget, kt_test_vcpus(at->job.outcome.test));
		if (!kt_budget_complete(runner->budget, vcpus - KT_MIN(vcpus, at->share.vcpus), 0,
					&at->share))
			return false;
		at->is_warm = false;
		kt_job_go(&at->job);
	}
	return true;
}

/* Restores the machine of the next test ahead, on a CPU that is idle. */
static bool warm_up(struct runner *runner, struct kt_item **at)
{
	struct kt_share share = { 0, 0 };
	struct kt_item *item = *at;

	if (item->group->state != KT_GROUP_READY || runner->options->no_capture ||
	    count_warm(runner) >= runner->options->pool ||
	    !kt_budget_try(runner->budget, 1, kt_test_machine_mib(item->test), &share))
		return false;
	(void)kt_queue_take(&runner->queue, at);
	start_attempt(runner, item, share, true);
	return true;
}

static void discard_warm(struct runner *runner)
{
	for (struct run_job *at = runner->jobs; at; at = at->next) {
		if (at->is_warm) {
			at->is_warm = false;
			at->is_discarded = true;
			kt_job_signal(&at->job, SIGKILL);
		}
	}
}

/* ---- scheduling ------------------------------------------------------------------------------- */

enum step {
	STEP_AGAIN, /* something has changed: look from the front */
	STEP_NEXT,  /* this one cannot start yet, a later one may */
	STEP_STOP,  /* nothing can start now */
};

static enum step start_item(struct runner *runner, struct kt_item **at)
{
	struct kt_share share = { 0, 0 };
	struct kt_item *item = *at;

	if (runner->options->no_capture && runner->jobs)
		return STEP_STOP;
	if (!kt_budget_take(runner->budget, kt_test_vcpus(item->test),
			    kt_test_machine_mib(item->test), &share))
		return warm_up(runner, at) ? STEP_AGAIN : STEP_STOP;
	(void)kt_queue_take(&runner->queue, at);
	start_attempt(runner, item, share, false);
	return STEP_AGAIN;
}

static enum step drop_item(struct runner *runner, struct kt_item **at, enum kt_verdict verdict,
			   const char *reason)
{
	struct kt_item *item = *at;

	(void)kt_queue_take(&runner->queue, at);
	report_without_job(runner, item, verdict, reason);
	kt_item_free(item);
	return STEP_AGAIN;
}

/* Its tests end as the making of their template did, with its console. */
static enum step fail_item(struct runner *runner, struct kt_item **at)
{
	struct kt_item *item = *at;
	struct kt_outcome *failure = item->group->failure;

	if (!failure)
		return drop_item(runner, at, KT_VERDICT_ERROR, "the guest does not get up");
	(void)kt_queue_take(&runner->queue, at);
	failure->test = item->test;
	failure->name = item->name;
	failure->kernel = item->kernel;
	failure->iteration = item->iteration;
	failure->seed = kt_plan_seed(runner->options->seed, item->iteration, item->attempt);
	report_final(runner, failure);
	kt_item_free(item);
	return STEP_AGAIN;
}

static enum step step_item(struct runner *runner, struct kt_item **at)
{
	struct kt_group *group = (*at)->group;
	struct kt_err err = KT_ERR_NULL;

	if ((*at)->obstacle)
		return drop_item(runner, at, KT_VERDICT_SKIP, (*at)->obstacle);
	if ((*at)->fault)
		return drop_item(runner, at, KT_VERDICT_ERROR, (*at)->fault);
	if (group->state == KT_GROUP_NEW) {
		kt_group_look(group, runner->setup, count_attempts(runner, group), &err);
		if (err.text[0])
			warn(runner, err.text);
	}
	switch (group->state) {
	case KT_GROUP_READY:
	case KT_GROUP_COLD:
		return start_item(runner, at);
	case KT_GROUP_FAILED:
		return fail_item(runner, at);
	case KT_GROUP_MISSING:
		return start_template(runner, group) ? STEP_AGAIN : STEP_STOP;
	case KT_GROUP_NEW:
	case KT_GROUP_BUILDING:
		break;
	}
	return STEP_NEXT;
}

/* Somebody else's machines fill the host: say so once, or it looks like a hang. */
static void tell_waiting(struct runner *runner)
{
	if (!runner->jobs && runner->queue.first && !runner->told_waiting) {
		runner->told_waiting = true;
		warn(runner, "waiting for CPUs or memory that another run uses");
	}
}

/*
 * The event that a file was closed comes a moment before its locks are gone (Linux: fs/file_table.c,
 * __fput), so a look right now may be too early.
 */
static void on_budget(void *data, uint32_t events)
{
	struct runner *runner = data;

	(void)events;
	kt_budget_drain(runner->budget);
	kt_timer_arm(runner->loop, &runner->recheck, kt_now_ns() + RECHECK_NS);
	start_more(runner);
}

static void on_recheck(void *data)
{
	start_more(data);
}

/* From the first time that another run is in the way. What it gave back before that is looked for again. */
static void watch_budget(struct runner *runner)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (runner->budget_source.fd >= 0 || !kt_budget_is_contended(runner->budget))
		return;
	runner->budget_source.events = EPOLLIN;
	runner->budget_source.fn = on_budget;
	runner->budget_source.data = runner;
	r = kt_budget_watch(runner->budget, &runner->budget_source.fd, &err)
		    ?: kt_loop_add(runner->loop, &runner->budget_source);
	if (r < 0)
		note_fault(runner, r);
	kt_timer_arm(runner->loop, &runner->recheck, kt_now_ns());
}

static void add_round(struct runner *runner)
{
	runner->started = false;
	note_fault(runner, kt_queue_add_round(&runner->queue, runner->plan, &runner->groups,
					      runner->setup));
}

/* Starts what can be started now, the first in the queue first. */
static void start_items(struct runner *runner)
{
	struct kt_item **at = &runner->queue.first;

	while (!runner->stopping) {
		enum step step;

		if (!runner->queue.first && another_round(runner))
			add_round(runner);
		if (!*at)
			break;
		step = step_item(runner, at);
		if (step == STEP_STOP)
			break;
		at = step == STEP_AGAIN ? &runner->queue.first : &(*at)->next;
	}
}

static void start_more(struct runner *runner)
{
	if (hand_out(runner))
		start_items(runner);
	if (runner->stopping)
		discard_warm(runner);
	watch_budget(runner);
	tell_waiting(runner);
	if (!runner->jobs && (runner->stopping || !runner->queue.first))
		kt_loop_stop(runner->loop, 0);
}

/* ---- the end ---------------------------------------------------------------------------------- */

static void signal_jobs(const struct runner *runner, int signal)
{
	for (const struct run_job *at = runner->jobs; at; at = at->next)
		kt_job_signal(&at->job, signal);
}

static void on_kill(void *data)
{
	signal_jobs(data, SIGKILL);
}

/* Asks the sessions to end, which takes them milliseconds, and kills them later. */
static void stop_all(struct kt_run *run)
{
	run->stopping = true;
	signal_jobs(run, SIGTERM);
	kt_timer_arm(run->loop, &run->kill, kt_now_ns() + KILL_AFTER_NS);
	kt_schedule(run);
}

static void on_signal(void *data, uint32_t events)
{
	struct kt_run *run = data;
	int signal = kt_signals_take(&run->signals);

	(void)events;
	if (!signal)
		return;
	if (run->signal) { /* a second signal kills at once */
		signal_jobs(run, SIGKILL);
		return;
	}
	run->signal = signal;
	stop_all(run);
}

static void on_global_timeout(void *data)
{
	struct kt_run *run = data;

	run->timed_out = true;
	stop_all(run);
}

static int watch_signals(struct kt_run *run)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };

	run->signals = (struct kt_source){ .fd = -1, .fn = on_signal, .data = run };
	return kt_signals_watch(run->loop, &run->signals, signals, KT_ARRAY_LEN(signals));
}

/* ---- the run --------------------------------------------------------------------------------- */

static int run_init(struct kt_run *run, struct kt_err *reterr)
{
	int r = kt_loop_new(&run->loop);

	if (r == 0)
		r = watch_signals(run);
	if (r < 0)
		return kt_err_set(reterr, r, "cannot set up the runner: %m");
	run->recheck = (struct kt_timer){ .fn = kt_schedule_recheck, .data = run };
	run->redraw = (struct kt_timer){ .fn = on_redraw, .data = run };
	run->kill = (struct kt_timer){ .fn = on_kill, .data = run };
	run->global = (struct kt_timer){ .fn = on_global_timeout, .data = run };
	kt_progress_init(&run->progress, run->n_planned);
	return kt_budget_open(run->options->budget_vcpus, run->options->memory_budget_mib,
			      &run->budget, reterr);
}

static void run_deinit(struct kt_run *run)
{
	run->counts.n_not_run = kt_queue_deinit(&run->queue);
	/* Rounds that never came into the queue count too, if their number was given. */
	if (run->options->stress_count && !run->options->stress_duration_ns)
		run->counts.n_not_run = run->n_planned - run->counts.total;
	kt_groups_free(run->groups);
	kt_signals_unwatch(run->loop, &run->signals);
	run->budget = kt_budget_close(run->budget);
	run->loop = kt_loop_free(run->loop);
}

static int run_all(struct kt_run *run, struct kt_err *reterr)
{
	int r = 0;

	if (run->options->global_timeout_ns)
		kt_timer_arm(run->loop, &run->global,
			     run->began_ns + run->options->global_timeout_ns);
	if (run->progress.enabled && !run->options->no_capture)
		on_redraw(run);
	kt_schedule(run);
	if (run->jobs || (run->queue.first && !run->stopping))
		r = kt_loop_run(run->loop);
	kt_progress_clear(&run->progress);
	if (r < 0)
		return kt_err_set(reterr, r, "event loop: %m");
	return run->fault ? kt_err_set(reterr, run->fault, "reporting: %m") : 0;
}

int kt_runner_run(const struct kt_plan *plan, struct kt_setup *setup, struct kt_reporter *reporters,
		  struct kt_counts *ret_counts, int *ret_signal, struct kt_err *reterr)
{
	struct kt_run run = {
		.plan = plan,
		.setup = setup,
		.options = setup->options,
		.schedule = kt_schedule,
		.n_planned =
			(unsigned int)(plan->n * setup->n_kernels) * setup->options->stress_count,
		.reporters = reporters,
		.signals = KT_SOURCE_NULL,
		.budget_source = KT_SOURCE_NULL,
		.began_ns = kt_now_ns(),
	};
	int r;

	kt_queue_init(&run.queue);
	run.jobs_end = &run.jobs;
	r = run_init(&run, reterr) ?: run_all(&run, reterr);
	run_deinit(&run);
	run.counts.elapsed_ns = kt_now_ns() - run.began_ns;
	run.counts.interrupted = run.signal || run.timed_out;
	*ret_counts = run.counts;
	*ret_signal = run.signal;
	return r;
}
