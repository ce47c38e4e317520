/* SPDX-License-Identifier: MIT */
#include "framework/run/runner.h"

#include <errno.h>
#include <signal.h>

#include "framework/outcome/advice.h"
#include "framework/run/run.h"
#include "framework/run/schedule.h"
#include "framework/run/suspension.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/signals.h"

/*
 * The runner owns the loop of a run and its end. One thread waits for all: the processes and
 * pipes of the jobs, signals, the budget, and timers. framework/run/schedule.c decides what
 * starts.
 *
 * A run ends early by a signal, --global-timeout, --max-fail or a fault. It is stopping then:
 * nothing starts, and the loop continues until all jobs have ended, so that each attempt that had
 * started is reported. A signal, --global-timeout and --max-fail N:immediate also ask the sessions
 * to end. No process may be left when kt_runner_run() returns.
 */

#define KILL_AFTER_NS (500 * KT_NSEC_PER_MSEC) /* from asking a session to end to killing it */
#define REDRAW_NS     (100 * KT_NSEC_PER_MSEC)

/* ---- progress -------------------------------------------------------------------------------- */

#define LINES_MAX 64u

/* Machines of the pool are not shown: their tests have not begun. */
static size_t list_running(const struct kt_run *run, struct kt_progress_line *lines)
{
	size_t n = 0;

	for (const struct kt_run_job *at = run->jobs; at && n < LINES_MAX; at = at->next) {
		if (!at->is_warm)
			lines[n++] = (struct kt_progress_line){
				.name = at->kind == KT_RUN_JOB_TEMPLATE ? "template"
									: at->job.outcome.name,
				.phase = kt_phase_name(at->job.phase),
				.step = at->job.step,
				.began_ns = at->job.began_ns,
			};
	}
	return n;
}

static void draw_progress(struct kt_run *run)
{
	struct kt_progress_line lines[LINES_MAX];
	size_t n = list_running(run, lines);

	kt_progress_draw(&run->progress, lines, n);
}

static void tell_progress(struct kt_run *run)
{
	struct kt_progress_line lines[LINES_MAX];
	size_t n = list_running(run, lines);

	kt_progress_tell(&run->progress, lines, n);
}

static void on_redraw(void *data)
{
	struct kt_run *run = data;

	kt_keys_take(&run->keys);
	draw_progress(run);
	kt_timer_arm(run->loop, &run->redraw, kt_now_ns() + REDRAW_NS);
}

/* The keys of cargo-nextest. */
static void on_key(void *data, char key)
{
	if (key == 't')
		tell_progress(data);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void signal_jobs(const struct kt_run *run, int signal)
{
	for (const struct kt_run_job *at = run->jobs; at; at = at->next)
		kt_job_signal(&at->job, signal);
}

static void on_kill(void *data)
{
	signal_jobs(data, SIGKILL);
}

/* Asks the sessions to end, which takes them milliseconds, and kills them later. */
static void stop_all(struct kt_run *run)
{
	run->stopping = run->ending = true;
	signal_jobs(run, SIGTERM);
	kt_timer_arm(run->loop, &run->kill, kt_now_ns() + KILL_AFTER_NS);
	run->schedule(run);
}

/* A second signal kills at once. */
static void end_by_signal(struct kt_run *run, int signal)
{
	if (run->signal) {
		signal_jobs(run, SIGKILL);
		return;
	}
	run->signal = signal;
	stop_all(run);
}

static void on_signal(void *data, uint32_t events)
{
	struct kt_run *run = data;
	int signal = kt_signals_take(&run->signals);

	(void)events;
	if (!signal)
		return;
	if (signal == SIGUSR1)
		tell_progress(run);
	else if (signal == SIGWINCH)
		draw_progress(run);
	else if (signal == SIGCONT)
		kt_keys_take(&run->keys);
	else if (signal == SIGTSTP)
		kt_suspension_begin(run);
	else
		end_by_signal(run, signal);
}

static void on_global_timeout(void *data)
{
	struct kt_run *run = data;

	run->timed_out = true;
	stop_all(run);
}

/* A process that was started with SIGTSTP ignored cannot be stopped by it. */
static int watch_signals(struct kt_run *run)
{
	static const int signals[] = {
		SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGCONT, SIGWINCH, SIGTSTP
	};
	size_t n = KT_ARRAY_LEN(signals);
	struct sigaction action;

	if (sigaction(SIGTSTP, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		n--;
	run->signals = (struct kt_source){ .fd = -1, .fn = on_signal, .data = run };
	return kt_signals_watch(run->loop, &run->signals, signals, n);
}

/* Starts what can start now. A suspended run starts nothing. */
static void schedule(struct kt_run *run)
{
	if (run->suspended)
		kt_suspension_go_on(run);
	else
		kt_schedule(run);
	if (run->failed_enough && run->options->max_fail_at_once && !run->ending)
		stop_all(run);
}

/* ---- the run --------------------------------------------------------------------------------- */

static int run_init(struct kt_run *run, struct kt_err *reterr)
{
	struct kt_err warning = KT_ERR_NULL;
	int r = kt_loop_new(&run->loop);

	if (r == 0)
		r = watch_signals(run);
	if (r < 0)
		return kt_err_set(reterr, r, "cannot set up the runner: %m");
	run->recheck = (struct kt_timer){ .fn = kt_schedule_recheck, .data = run };
	run->redraw = (struct kt_timer){ .fn = on_redraw, .data = run };
	run->kill = (struct kt_timer){ .fn = on_kill, .data = run };
	run->global = (struct kt_timer){ .fn = on_global_timeout, .data = run };
	run->tell = (struct kt_timer){ .fn = kt_schedule_tell, .data = run };
	run->stop = (struct kt_timer){ .fn = kt_suspension_on_late, .data = run };
	/* What guests write as it comes would be written into the bar. */
	kt_progress_init(&run->progress,
			 run->options->no_capture ? KT_PROGRESS_NONE : run->options->show_progress,
			 run->n_planned);
	kt_keys_init(&run->keys, run->loop, !run->options->no_input_handler, on_key, run);
	r = kt_budget_open(run->options->budget_vcpus, run->options->memory_budget_mib,
			   &run->budget, &warning);
	if (r < 0 && reterr)
		*reterr = warning;
	else if (r == 0 && warning.text[0])
		kt_run_warn(run, warning.text);
	return r;
}

static bool has_gates(const struct kt_plan *plan)
{
	size_t i = 0;

	while (i < plan->n && !plan->tests[i]->perf)
		i++;
	return i < plan->n;
}

/* A run without gates is warned, not refused: a project's file may name a baseline for all runs. */
static int read_baseline(struct kt_run *run, struct kt_err *reterr)
{
	const char *path = run->options->baseline;

	if (!path)
		return 0;
	if (!has_gates(run->plan))
		kt_run_warn(run, "--baseline judges nothing: no test of this run has .perf");
	return kt_baseline_read(&run->baseline, path, reterr);
}

static void run_deinit(struct kt_run *run)
{
	kt_baseline_deinit(&run->baseline);
	run->counts.n_not_run = kt_queue_deinit(&run->queue);
	/* Rounds that never came into the queue count too, if their number was given. */
	if (run->options->stress_count && !run->options->stress_duration_ns)
		run->counts.n_not_run = run->n_planned - run->counts.total;
	kt_groups_free(run->groups);
	kt_keys_leave(&run->keys);
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
	kt_keys_take(&run->keys);
	if (run->progress.enabled)
		on_redraw(run);
	schedule(run);
	if (run->jobs || ((run->queue.first || run->paced) && !run->stopping))
		r = kt_loop_run(run->loop);
	kt_progress_clear(&run->progress);
	if (r < 0)
		return kt_err_set(reterr, r, "event loop: %m");
	return run->fault ? kt_err_set(reterr, run->fault, "the run cannot go on: %m") : 0;
}

int kt_runner_run(const struct kt_plan *plan, struct kt_setup *setup, struct kt_reporter *reporters,
		  struct kt_counts *ret_counts, int *ret_signal, struct kt_err *reterr)
{
	struct kt_run run = {
		.plan = plan,
		.setup = setup,
		.options = setup->options,
		.schedule = schedule,
		.n_planned = kt_queue_round_len(plan, setup) * setup->options->stress_count,
		.reporters = reporters,
		.signals = KT_SOURCE_NULL,
		.keys = KT_KEYS_NULL,
		.budget_source = KT_SOURCE_NULL,
		.began_ns = kt_now_ns(),
	};
	int r;

	kt_queue_init(&run.queue);
	run.jobs_end = &run.jobs;
	r = kt_advise(reterr, run_init(&run, reterr))
		    ?: read_baseline(&run, reterr) ?: run_all(&run, reterr);
	run_deinit(&run);
	run.counts.elapsed_ns = kt_now_ns() - run.began_ns;
	/* A run that ends early for another reason than its report is an error of the harness. */
	run.counts.interrupted = run.signal || run.timed_out || (r < 0 && !run.fault);
	*ret_counts = run.counts;
	*ret_signal = run.signal;
	return r;
}
