/* SPDX-License-Identifier: MIT */
#include "framework/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framework/progress.h"
#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define KILL_AFTER_NS    (500 * KT_NSEC_PER_MSEC) /* from asking a session to end to killing it */
#define REDRAW_NS        (100 * KT_NSEC_PER_MSEC)
#define POST_VM_LIMIT_NS (60 * KT_NSEC_PER_SEC)
#define SESSION_SLACK_NS (15 * KT_NSEC_PER_SEC) /* beyond the session's own deadlines */

/*
 * One thread, one loop. An attempt is a process in a group of its own (with its machine), a pipe
 * that tells its phases and at last its outcome, and captures that survive it. It has ended when
 * both the process and the pipe have; what is missing then is the session's death, an ERROR.
 */
struct attempt {
	struct attempt *next;
	struct runner *runner;
	struct kt_outcome outcome;
	unsigned int vcpus;
	pid_t pid;
	struct kt_source process; /* a pidfd */
	struct kt_source pipe;
	struct kt_timer watchdog;
	struct kt_buffer in; /* read, and not a whole line yet */
	uint64_t began_ns;
	const char *phase;
	int step;
	bool has_outcome;
	int status; /* of the process */
	bool hung;  /* killed by the watchdog */
};

struct runner {
	const struct kt_selection *selection;
	const struct kt_options *options;
	const struct kt_session_config *config;
	struct kt_reporter *reporters;
	struct kt_loop *loop;
	struct kt_source signals;
	struct kt_timer redraw;
	struct kt_timer kill;
	struct kt_progress progress;
	struct attempt *running;
	size_t n_running;
	unsigned int vcpus_running;
	size_t next; /* index of the next test to start */
	unsigned int iteration;
	struct kt_counts counts;
	int signal; /* that asked the run to end */
	int fault;  /* of a reporter */
};

static bool may_start(const struct runner *runner)
{
	const struct kt_counts *counts = &runner->counts;
	unsigned int failed = counts->by_verdict[KT_VERDICT_FAIL] +
			      counts->by_verdict[KT_VERDICT_ERROR] +
			      counts->by_verdict[KT_VERDICT_INCONCLUSIVE];

	return !runner->signal && runner->iteration <= runner->options->stress_count &&
	       !(runner->options->max_fail && failed >= runner->options->max_fail);
}

static void draw_progress(struct runner *runner)
{
	KT_FREE struct kt_progress_line *lines = calloc(runner->n_running + 1, sizeof(*lines));
	size_t n = 0;

	if (!lines)
		return;
	for (const struct attempt *at = runner->running; at; at = at->next)
		lines[n++] = (struct kt_progress_line){
			.name = at->outcome.test->name,
			.phase = at->phase,
			.step = at->step,
			.began_ns = at->began_ns,
		};
	kt_progress_draw(&runner->progress, lines, n);
}

static void on_redraw(void *data)
{
	struct runner *runner = data;

	draw_progress(runner);
	kt_timer_arm(runner->loop, &runner->redraw, kt_now_ns() + REDRAW_NS);
}

static void report_outcome(struct runner *runner, const struct kt_outcome *outcome)
{
	enum kt_verdict verdict = outcome->result.verdict;
	int r;

	runner->counts.total++;
	runner->counts.by_verdict[verdict]++;
	runner->progress.done++;
	runner->progress.failed += verdict > KT_VERDICT_PASS;
	kt_progress_clear(&runner->progress);
	r = kt_reporters_outcome(runner->reporters, outcome);
	if (r < 0)
		runner->fault = r;
}

static void attempt_free(struct attempt *attempt)
{
	struct runner *runner = attempt->runner;

	kt_timer_disarm(runner->loop, &attempt->watchdog);
	kt_buffer_deinit(&attempt->in);
	kt_outcome_deinit(&attempt->outcome);
	free(attempt);
}

static void explain_lost_session(struct attempt *attempt)
{
	struct kt_result *result = &attempt->outcome.result;
	struct kt_err text;

	if (attempt->hung)
		(void)kt_err_set(&text, 0,
				 "the session hung in phase %s (.post_vm included) and was killed",
				 attempt->phase);
	else if (WIFSIGNALED(attempt->status))
		(void)kt_err_set(&text, 0, "the session died in phase %s: signal %d (%s)",
				 attempt->phase, WTERMSIG(attempt->status),
				 strsignal(WTERMSIG(attempt->status)));
	else
		(void)kt_err_set(&text, 0,
				 "the session ended in phase %s with status %d and no outcome",
				 attempt->phase, WEXITSTATUS(attempt->status));
	kt_result_merge(result, KT_VERDICT_ERROR, text.text);
}

static void start_more(struct runner *runner);

static void attempt_end(struct attempt *attempt)
{
	struct runner *runner = attempt->runner;
	struct attempt **at = &runner->running;

	while (*at != attempt)
		at = &(*at)->next;
	*at = attempt->next;
	runner->n_running--;
	runner->vcpus_running -= attempt->vcpus;
	attempt->outcome.total_ns = kt_now_ns() - attempt->began_ns;
	if (!attempt->has_outcome)
		explain_lost_session(attempt);
	/* Whatever the session has left behind in its group: a machine, children of .post_vm. */
	(void)kill(-attempt->pid, SIGKILL);
	report_outcome(runner, &attempt->outcome);
	attempt_free(attempt);
	start_more(runner);
	if (!runner->running)
		kt_loop_stop(runner->loop, 0);
}

static void end_if_complete(struct attempt *attempt)
{
	if (attempt->process.fd < 0 && attempt->pipe.fd < 0)
		attempt_end(attempt);
}

static void on_process(void *data, uint32_t events)
{
	struct attempt *attempt = data;
	int fd = attempt->process.fd;

	(void)events;
	while (waitpid(attempt->pid, &attempt->status, 0) < 0 && errno == EINTR)
		;
	kt_loop_remove(attempt->runner->loop, &attempt->process);
	(void)kt_close(fd);
	end_if_complete(attempt);
}

static void on_watchdog(void *data)
{
	struct attempt *attempt = data;

	attempt->hung = true;
	(void)kill(-attempt->pid, SIGKILL);
}

static void watch(struct attempt *attempt, uint64_t limit_ns)
{
	kt_timer_arm(attempt->runner->loop, &attempt->watchdog,
		     kt_now_ns() + limit_ns + SESSION_SLACK_NS);
}

static const char *after(const char *line, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(line, prefix, len) ? NULL : line + len;
}

static void set_phase(struct attempt *attempt, const char *name)
{
	const struct kt_session_config *config = attempt->runner->config;

	for (int i = 0; i < KT_N_PHASES; i++) {
		if (!strcmp(name, kt_phase_name((enum kt_phase)i)))
			attempt->phase = kt_phase_name((enum kt_phase)i);
	}
	attempt->step = -1;
	if (attempt->phase == kt_phase_name(KT_PHASE_RUN))
		watch(attempt, kt_session_run_limit_ns(config, attempt->outcome.test));
	else if (attempt->phase == kt_phase_name(KT_PHASE_TEARDOWN))
		watch(attempt, POST_VM_LIMIT_NS);
}

static void on_line(struct attempt *attempt, const char *line)
{
	const char *text;

	if ((text = after(line, KT_SESSION_PHASE)))
		set_phase(attempt, text);
	else if ((text = after(line, KT_SESSION_STEP)))
		attempt->step = atoi(text);
	else if ((text = after(line, KT_SESSION_OUTCOME)))
		attempt->has_outcome =
			kt_outcome_decode(text, strlen(text), &attempt->outcome, NULL) == 0;
}

static void on_pipe(void *data, uint32_t events)
{
	struct attempt *attempt = data;
	int fd = attempt->pipe.fd;
	char bytes[16384];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	(void)events;
	if (n > 0 && kt_buffer_append(&attempt->in, bytes, (size_t)n) == 0) {
		size_t used;

		while ((used = kt_buffer_line(&attempt->in))) {
			on_line(attempt, attempt->in.data);
			kt_buffer_consume(&attempt->in, used);
		}
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	kt_loop_remove(attempt->runner->loop, &attempt->pipe);
	(void)kt_close(fd);
	end_if_complete(attempt);
}

__attribute__((noreturn)) static void session_process(struct attempt *attempt, pid_t parent,
						      int report_fd)
{
	sigset_t none;

	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (!attempt->runner->config->no_capture) {
		(void)fcntl(attempt->outcome.host.fd, F_SETFL, O_APPEND);
		(void)dup2(attempt->outcome.host.fd, STDOUT_FILENO);
		(void)dup2(attempt->outcome.host.fd, STDERR_FILENO);
	}
	_exit(kt_session_main(attempt->runner->config, &attempt->outcome, report_fd));
}

static int watch_attempt(struct attempt *attempt, int pipe_fd)
{
	struct runner *runner = attempt->runner;
	int pidfd = (int)syscall(SYS_pidfd_open, attempt->pid, 0);

	attempt->process = (struct kt_source){
		.fd = pidfd,
		.events = EPOLLIN,
		.fn = on_process,
		.data = attempt,
	};
	attempt->pipe = (struct kt_source){
		.fd = pipe_fd,
		.events = EPOLLIN,
		.fn = on_pipe,
		.data = attempt,
	};
	if (pidfd < 0)
		return -errno;
	return kt_loop_add(runner->loop, &attempt->process)
		       ?: kt_loop_add(runner->loop, &attempt->pipe);
}

static int attempt_start(struct attempt *attempt)
{
	pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	(void)fflush(NULL);
	attempt->pid = fork();
	if (attempt->pid == 0)
		session_process(attempt, parent, ends[1]);
	(void)kt_close(ends[1]);
	if (attempt->pid < 0) {
		(void)kt_close(ends[0]);
		return -errno;
	}
	(void)setpgid(attempt->pid,
		      attempt->pid); /* here too: kill(-pid) must not come too early */
	return watch_attempt(attempt, ends[0]);
}

static void launch(struct runner *runner, const struct kt_test *test, unsigned int vcpus)
{
	struct attempt *attempt = calloc(1, sizeof(*attempt));
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (!attempt || kt_outcome_init(&attempt->outcome, test, &err) < 0) {
		runner->fault = -ENOMEM;
		runner->signal = SIGABRT; /* nothing more can be started */
		free(attempt);
		return;
	}
	attempt->runner = runner;
	attempt->outcome.iteration = runner->iteration;
	attempt->vcpus = vcpus;
	attempt->began_ns = kt_now_ns();
	attempt->phase = kt_phase_name(KT_PHASE_BOOT);
	attempt->step = -1;
	attempt->watchdog = (struct kt_timer){ .fn = on_watchdog, .data = attempt };
	attempt->process = attempt->pipe = KT_SOURCE_NULL;
	r = attempt_start(attempt);
	if (r < 0) {
		kt_result_merge(&attempt->outcome.result, KT_VERDICT_ERROR, strerror(-r));
		report_outcome(runner, &attempt->outcome);
		attempt_free(attempt);
		return;
	}
	attempt->next = runner->running;
	runner->running = attempt;
	runner->n_running++;
	runner->vcpus_running += vcpus;
	watch(attempt, runner->config->boot_timeout_ns);
}

static void skip_disabled(struct runner *runner, const struct kt_test *test)
{
	KT_FREE char *reason = kt_format("disabled: %s", test->disabled);
	struct kt_outcome outcome = {
		.test = test,
		.iteration = runner->iteration,
		.result = { .verdict = KT_VERDICT_SKIP, .reason = reason },
		.out = KT_CAPTURE_NULL,
		.err = KT_CAPTURE_NULL,
		.console = KT_CAPTURE_NULL,
		.dmesg = KT_CAPTURE_NULL,
		.host = KT_CAPTURE_NULL,
	};

	report_outcome(runner, &outcome);
}

static void advance(struct runner *runner)
{
	if (++runner->next == runner->selection->n) {
		runner->next = 0;
		runner->iteration++;
	}
}

/* As many as the budget of virtual CPUs allows; one that is larger than it runs alone. */
static void start_more(struct runner *runner)
{
	while (may_start(runner)) {
		const struct kt_test *test = runner->selection->tests[runner->next];
		struct kt_machine_topology topology = kt_session_topology(test);
		unsigned int vcpus = topology.llcs * topology.cores * topology.threads;

		if (test->disabled) {
			skip_disabled(runner, test);
			advance(runner);
			continue;
		}
		if (runner->n_running &&
		    (runner->options->no_capture ||
		     runner->vcpus_running + vcpus > runner->options->budget_vcpus))
			return;
		launch(runner, test, vcpus);
		advance(runner);
	}
}

static void signal_sessions(const struct runner *runner, int signal)
{
	for (const struct attempt *at = runner->running; at; at = at->next)
		(void)kill(signal == SIGKILL ? -at->pid : at->pid, signal);
}

static void on_kill(void *data)
{
	signal_sessions(data, SIGKILL);
}

/* The first asks the sessions to end, which takes them milliseconds; the second does not ask. */
static void on_signal(void *data, uint32_t events)
{
	struct runner *runner = data;
	struct signalfd_siginfo info;

	(void)events;
	if (read(runner->signals.fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
		return;
	if (runner->signal) {
		signal_sessions(runner, SIGKILL);
		return;
	}
	runner->signal = (int)info.ssi_signo;
	signal_sessions(runner, SIGTERM);
	kt_timer_arm(runner->loop, &runner->kill, kt_now_ns() + KILL_AFTER_NS);
	if (!runner->running)
		kt_loop_stop(runner->loop, 0);
}

static int runner_init(struct runner *runner, bool color, struct kt_err *reterr)
{
	sigset_t set;
	int r;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	r = kt_loop_new(&runner->loop);
	if (r < 0)
		return kt_err_set(reterr, r, "cannot set up the runner: %m");
	runner->signals = (struct kt_source){
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.events = EPOLLIN,
		.fn = on_signal,
		.data = runner,
	};
	r = runner->signals.fd < 0 ? -errno : kt_loop_add(runner->loop, &runner->signals);
	if (r < 0)
		return kt_err_set(reterr, r, "cannot watch for signals: %m");
	runner->redraw = (struct kt_timer){ .fn = on_redraw, .data = runner };
	runner->kill = (struct kt_timer){ .fn = on_kill, .data = runner };
	kt_progress_init(&runner->progress, color,
			 (unsigned int)runner->selection->n * runner->options->stress_count);
	return 0;
}

int kt_runner_run(const struct kt_selection *selection, const struct kt_options *options,
		  const struct kt_session_config *config, struct kt_reporter *reporters, bool color,
		  struct kt_counts *ret_counts, int *ret_signal, struct kt_err *reterr)
{
	struct runner runner = {
		.selection = selection,
		.options = options,
		.config = config,
		.reporters = reporters,
		.signals = KT_SOURCE_NULL,
		.iteration = 1,
	};
	uint64_t began_ns = kt_now_ns();
	int r;

	r = runner_init(&runner, color, reterr);
	if (r == 0) {
		start_more(&runner);
		if (runner.progress.enabled && !options->no_capture)
			on_redraw(&runner);
		if (runner.running)
			r = kt_loop_run(runner.loop);
		if (r < 0)
			(void)kt_err_set(reterr, r, "event loop: %m");
	}
	kt_progress_clear(&runner.progress);
	(void)kt_close(runner.signals.fd);
	runner.loop = kt_loop_free(runner.loop);
	runner.counts.elapsed_ns = kt_now_ns() - began_ns;
	runner.counts.interrupted = runner.signal;
	*ret_counts = runner.counts;
	*ret_signal = runner.signal;
	if (r == 0 && runner.fault)
		return kt_err_set(reterr, runner.fault, "reporting: %m");
	return r;
}
