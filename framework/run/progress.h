/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The progress of a run: at the bottom of a terminal a bar, and a line for each running test; or
 * the same lines once, when somebody asks.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "framework/options/options.h"

/* A running test. All is borrowed until kt_progress_draw() returns. */
struct kt_progress_line {
	const char *name;
	const char *phase; /* as of kt_phase_name() */
	int step;          /* index; -1: none */
	uint64_t began_ns; /* CLOCK_MONOTONIC */
};

struct kt_progress {
	bool enabled;        /* standard error is a terminal that can move its cursor */
	bool shown;          /* the block is on the screen, with the cursor at its beginning */
	unsigned int total;  /* attempts that the run will make; 0: unknown */
	unsigned int done;   /* set by the caller, as is failed */
	unsigned int failed; /* of done */
};

/*
 * Nothing is drawn if standard error is not a terminal, or @choice is neither AUTO nor BAR. With
 * AUTO, TERM must tell a terminal that can move its cursor, too.
 */
void kt_progress_init(struct kt_progress *progress, enum kt_progress_choice choice,
		      unsigned int total);

/* Erases the lines; to be called before anything else is written to the terminal. */
void kt_progress_clear(struct kt_progress *progress);

/*
 * Replaces the lines on the screen by the bar and the first 8 of @lines, or as many as there is
 * room for, in the width that the terminal has now. Draws nothing while the run is in the
 * background.
 */
void kt_progress_draw(struct kt_progress *progress, const struct kt_progress_line *lines, size_t n);

/* Writes what runs to standard error, whatever it is, to stay there. */
void kt_progress_tell(struct kt_progress *progress, const struct kt_progress_line *lines, size_t n);
