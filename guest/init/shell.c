/* SPDX-License-Identifier: MIT */
/*
 * A shell or a command in the guest, for people: PID 1 forks it and moves bytes until it ends.
 *
 * A shell runs on a pseudo terminal; PID 1 copies between its master and the port in both
 * directions. A command writes to descriptors 1 and 2 of PID 1, which guest/port/output.c forwards,
 * so only its input passes here. There is no deadline: the person at the host ends it. The host
 * sends STDIN frames, an empty one at the end of its input, and WINDOW frames with the size of the
 * terminal.
 */
#include "guest/init/shell.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmp.h>

#include "guest/port/crash.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define BUSYBOX "/bin/busybox"

/* Reaps the child. Returns its exit status as a shell shows it: 128 + N after signal N. */
static int wait_status(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * The image holds busybox as one file. It creates links to itself for all its commands, with
 * /bin/sh.
 */
static void prepare_shell(void)
{
	if (access("/bin/sh", X_OK) < 0 && access(BUSYBOX, X_OK) == 0) {
		pid_t pid = fork();

		if (pid == 0) {
			(void)execl(BUSYBOX, "busybox", "--install", "-s", "/bin", NULL);
			_exit(127);
		}
		if (pid > 0)
			(void)wait_status(pid);
	}
}

/*
 * Takes one frame from the host. Input goes to @to_fd; a window size is applied to it if it is a
 * @terminal. Returns 1 when the host's input has ended, else 0 or an error.
 */
static int take_input(struct kt_port *port, int to_fd, bool terminal, struct kt_err *reterr)
{
	struct kt_frame frame;
	int r = kt_port_receive(port, kt_now_ns() + KT_NSEC_PER_SEC, &frame, reterr);

	if (r < 0)
		return r == -ETIMEDOUT ? 0 : r;
	if (frame.type == KT_MSG_STDIN) {
		if (!frame.len)
			return 1;
		/* An error is ignored: the child may have closed its input. */
		(void)kt_write_full(to_fd, frame.payload, frame.len);
	} else if (frame.type == KT_MSG_WINDOW && terminal &&
		   frame.len == sizeof(struct kt_msg_window)) {
		const struct kt_msg_window *window = (const void *)frame.payload;
		struct winsize size = { .ws_row = window->rows, .ws_col = window->columns };

		(void)ioctl(to_fd, TIOCSWINSZ, &size);
	}
	return 0;
}

/*
 * Copies between the host and the terminal until the shell and all its children have left the
 * terminal.
 */
static int pump_terminal(struct kt_port *port, int master, struct kt_err *reterr)
{
	char chunk[KT_STDIO_CHUNK_MAX];

	for (;;) {
		struct pollfd waiting[2] = {
			{ .fd = master, .events = POLLIN },
			{ .fd = kt_port_fd(port), .events = POLLIN },
		};
		ssize_t n;
		int r;

		if (!kt_port_buffered(port) && kt_poll(waiting, 2, KT_NSEC_NEVER) < 0)
			return kt_err_set(reterr, -errno, "poll: %m");
		if (kt_port_buffered(port) || waiting[1].revents) {
			r = take_input(port, master, true, reterr);
			if (r < 0)
				return r;
		}
		if (!waiting[0].revents)
			continue;
		n = read(master, chunk, sizeof(chunk));
		if (n <= 0) /* EIO once the last holder of the terminal is gone */
			return 0;
		r = kt_port_send(port, KT_MSG_STDOUT, chunk, (size_t)n);
		if (r < 0)
			return kt_err_set(reterr, r, "sending to the host: %m");
	}
}

int kt_shell_interactive(struct kt_port *port, const struct kt_run_request *run, int *ret_status,
			 struct kt_err *reterr)
{
	struct winsize size = { .ws_row = run->rows, .ws_col = run->columns };
	KT_CLOSE int master = -1;
	pid_t pid;
	int r;

	prepare_shell();
	if (access("/bin/sh", X_OK) < 0)
		return kt_err_set(reterr, -ENOENT,
				  "the guest has no shell: install busybox-static on the host");
	pid = forkpty(&master, NULL, NULL, &size);
	if (pid < 0)
		return kt_err_set(reterr, -errno, "forkpty: %m");
	if (pid == 0) {
		kt_crash_uninstall();
		(void)execl("/bin/sh", "-sh", NULL);
		_exit(127);
	}
	(void)fcntl(master, F_SETFD, FD_CLOEXEC);
	r = pump_terminal(port, master, reterr);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	*ret_status = wait_status(pid);
	return r;
}

/* In the child: without /bin/sh the command is split at white space, and quotes mean nothing. */
static __attribute__((noreturn)) void exec_command(const char *command)
{
	char *copy = strdup(command), *words[256] = { NULL };
	size_t n = 0;

	if (access("/bin/sh", X_OK) == 0) {
		(void)execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	for (char *save, *word = strtok_r(copy, " \t\n", &save); word && n < 255;
	     word = strtok_r(NULL, " \t\n", &save))
		words[n++] = word;
	if (n)
		(void)execvp(words[0], words);
	(void)dprintf(STDERR_FILENO, "%s: %s\n", n ? words[0] : "no command", strerror(errno));
	_exit(127);
}

/*
 * Copies input to the command until the command ends. Closes @input at the end of the host's input.
 */
static int pump_input(struct kt_port *port, pid_t pid, int input, struct kt_err *reterr)
{
	KT_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	KT_CLOSE int to = input;

	if (pidfd < 0)
		return kt_err_set(reterr, -errno, "pidfd_open: %m");
	for (;;) {
		struct pollfd waiting[2] = {
			{ .fd = pidfd, .events = POLLIN },
			{ .fd = kt_port_fd(port), .events = POLLIN },
		};
		int r;

		if (!kt_port_buffered(port) && kt_poll(waiting, 2, KT_NSEC_NEVER) < 0)
			return kt_err_set(reterr, -errno, "poll: %m");
		if (waiting[0].revents)
			return 0;
		r = take_input(port, to, false, reterr);
		if (r < 0)
			return r;
		if (r > 0)
			to = kt_close(to);
	}
}

int kt_shell_exec(struct kt_port *port, const struct kt_run_request *run, int *ret_status,
		  struct kt_err *reterr)
{
	int input[2], r;
	pid_t pid;

	prepare_shell();
	if (pipe2(input, O_CLOEXEC) < 0)
		return kt_err_set(reterr, -errno, "pipe: %m");
	(void)signal(SIGPIPE, SIG_IGN);
	pid = fork();
	if (pid == 0) {
		kt_crash_uninstall();
		(void)signal(SIGPIPE, SIG_DFL);
		(void)dup2(input[0], STDIN_FILENO);
		exec_command(run->command);
	}
	(void)kt_close(input[0]);
	if (pid < 0) {
		(void)kt_close(input[1]);
		return kt_err_set(reterr, -errno, "fork: %m");
	}
	r = pump_input(port, pid, input[1], reterr);
	if (r < 0)
		(void)kill(pid, SIGKILL);
	*ret_status = wait_status(pid);
	return r;
}
