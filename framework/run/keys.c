/* SPDX-License-Identifier: MIT */
#include "framework/run/keys.h"

#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"

/*
 * While the run has the terminal, a handler of each signal that would kill the runner gives it
 * back. The signals that the runner handles end the run in order, which gives it back too.
 *
 * Three processes can have something to say about the mode of a terminal: this one, the shell, and
 * a neighbour in the same pipeline. The shell takes over when this process stops, and the terminal
 * is left alone unless the process is in front. A terminal that gives no lines is a neighbour's.
 *
 * SIGTTIN and SIGTTOU are never the answer to anything here: both would stop the runner, and not
 * its machines.
 */

static const int deadly[] = { SIGQUIT, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV, SIGSYS };
static struct sigaction before[KT_ARRAY_LEN(deadly)];
static struct kt_terminal *held; /* the one that a crash restores; NULL: none */

static void ignore_crashes(void)
{
	for (size_t i = 0; held && i < KT_ARRAY_LEN(deadly); i++)
		(void)sigaction(deadly[i], &before[i], NULL);
	held = NULL;
}

/* The signal that is raised comes when this returns, and finds its former action. */
static void on_crash(int signal)
{
	struct kt_terminal *terminal = held;

	ignore_crashes();
	if (terminal && kt_terminal_is_mine())
		kt_terminal_restore(terminal);
	(void)raise(signal);
}

static void await_crashes(struct kt_terminal *terminal)
{
	struct sigaction action = { .sa_handler = on_crash };

	if (held)
		return;
	for (size_t i = 0; i < KT_ARRAY_LEN(deadly); i++) {
		(void)sigaction(deadly[i], &action, &before[i]);
		if (before[i].sa_handler == SIG_IGN)
			(void)sigaction(deadly[i], &before[i], NULL);
	}
	held = terminal;
}

static bool has_terminal(const struct kt_keys *keys)
{
	return keys->source.fd >= 0;
}

/* A terminal that another process group has by now is not touched. */
void kt_keys_leave(struct kt_keys *keys)
{
	if (!has_terminal(keys))
		return;
	kt_loop_remove(keys->loop, &keys->source);
	if (kt_terminal_is_mine())
		kt_terminal_restore(&keys->terminal);
	keys->terminal = KT_TERMINAL_NULL;
	ignore_crashes();
}

/* The terminal can be gone, too. */
static void on_input(void *data, uint32_t events)
{
	struct kt_keys *keys = data;
	char pressed[64];
	ssize_t n = 0;

	if (kt_terminal_is_mine())
		n = read(STDIN_FILENO, pressed, sizeof(pressed));
	if (n < 0 || events & (EPOLLHUP | EPOLLERR) || !kt_terminal_is_mine()) {
		kt_keys_leave(keys);
		return;
	}
	for (ssize_t i = 0; i < n; i++)
		keys->pressed(keys->data, pressed[i]);
}

static bool is_interactive(void)
{
	struct stat out;

	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO) && fstat(STDOUT_FILENO, &out) == 0 &&
	       !S_ISFIFO(out.st_mode);
}

void kt_keys_init(struct kt_keys *keys, struct kt_loop *loop, bool wanted,
		  void (*pressed)(void *data, char key), void *data)
{
	*keys = (struct kt_keys){
		.loop = loop,
		.pressed = pressed,
		.data = data,
		.wanted = wanted && is_interactive(),
		.terminal = KT_TERMINAL_NULL,
		.source = KT_SOURCE_NULL,
	};
}

static bool watch_input(struct kt_keys *keys)
{
	struct kt_source source = {
		.fd = STDIN_FILENO,
		.events = EPOLLIN,
		.fn = on_input,
		.data = keys,
	};

	if (has_terminal(keys))
		return true;
	keys->source = source;
	if (kt_loop_add(keys->loop, &keys->source) < 0)
		keys->source.fd = -1;
	return has_terminal(keys);
}

/* Lines that were pasted behind the command are the shell's next ones. */
static bool has_typed_ahead(void)
{
	int n = 0;

	return ioctl(STDIN_FILENO, FIONREAD, &n) == 0 && n > 0;
}

static bool may_take(const struct kt_keys *keys)
{
	return kt_terminal_gives_lines() && (has_terminal(keys) || !has_typed_ahead());
}

/* The shell can have set it back to lines when the run was stopped. */
void kt_keys_take(struct kt_keys *keys)
{
	if (!keys->wanted)
		return;
	if (!kt_terminal_is_mine()) {
		kt_keys_leave(keys);
	} else if (may_take(keys) && watch_input(keys)) {
		await_crashes(&keys->terminal);
		kt_terminal_set(&keys->terminal, KT_TERMINAL_KEYS);
	}
}

void kt_keys_forget(void)
{
	ignore_crashes();
}
