/* SPDX-License-Identifier: MIT */
/*
 * A shell or a command in the guest, for people: PID 1 forks it, and moves bytes between it and the
 * port until it ends. PID 1 always waits for both sides at once, never for one alone.
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
#include "util/buffer.h"
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
 * Where the host's input goes: a pipe or the terminal. Neither may be written to with a wait: a
 * child that reads nothing, but writes, would then wait for PID 1, and PID 1 for it.
 */
struct sink {
	int fd;                   /* non-blocking; -1: closed */
	bool terminal;            /* takes window sizes, and an end of input as Ctrl-D */
	bool ended;               /* the host's input has */
	struct kt_buffer waiting; /* not written yet */
};

#define END_OF_INPUT  "\x04"
#define END_REPEAT_NS (200 * KT_NSEC_PER_MSEC)

static void flush_sink(struct sink *sink)
{
	while (sink->fd >= 0 && sink->waiting.len) {
		ssize_t n = write(sink->fd, sink->waiting.data, sink->waiting.len);

		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0 && errno == EINTR)
			continue;
		/* Not an error: the child no longer reads its input. */
		kt_buffer_consume(&sink->waiting, n < 0 ? sink->waiting.len : (size_t)n);
	}
	if (sink->ended && !sink->terminal)
		sink->fd = kt_close(sink->fd);
}

/* Takes one frame of the host: bytes, or the size of its window. */
static int take_input(struct kt_port *port, struct sink *sink, struct kt_err *reterr)
{
	struct kt_frame frame;
	int r = kt_port_receive(port, kt_now_ns() + KT_NSEC_PER_SEC, &frame, reterr);

	if (r < 0)
		return r == -ETIMEDOUT ? 0 : r;
	if (frame.type == KT_MSG_STDIN) {
		sink->ended |= !frame.len;
		if (kt_buffer_append(&sink->waiting, frame.payload, frame.len) < 0)
			return kt_err_oom(reterr);
		flush_sink(sink);
	} else if (frame.type == KT_MSG_WINDOW && sink->terminal &&
		   frame.len == sizeof(struct kt_msg_window)) {
		const struct kt_msg_window *window = (const void *)frame.payload;
		struct winsize size = { .ws_row = window->rows, .ws_col = window->columns };

		(void)ioctl(sink->fd, TIOCSWINSZ, &size);
	}
	return 0;
}

/*
 * A port of host calls cannot be waited for beside others: PID 1 waits for the others in the
 * guest's time and for the host in that of the host, in turn, so that both go on about equally
 * fast.
 */
#define GUEST_POLL_NS (10 * KT_NSEC_PER_MSEC)
#define HOST_POLL_MS  10u

/*
 * Waits until the host, the sink or @other is ready. A terminal has no end of input that stays:
 * each reader takes one Ctrl-D, so that they are repeated until the shell is gone.
 */
static int wait_for(struct kt_port *port, struct sink *sink, struct pollfd *other,
		    struct kt_err *reterr)
{
	struct pollfd waiting[3] = {
		*other,
		{ .fd = kt_port_fd(port), .events = POLLIN },
		{ .fd = sink->waiting.len ? sink->fd : -1, .events = POLLOUT },
	};
	bool repeat = sink->terminal && sink->ended && !sink->waiting.len;
	bool heard = false;
	int r = 0;

	if (kt_port_fd(port) < 0) {
		r = kt_poll(waiting, 3, kt_now_ns() + GUEST_POLL_NS);
		heard = kt_port_poll(port, r ? 0 : HOST_POLL_MS);
	} else if (!kt_port_buffered(port)) {
		r = kt_poll(waiting, 3, repeat ? kt_now_ns() + END_REPEAT_NS : KT_NSEC_NEVER);
	}
	if (r < 0)
		return kt_err_set(reterr, -errno, "poll: %m");
	other->revents = waiting[0].revents;
	if (waiting[2].revents)
		flush_sink(sink);
	if (repeat && !other->revents && kt_buffer_append(&sink->waiting, END_OF_INPUT, 1) == 0)
		flush_sink(sink);
	if (kt_port_buffered(port) || waiting[1].revents || heard)
		return take_input(port, sink, reterr);
	return 0;
}

static int pump_terminal(struct kt_port *port, int master, struct kt_err *reterr)
{
	struct sink sink = { .fd = master, .terminal = true };
	char chunk[KT_STDIO_CHUNK_MAX];
	int r = 0;

	(void)fcntl(master, F_SETFL, O_NONBLOCK);
	while (r == 0) {
		struct pollfd output = { .fd = master, .events = POLLIN };
		ssize_t n;

		r = wait_for(port, &sink, &output, reterr);
		if (r < 0 || !output.revents)
			continue;
		n = read(master, chunk, sizeof(chunk));
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0) /* EIO once the last holder of the terminal is gone */
			break;
		r = kt_port_send(port, KT_MSG_STDOUT, chunk, (size_t)n);
		if (r < 0)
			(void)kt_err_set(reterr, r, "sending to the host: %m");
	}
	kt_buffer_deinit(&sink.waiting);
	return r;
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

/* Owns @input. */
static int pump_input(struct kt_port *port, pid_t pid, int input, struct kt_err *reterr)
{
	KT_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct sink sink = { .fd = input };
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	int r = pidfd < 0 ? kt_err_set(reterr, -errno, "pidfd_open: %m") : 0;

	(void)fcntl(input, F_SETFL, O_NONBLOCK);
	while (r == 0 && !end.revents)
		r = wait_for(port, &sink, &end, reterr);
	(void)kt_close(sink.fd);
	kt_buffer_deinit(&sink.waiting);
	return r;
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
