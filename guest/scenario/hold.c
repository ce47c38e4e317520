/* SPDX-License-Identifier: MIT */
/*
 * How init waits while the workers of a step run.
 *
 * Init must not disturb what it measures. It sleeps in poll(2) until something ends: a worker (the
 * descriptor of its group), the scheduler (its process, or a uevent), or another child (SIGCHLD by
 * signalfd; it stays blocked, so that no end of a child falls between a look and the wait). It
 * never wakes up by a timer before the end of the hold.
 *
 * Payloads and the scheduler may end at any time, and their owners read their exit status later.
 * Therefore init reaps orphans only.
 */

#include "guest/scenario/hold.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

static int check_group(void *data, struct kt_live_cgroup *cgroup, struct kt_worker_group *group)
{
	struct kt_err *err = data;
	int status, lost = kt_worker_group_lost(group, &status);

	if (lost < 0)
		return 0;
	if (WIFSIGNALED(status))
		return kt_err_set(err, -ECHILD,
				  "worker %d of cgroup '%s' was killed by signal %d (%s)", lost,
				  cgroup->name, WTERMSIG(status), strsignal(WTERMSIG(status)));
	return kt_err_set(err, -ECHILD, "worker %d of cgroup '%s' ended by itself (status %d)",
			  lost, cgroup->name, WEXITSTATUS(status));
}

static int group_has(void *data, struct kt_live_cgroup *cgroup, struct kt_worker_group *group)
{
	(void)cgroup;
	return kt_worker_group_has(group, *(const pid_t *)data);
}

/*
 * PID 1 inherits every orphan and has to reap it. The ends of workers, payloads and schedulers are
 * left for the code that started them, which reports their status.
 */
static void reap_orphans(const struct kt_hold_watch *watch, int signals)
{
	struct signalfd_siginfo signal;

	while (read(signals, &signal, sizeof(signal)) > 0)
		; /* else the descriptor stays readable */
	for (;;) {
		siginfo_t info = { 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid ||
		    kt_live_for_each_group(watch->live, group_has, &info.si_pid) ||
		    kt_scheduler_set_has(watch->schedulers, info.si_pid) ||
		    kt_payload_set_has(watch->payloads, info.si_pid))
			return;
		(void)waitpid(info.si_pid, NULL, 0);
	}
}

struct fds {
	struct pollfd *at;
	size_t n;
};

static int count_fd(void *data, struct kt_live_cgroup *cgroup, struct kt_worker_group *group)
{
	(void)cgroup;
	(void)group;
	++*(size_t *)data;
	return 0;
}

static int add_fd(void *data, struct kt_live_cgroup *cgroup, struct kt_worker_group *group)
{
	struct fds *fds = data;

	(void)cgroup;
	fds->at[fds->n++] = (struct pollfd){ .fd = kt_worker_group_fd(group), .events = POLLIN };
	return 0;
}

/*
 * The descriptors to wait for: SIGCHLD for children without an owner, the scheduler's events, and
 * one epoll descriptor for each group of workers.
 */
static int collect_fds(const struct kt_hold_watch *watch, int signals, struct fds *fds)
{
	int scheduler[2];
	size_t n = 3;

	(void)kt_live_for_each_group(watch->live, count_fd, &n);
	fds->at = calloc(n, sizeof(*fds->at));
	if (!fds->at)
		return -ENOMEM;
	fds->at[0] = (struct pollfd){ .fd = signals, .events = POLLIN };
	fds->n = 1;
	for (size_t i = 0; i < kt_scheduler_set_fds(watch->schedulers, scheduler); i++)
		fds->at[fds->n++] = (struct pollfd){ .fd = scheduler[i], .events = POLLIN };
	return kt_live_for_each_group(watch->live, add_fd, fds);
}

/* Handles every event that can have woken the wait. Returns 0 or why the hold ends early. */
static int look(const struct kt_hold_watch *watch, int signals, struct kt_err *reterr)
{
	int r = kt_scheduler_set_check(watch->schedulers)
			?: kt_live_for_each_group(watch->live, check_group, reterr);

	if (r == 0 && signals >= 0)
		reap_orphans(watch, signals);
	return r;
}

/* PID 1 sleeps until an event or @end_ns. Polling would add load to the scenario. */
static int wait_until(const struct kt_hold_watch *watch, uint64_t end_ns, int signals,
		      struct kt_err *reterr)
{
	struct fds fds = { NULL, 0 };
	int r = collect_fds(watch, signals, &fds);

	if (r < 0)
		return kt_err_oom(reterr);
	while ((r = kt_poll(fds.at, fds.n, end_ns)) > 0) {
		r = look(watch, signals, reterr);
		if (r < 0)
			break;
		/* A scheduler whose expected end was seen has no descriptors any more. */
		free(fds.at);
		r = collect_fds(watch, signals, &fds);
		if (r < 0)
			return kt_err_oom(reterr);
	}
	free(fds.at);
	if (r < 0 && r != -ECHILD && r != KT_FAILED)
		return kt_err_set(reterr, r, "poll: %m");
	return r;
}

int kt_hold_until(const struct kt_hold_watch *watch, uint64_t end_ns, struct kt_err *reterr)
{
	KT_CLOSE int signals = -1;
	sigset_t child, old;
	int r;

	/* A signalfd gets a signal only while the signal is blocked. */
	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, &old);
	if (watch->payloads)
		signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	r = wait_until(watch, end_ns, signals, reterr);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}
