/* SPDX-License-Identifier: MIT */
#pragma once
/* What is going on, at the bottom of a terminal: a bar and a line for each test that runs. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A test that runs now. */
struct kt_progress_line {
	const char *name;
	const char *phase; /* "boot", "run", "teardown" */
	int step;          /* -1: none */
	uint64_t began_ns;
};

struct kt_progress {
	bool enabled;
	bool color;
	unsigned int shown; /* lines on the screen now */
	unsigned int total, done, failed;
};

/* Draws on standard error, if that is a terminal that can be drawn on. */
void kt_progress_init(struct kt_progress *progress, bool color, unsigned int total);

/* Takes the lines off the screen, before anything else is written. */
void kt_progress_clear(struct kt_progress *progress);

/* Draws them anew. */
void kt_progress_draw(struct kt_progress *progress, const struct kt_progress_line *lines, size_t n);
