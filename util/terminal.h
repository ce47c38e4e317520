/* SPDX-License-Identifier: MIT */
#pragma once
/* The terminal that is standard input, while this program reads it in another way than lines. */

#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>

enum kt_terminal_mode {
	KT_TERMINAL_RAW,   /* every byte is the reader's */
	KT_TERMINAL_LINES, /* the terminal edits lines; keys make no signals */
	KT_TERMINAL_KEYS,  /* keys are read at once and not shown; some still make signals */
};

struct kt_terminal {
	struct termios saved; /* as the user had it; valid if @changed */
	bool changed;
};

#define KT_TERMINAL_NULL ((struct kt_terminal){ .changed = false })

/* Keys that end a line in KT_TERMINAL_LINES, beside Enter; they are bytes of the line. */
#define KT_TERMINAL_INTERRUPT 0x03 /* Ctrl-C */
#define KT_TERMINAL_ESCAPE    0x1d /* Ctrl-] */

/* Does nothing, and leaves @changed as it is, if standard input is no terminal. */
void kt_terminal_set(struct kt_terminal *terminal, enum kt_terminal_mode mode);

/* Makes it what it was before the first kt_terminal_set(). A signal handler may call this. */
void kt_terminal_restore(struct kt_terminal *terminal);

/*
 * Whether standard input is the terminal of this process, with the process in front: only then may
 * it read and change the terminal. A process in the background would be stopped, or would take the
 * keys of another one.
 */
bool kt_terminal_is_mine(void);

/* Whether standard input is a terminal that gives lines, which is how shells start programs. */
bool kt_terminal_gives_lines(void);

/* Of the terminal that is @fd. What it does not tell, or if it is none: 24 rows, 80 columns. */
struct winsize kt_terminal_size(int fd);
