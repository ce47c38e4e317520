/* SPDX-License-Identifier: MIT */
#include "framework/cli/terminal.h"

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

void kt_terminal_set(struct kt_terminal *terminal, enum kt_terminal_mode mode)
{
	struct termios next;

	if (!terminal->changed && tcgetattr(STDIN_FILENO, &terminal->saved) < 0)
		return;
	next = terminal->saved;
	if (mode == KT_TERMINAL_RAW)
		cfmakeraw(&next);
	else
		make_lines(&next);
	/* In a background process group, tcsetattr() would stop this process. */
	(void)signal(SIGTTOU, SIG_IGN);
	if (tcsetattr(STDIN_FILENO, TCSADRAIN, &next) == 0)
		terminal->changed = true;
}

void kt_terminal_restore(struct kt_terminal *terminal)
{
	if (terminal->changed)
		(void)tcsetattr(STDIN_FILENO, TCSADRAIN, &terminal->saved);
	terminal->changed = false;
}

struct winsize kt_terminal_size(void)
{
	struct winsize size = { .ws_row = 24, .ws_col = 80 };

	(void)ioctl(STDIN_FILENO, TIOCGWINSZ, &size);
	return size;
}
