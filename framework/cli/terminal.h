/* SPDX-License-Identifier: MIT */
#pragma once
/* The terminal that is standard input, while a shell of a guest has it. */

#include <stdbool.h>
#include <sys/ioctl.h>
#include <termios.h>

enum kt_terminal_mode {
	KT_TERMINAL_RAW,   /* every byte is the guest's */
	KT_TERMINAL_LINES, /* the terminal edits lines; keys make no signals */
};

struct kt_terminal {
	struct termios saved; /* as the user had it; valid if @changed */
	bool changed;
};

#define KT_TERMINAL_NULL ((struct kt_terminal){ .changed = false })

/* Keys that end a line in KT_TERMINAL_LINES, beside Enter; they are bytes of the line. */
#define KT_TERMINAL_INTERRUPT 0x03 /* Ctrl-C */
#define KT_TERMINAL_ESCAPE    0x1d /* Ctrl-] */

/* Does nothing, and leaves @changed false, if standard input is no terminal. */
void kt_terminal_set(struct kt_terminal *terminal, enum kt_terminal_mode mode);

/* Makes it what it was before the first kt_terminal_set(). */
void kt_terminal_restore(struct kt_terminal *terminal);

/* 24 x 80 when standard input is no terminal. */
struct winsize kt_terminal_size(void);
