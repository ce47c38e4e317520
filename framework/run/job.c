/* SPDX-License-Identifier: MIT */
#include "framework/run/job.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framework/outcome/advice.h"
#include "framework/run/keys.h"
#include "framework/session/session.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * All state changes in callbacks of the runner's loop: the pidfd tells the exit, the pipe tells
 * the rest, and the watchdog kills a job that hangs. The exit and the end of the pipe come in any
 * order. end_if_complete() waits for both, because the last lines may still be in the pipe when
 * the process is gone; it calls the event "ended" exactly once.
 */

int kt_job_init(struct kt_job *job, struct kt_loop *loop, const struct kt_job_events *events,
		const struct kt_test *test, const char *name, const struct kt_kernel *kernel,
		enum kt_phase first_phase, struct kt_err *reterr)
{
	int r;

	*job = (struct kt_job){
		.loop = loop,
		.events = events,
		.phase = first_phase,
		.step = -1,
		.began_ns = kt_now_ns(),
		.exit_code = -1,
		.go_fd = -1,
		.process = KT_SOURCE_NULL,
		.pipe = KT_SOURCE_NULL,
		.in = KT_BUFFER_NULL,
	};
	r = kt_outcome_init(&job->outcome, test, reterr);
	job->outcome.began_ns = job->began_ns;
	job->outcome.name = name;
	job->outcome.kernel = kernel;
	return r;
}

void kt_job_deinit(struct kt_job *job)
{
	kt_timer_disarm(job->loop, &job->watchdog);
	job->go_fd = kt_close(job->go_fd);
	kt_steal_deinit(&job->steal);
	kt_buffer_deinit(&job->in);
	kt_outcome_deinit(&job->outcome);
}

/* Makes the outcome of a process that reported none an ERROR, which says how the process died. */
static void explain_death(struct kt_job *job)
{
	const char *phase = kt_phase_name(job->phase);
	struct kt_err text;

	if (job->hung && job->in_post_vm)
		(void)kt_err_set(&text, 0, ".post_vm did not return within %u s and was killed",
				 (unsigned int)(KT_POST_VM_LIMIT_NS / KT_NSEC_PER_SEC));
	else if (job->hung)
		(void)kt_err_set(&text, 0, "the session hung in phase %s and was killed", phase);
	else if (WIFSIGNALED(job->status))
		(void)kt_err_set(&text, 0, "the session died in phase %s: signal %d (%s)", phase,
				 WTERMSIG(job->status), strsignal(WTERMSIG(job->status)));
	else
		(void)kt_err_set(&text, 0,
				 "the session ended in phase %s with status %d and no outcome",
				 phase, WEXITSTATUS(job->status));
	kt_result_merge(&job->outcome.result, KT_VERDICT_ERROR, text.text);
}

static void end_if_complete(struct kt_job *job)
{
	if (job->process.fd >= 0 || job->pipe.fd >= 0)
		return;
	kt_timer_disarm(job->loop, &job->watchdog);
	/* The time in the pool is not the test's: the phase READY does not count. */
	job->outcome.total_ns = kt_now_ns() - job->began_ns - job->outcome.phase_ns[KT_PHASE_READY];
	if (!job->has_outcome)
		explain_death(job);
	kt_snapshots_scan(&job->outcome.snapshots);
	job->events->ended(job);
}

/*
 * The process may have left others in its group: a machine, children of .post_vm. They are killed
 * while the dead leader still holds its number: once it is reaped, the number may be a stranger's.
 */
static void reap(struct kt_job *job)
{
	siginfo_t info;

	while (waitid(P_PID, (id_t)job->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		;
	(void)kill(-job->pid, SIGKILL);
	while (waitpid(job->pid, &job->status, 0) < 0 && errno == EINTR)
		;
	job->pid = 0;
}

static void on_process(void *data, uint32_t events)
{
	struct kt_job *job = data;
	int fd = job->process.fd;

	(void)events;
	reap(job);
	if (WIFEXITED(job->status))
		job->exit_code = WEXITSTATUS(job->status);
	kt_loop_remove(job->loop, &job->process);
	(void)kt_close(fd);
	end_if_complete(job);
}

static void on_watchdog(void *data)
{
	struct kt_job *job = data;
	uint64_t left_ns;

	left_ns = kt_left_ns(job->watchdog.due_ns + kt_steal_again(&job->steal, -job->pid));
	if (left_ns) {
		kt_job_watch(job, left_ns);
		return;
	}
	job->hung = true;
	kt_job_signal(job, SIGKILL);
}

static const char *after(const char *line, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(line, prefix, len) ? NULL : line + len;
}

/* An unknown name changes nothing but the step. */
static void set_phase(struct kt_job *job, const char *name)
{
	for (int i = 0; i < KT_N_PHASES; i++) {
		if (!strcmp(name, kt_phase_name((enum kt_phase)i)))
			job->phase = (enum kt_phase)i;
	}
	job->outcome.phase_began_ns[job->phase] = kt_now_ns();
	job->step = -1;
	if (job->events->phase)
		job->events->phase(job);
}

/* Ignores an outcome that cannot be decoded: explain_death() then reports the failure. */
static void on_line(struct kt_job *job, const char *line)
{
	const char *text;

	if ((text = after(line, KT_SESSION_PHASE))) {
		set_phase(job, text);
	} else if ((text = after(line, KT_SESSION_STEP))) {
		job->step = atoi(text);
	} else if (!strcmp(line, KT_SESSION_PAUSED)) {
		job->paused = true;
		if (job->events->paused)
			job->events->paused(job);
	} else if (!strcmp(line, KT_SESSION_POST_VM)) {
		job->in_post_vm = true;
		kt_job_watch(job, KT_POST_VM_LIMIT_NS);
	} else if (!strcmp(line, KT_SESSION_CAPSULE)) {
		kt_job_watch(job, KT_CAPSULE_LIMIT_NS);
	} else if ((text = after(line, KT_SESSION_OUTCOME))) {
		job->has_outcome = kt_outcome_decode(text, strlen(text), &job->outcome, NULL) == 0;
	}
}

static void on_pipe(void *data, uint32_t events)
{
	struct kt_job *job = data;
	int fd = job->pipe.fd;
	char bytes[16384];
	ssize_t n = read(fd, bytes, sizeof(bytes));

	(void)events;
	if (n > 0 && kt_buffer_append(&job->in, bytes, (size_t)n) == 0) {
		size_t used;

		while ((used = kt_buffer_line(&job->in))) {
			on_line(job, job->in.data);
			kt_buffer_consume(&job->in, used);
		}
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	kt_loop_remove(job->loop, &job->pipe);
	(void)kt_close(fd);
	end_if_complete(job);
}

/*
 * In the child: makes a process group, unblocks signals, and redirects the output. If the runner
 * dies between fork() and prctl(), PR_SET_PDEATHSIG comes too late, and getppid() tells.
 */
static void become_job(const struct kt_job *job, pid_t parent, bool live)
{
	sigset_t none;

	kt_keys_forget();
	(void)setpgid(0, 0);
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (live)
		return;
	(void)fcntl(job->outcome.host.fd, F_SETFL, O_APPEND);
	(void)dup2(job->outcome.host.fd, STDOUT_FILENO);
	(void)dup2(job->outcome.host.fd, STDERR_FILENO);
}

static int watch_child(struct kt_job *job, int pipe_fd)
{
	int pidfd = (int)syscall(SYS_pidfd_open, job->pid, 0);

	job->watchdog = (struct kt_timer){ .fn = on_watchdog, .data = job };
	job->process = (struct kt_source){
		.fd = pidfd,
		.events = EPOLLIN,
		.fn = on_process,
		.data = job,
	};
	job->pipe = (struct kt_source){
		.fd = pipe_fd,
		.events = EPOLLIN,
		.fn = on_pipe,
		.data = job,
	};
	if (pidfd < 0)
		return -errno;
	return kt_loop_add(job->loop, &job->process) ?: kt_loop_add(job->loop, &job->pipe);
}

/* Undoes a start that failed half-way: no process, descriptor or event source is left. */
static void abandon(struct kt_job *job, int pipe_fd)
{
	int pidfd = job->process.fd;

	kt_loop_remove(job->loop, &job->process);
	kt_loop_remove(job->loop, &job->pipe);
	(void)kt_close(pidfd);
	(void)kt_close(pipe_fd);
	(void)kill(-job->pid, SIGKILL);
	while (waitpid(job->pid, NULL, 0) < 0 && errno == EINTR)
		;
	job->pid = 0;
	job->process = job->pipe = KT_SOURCE_NULL;
}

static int start(struct kt_job *job, kt_job_entry_fn entry, bool live, const int report[2],
		 const int go[2])
{
	pid_t parent = getpid();

	(void)fflush(NULL); /* or the child would write buffered text once more */
	job->pid = fork();
	if (job->pid < 0)
		return -errno;
	if (job->pid == 0) {
		become_job(job, parent, live);
		(void)kt_close(go[1]); /* so that go[0] ends when the runner dies */
		_exit(entry(job, report[1], go[0]));
	}
	/* Parent and child both call setpgid(2): the group exists, whichever of them runs first. */
	(void)setpgid(job->pid, job->pid);
	return 0;
}

int kt_job_start(struct kt_job *job, kt_job_entry_fn entry, bool live, bool waits_for_go,
		 struct kt_err *reterr)
{
	int report[2], go[2] = { -1, -1 }, r;

	if (pipe2(report, O_CLOEXEC) < 0)
		return kt_advise(reterr, kt_err_set(reterr, -errno, "pipe: %m"));
	if (waits_for_go && pipe2(go, O_CLOEXEC) < 0) {
		r = -errno;
		(void)kt_close(report[0]);
		(void)kt_close(report[1]);
		return kt_advise(reterr, kt_err_set(reterr, r, "pipe: %m"));
	}
	r = start(job, entry, live, report, go);
	(void)kt_close(report[1]);
	(void)kt_close(go[0]);
	job->go_fd = go[1];
	if (r == 0) {
		r = watch_child(job, report[0]);
		if (r < 0)
			abandon(job, report[0]);
	} else {
		(void)kt_close(report[0]);
	}
	if (r < 0)
		return kt_advise(reterr, kt_err_set(reterr, r, "cannot start a session: %m"));
	return 0;
}

/*
 * The session computes from the time in the pipe how long its test waited for its first
 * instruction.
 */
void kt_job_go(struct kt_job *job)
{
	uint64_t now = kt_now_ns();

	/* If the process is gone the write fails, and on_process() handles the end. */
	(void)write(job->go_fd, &now, sizeof(now));
	job->go_fd = kt_close(job->go_fd);
}

void kt_job_watch(struct kt_job *job, uint64_t limit_ns)
{
	if (job->suspended)
		job->left_ns = limit_ns;
	else
		kt_timer_arm(job->loop, &job->watchdog, kt_now_ns() + limit_ns);
}

void kt_job_signal(const struct kt_job *job, int signal)
{
	if (job->pid > 0)
		(void)kill(signal == SIGKILL ? -job->pid : job->pid, signal);
}

void kt_job_pause(struct kt_job *job)
{
	job->suspended = true;
	job->left_ns = job->watchdog.armed ? KT_MAX(kt_left_ns(job->watchdog.due_ns), 1u) : 0;
	kt_timer_disarm(job->loop, &job->watchdog);
	if (job->in_post_vm)
		kt_job_stop(job);
	else
		kt_job_signal(job, SIGTSTP);
}

void kt_job_stop(struct kt_job *job)
{
	if (job->pid > 0)
		(void)kill(-job->pid, SIGSTOP);
	job->paused = true;
}

bool kt_job_is_paused(const struct kt_job *job)
{
	return job->paused;
}

void kt_job_continue(struct kt_job *job)
{
	job->suspended = job->paused = false;
	if (job->left_ns)
		kt_job_watch(job, job->left_ns);
	job->left_ns = 0;
	if (job->pid > 0)
		(void)kill(-job->pid, SIGCONT);
}
