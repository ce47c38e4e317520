/* SPDX-License-Identifier: MIT */
#include "util/terminal.h"

#include <signal.h>
#include <unistd.h>

static void make_lines(struct termios *mode)
{
	mode->c_iflag |= ICRNL;
	mode->c_oflag |= OPOST | ONLCR;
	mode->c_lflag |= ICANON | ECHO | ECHOE | ECHOK;
	mode->c_lflag &= ~(tcflag_t)ISIG;
	mode->c_cc[VEOL] = KT_TERMINAL_INTERRUPT;
	mode->c_cc[VEOL2] = KT_TERMINAL_ESCAPE;
}

/* A read returns what there is, and never waits. */
static void make_keys(struct termios *mode)
{
	mode->c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	mode->c_cc[VMIN] = 0;
	mode->c_cc[VTIME] = 0;
}

/*
 * In a background process group, tcsetattr() would stop this process. It does not wait until all
 * output is shown, which is never while the user holds it with Ctrl-S.
 */
static bool apply(const struct termios *mode)
{
	sigset_t stop, before;
	bool done;

	(void)sigemptyset(&stop);
	(void)sigaddset(&stop, SIGTTOU);
	(void)sigprocmask(SIG_BLOCK, &stop, &before);
	done = tcsetattr(STDIN_FILENO, TCSANOW, mode) == 0;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return done;
}

void kt_terminal_set(struct kt_terminal *terminal, enum kt_terminal_mode mode)
{
	struct termios next;

	if (!terminal->changed && tcgetattr(STDIN_FILENO, &terminal->saved) < 0)
		return;
	next = terminal->saved;
	switch (mode) {
	case KT_TERMINAL_RAW:
		cfmakeraw(&next);
		break;
	case KT_TERMINAL_LINES:
		make_lines(&next);
		break;
	case KT_TERMINAL_KEYS:
		make_keys(&next);
		break;
	}
	if (apply(&next))
		terminal->changed = true;
}

void kt_terminal_restore(struct kt_terminal *terminal)
{
	if (terminal->changed)
		(void)apply(&terminal->saved);
	terminal->changed = false;
}

bool kt_terminal_is_mine(void)
{
	return tcgetpgrp(STDIN_FILENO) == getpgrp();
}

bool kt_terminal_gives_lines(void)
{
	const tcflag_t wanted = ICANON | ECHO;
	struct termios mode;

	return tcgetattr(STDIN_FILENO, &mode) == 0 && (mode.c_lflag & wanted) == wanted;
}

struct winsize kt_terminal_size(int fd)
{
	struct winsize size = { .ws_row = 0 };

	(void)ioctl(fd, TIOCGWINSZ, &size);
	size.ws_row = size.ws_row ?: 24;
	size.ws_col = size.ws_col ?: 80;
	return size;
}
