/* SPDX-License-Identifier: MIT */
/*
 * Kills and reaps processes, all or one group, with a deadline.
 *
 * waitpid() has no timeout, so a POSIX timer interrupts it with SIGALRM. The signal goes to the
 * calling thread only, and the previous action of SIGALRM is restored afterwards. A process that
 * does not die, because it hangs in the kernel, must become an error and must not hang PID 1.
 */
#include "guest/process/reap.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define KTHREADD 2 /* the parent of the kernel's own threads */

static void on_alarm(int signal)
{
	(void)signal;
}

/* A timer that interrupts system calls of this thread. */
struct alarm {
	timer_t timer;
	struct sigaction before; /* a test may use SIGALRM itself: to be restored */
};

/*
 * Starts the timer. Waiting for SIGCHLD instead would not be reliable: the signal goes to any
 * thread that has not blocked it.
 */
static int set_alarm(uint64_t deadline_ns, struct alarm *alarm)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct sigevent event = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM };
	struct itimerspec when = {
		.it_value.tv_sec = (time_t)(deadline_ns / KT_NSEC_PER_SEC),
		.it_value.tv_nsec = (long)(deadline_ns % KT_NSEC_PER_SEC),
		/* Again and again: the first signal may come just before waitpid() is entered. */
		.it_interval.tv_nsec = 10 * (long)KT_NSEC_PER_MSEC,
	};
	int r;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	if (timer_create(CLOCK_MONOTONIC, &event, &alarm->timer) < 0)
		return -errno;
	if (sigaction(SIGALRM, &action, &alarm->before) == 0 &&
	    timer_settime(alarm->timer, TIMER_ABSTIME, &when, NULL) == 0)
		return 0;
	r = -errno;
	(void)timer_delete(alarm->timer);
	return r;
}

/*
 * Stops the timer first and then restores the action. No signal of the timer is pending in between:
 * SIGALRM is not blocked in this thread, so each one has been handled at once.
 */
static void clear_alarm(struct alarm *alarm)
{
	(void)timer_delete(alarm->timer);
	(void)sigaction(SIGALRM, &alarm->before, NULL);
}

/*
 * Describes process @pid as "pid (name) in state S", in an error with -ETIMEDOUT. Returns 0 for PID
 * 1, for a thread of the kernel and for a process that has vanished.
 */
static int describe(const char *pid, struct kt_err *reterr)
{
	KT_FREE char *path = kt_format("/proc/%s/stat", pid), *text = NULL;
	char *end;
	int parent;

	if (!path || !strcmp(pid, "1") || kt_file_read(path, 4096, &text, NULL) < 0)
		return 0;
	end = strrchr(text, ')');
	if (!end || sscanf(end, ") %*c %d", &parent) != 1 || parent == KTHREADD ||
	    atoi(pid) == KTHREADD)
		return 0;
	return kt_err_set(reterr, -ETIMEDOUT, "a process does not die: %.*s in state %c",
			  (int)(end + 1 - text), text, end[2]);
}

/* Finds a process that should be dead, and names it in the error. Always returns -ETIMEDOUT. */
static int name_survivor(struct kt_err *reterr)
{
	DIR *dir = opendir("/proc");
	int r = 0;

	for (struct dirent *ent; r == 0 && dir && (ent = readdir(dir));) {
		if (isdigit((unsigned char)ent->d_name[0]))
			r = describe(ent->d_name, reterr);
	}
	if (dir)
		(void)closedir(dir);
	return r ?: kt_err_set(reterr, -ETIMEDOUT, "a process does not die");
}

/* Orphans become children of PID 1: without a child there is no other process. */
bool kt_reap_is_alone(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 && errno == ECHILD;
}

int kt_reap_all(uint64_t deadline_ns, unsigned int *n_killed, struct kt_err *reterr)
{
	struct alarm alarm;
	int status, r;
	pid_t pid;

	if (kt_reap_is_alone())
		return 0;
	/* These have ended by themselves. */
	while (waitpid(-1, &status, WNOHANG) > 0 && kt_left_ns(deadline_ns))
		;
	r = set_alarm(deadline_ns, &alarm);
	if (r < 0)
		return kt_err_set(reterr, r, "cannot set a timer: %m");
	(void)kill(-1, SIGKILL);
	while ((pid = waitpid(-1, &status, 0)) > 0 || (errno == EINTR && kt_left_ns(deadline_ns)))
		*n_killed += pid > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	r = errno == ECHILD ? 0 : name_survivor(reterr);
	clear_alarm(&alarm);
	return r;
}

int kt_reap_group(pid_t group, uint64_t deadline_ns, int *ret_status, struct kt_err *reterr)
{
	bool seen = false;
	struct alarm alarm;
	int status, r;
	pid_t pid;

	r = set_alarm(deadline_ns, &alarm);
	if (r < 0)
		return kt_err_set(reterr, r, "cannot set a timer: %m");
	(void)kill(-group, SIGKILL);
	/*
	 * When a process of the group dies, its children become children of PID 1 and stay in the
	 * group: waiting for the group reaps them too.
	 */
	while ((pid = waitpid(-group, &status, 0)) > 0 ||
	       (errno == EINTR && kt_left_ns(deadline_ns))) {
		if (pid != group)
			continue;
		seen = true;
		if (ret_status)
			*ret_status = status;
	}
	r = errno == ECHILD ? 0 : -ETIMEDOUT;
	clear_alarm(&alarm);
	if (r < 0)
		return kt_err_set(reterr, r, "process group %d does not die", (int)group);
	if (ret_status && !seen)
		return kt_err_set(reterr, -ECHILD, "process %d has been reaped elsewhere",
				  (int)group);
	return 0;
}
