/* SPDX-License-Identifier: MIT */
#include "util/process.h"

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

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/steal.h"

/*
 * Children are started with fork(2) and execve(2) by a process that may have other threads and
 * descriptors: every descriptor is close-on-exec unless the spec names it. A child never outlives
 * the thread that started it. Between fork and exec the child calls only what does not allocate.
 *
 * A pipe that closes on exec tells the parent whether the program was executed: the child writes
 * its errno into it after a failure; end of file means success.
 */

#define OUTPUT_MAX (1u << 20)
#define TAIL_MAX   600u /* bytes at the end of the output that an error quotes */

int kt_process_find(const char *name, char *path, size_t room)
{
	const char *dirs = getenv("PATH") ?: "/usr/local/bin:/usr/bin:/bin";

	if (strchr(name, '/')) {
		if (access(name, X_OK) < 0 || strlen(name) >= room)
			return -ENOENT;
		(void)snprintf(path, room, "%s", name);
		return 0;
	}
	for (const char *at = dirs; *at;) {
		/* Directories are separated by colons; a path that does not fit is passed over. */
		int len = (int)strcspn(at, ":");

		if ((size_t)snprintf(path, room, "%.*s/%s", len, at, name) < room &&
		    access(path, X_OK) == 0)
			return 0;
		at += len + (at[len] == ':');
	}
	return -ENOENT;
}

/*
 * Makes @fd (or /dev/null) available as descriptor @number without the close-on-exec flag. dup2(2)
 * to the same number would keep that flag, so it is cleared by hand.
 */
static int place(int fd, int number)
{
	if (fd < 0)
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fd == number)
		return fcntl(fd, F_SETFD, 0);
	return dup2(fd, number);
}

void kt_process_reset_signals(void)
{
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The child after fork(2). Writes its errno to @report if the program cannot be executed. */
__attribute__((noreturn)) static void child_main(const struct kt_process_spec *spec, pid_t parent,
						 int report)
{
	int r;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent) /* the parent died before prctl(): no signal will come */
		_exit(127);
	kt_process_reset_signals();
	if (place(spec->in, 0) >= 0 && place(spec->out, 1) >= 0 && place(spec->err, 2) >= 0) {
		for (size_t i = 0; i < spec->n_keep; i++)
			(void)fcntl(spec->keep[i], F_SETFD, 0);
		(void)execv(spec->argv[0], (char *const *)spec->argv);
	}
	r = -errno;
	(void)kt_write_full(report, &r, sizeof(r));
	_exit(127);
}

int kt_process_spawn(const struct kt_process_spec *spec, pid_t *ret_pid, int *ret_pidfd,
		     struct kt_err *reterr)
{
	pid_t parent = getpid(), pid;
	int report[2], failure, pidfd;

	if (pipe2(report, O_CLOEXEC) < 0)
		return kt_err_set(reterr, -errno, "pipe: %m");
	pid = fork();
	if (pid == 0)
		child_main(spec, parent, report[1]);
	/* Only the child may hold the write end now, or the read would never see end of file. */
	failure = pid < 0 ? -errno : 0;
	(void)close(report[1]);
	if (pid > 0 && kt_read_full(report[0], &failure, sizeof(failure)) == 0)
		(void)waitpid(pid, NULL, 0);
	(void)close(report[0]);
	if (failure)
		return kt_err_set(reterr, failure, "cannot start '%s': %m", spec->argv[0]);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		failure = -errno;
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return kt_err_set(reterr, failure, "pidfd_open: %m");
	}
	*ret_pid = pid;
	*ret_pidfd = pidfd;
	return 0;
}

/*
 * Reads until end of file. Output beyond OUTPUT_MAX is read and dropped, so that the program does
 * not block on a full pipe.
 */
static int collect(int fd, pid_t pid, uint64_t deadline_ns, char **ret_text)
{
	KT_FREE char *text = malloc(OUTPUT_MAX + 1);
	size_t len = 0;

	if (!text)
		return -ENOMEM;
	for (;;) {
		char drop[4096];
		bool full = len == OUTPUT_MAX;
		ssize_t n;

		if (kt_steal_poll(fd, deadline_ns, pid) <= 0)
			return -ETIMEDOUT;
		n = read(fd, full ? drop : text + len, full ? sizeof(drop) : OUTPUT_MAX - len);
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += full ? 0 : (size_t)n;
	}
	text[len] = '\0';
	*ret_text = kt_steal(text);
	return 0;
}

/*
 * Returns the last TAIL_MAX bytes of @text from the beginning of a line on, joined by '|': programs
 * often name the cause a few lines before the last. Changes @text.
 */
static const char *last_lines(char *text)
{
	size_t len = strlen(text);
	char *at;

	while (len && text[len - 1] == '\n')
		text[--len] = '\0';
	at = len > TAIL_MAX ? text + len - TAIL_MAX : text;
	if (at > text && strchr(at, '\n'))
		at = strchr(at, '\n') + 1;
	for (char *c = at; *c; c++) {
		if (*c == '\n')
			*c = '|';
	}
	return at;
}

int kt_process_output(const char *const *argv, uint64_t deadline_ns, char **ret_text,
		      struct kt_err *reterr)
{
	KT_CLOSE int pidfd = -1, in = -1, out = -1;
	struct kt_process_spec spec = { .argv = argv, .in = -1 };
	KT_FREE char *text = NULL;
	int ends[2], status, r;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return kt_err_set(reterr, -errno, "pipe: %m");
	out = ends[0];
	in = ends[1];
	spec.out = spec.err = in;
	r = kt_process_spawn(&spec, &pid, &pidfd, reterr);
	if (r < 0)
		return r;
	/* The child holds the only write end then, and end of file comes when it ends. */
	in = kt_close(in);
	r = collect(out, pid, deadline_ns, &text);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return kt_err_set(reterr, r, "reading the output of '%s': %m", argv[0]);
	if (status)
		return kt_err_set(reterr, -EREMOTEIO, "'%s' failed with status %d: %s", argv[0],
				  WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
				  last_lines(text));
	*ret_text = kt_steal(text);
	return 0;
}

/* The state of a process as in proc(5), /proc/PID/stat; 0 when there is no such process. */
static char process_state(pid_t pid)
{
	KT_FREE char *path = kt_format("/proc/%d/stat", (int)pid), *text = NULL;
	const char *name_end;

	if (!path || pid <= 0 || kt_file_read(path, 4096, &text, NULL) < 0)
		return 0;
	/* The name, in parentheses, may hold any character. */
	name_end = strrchr(text, ')');
	return name_end && name_end[1] ? name_end[2] : 0;
}

bool kt_process_is_stopped(pid_t pid)
{
	char state = process_state(pid);

	return state == 'T' || state == 't';
}

char *kt_process_describe(pid_t pid)
{
	KT_FREE char *path = kt_format("/proc/%d/comm", (int)pid), *name = NULL;

	if (!path || kt_file_read(path, 64, &name, NULL) < 0)
		return kt_format("process %d, which has ended, but not all that it started",
				 (int)pid);
	name[strcspn(name, "\n")] = '\0';
	for (char *at = name; *at; at++)
		*at = (unsigned char)*at < ' ' || *at == 0x7f ? '?' : *at;
	return kt_format("process %d (%s)%s", (int)pid, name,
			 kt_process_is_stopped(pid) ? ", which is stopped" : "");
}
