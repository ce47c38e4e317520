/* SPDX-License-Identifier: MIT */
#include "framework/run/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define LINES_MAX 8u  /* tests that are shown; "..." stands for the others */
#define BAR_WIDTH 24u /* characters */

void kt_progress_init(struct kt_progress *progress, unsigned int total)
{
	const char *terminal = getenv("TERM");

	*progress = (struct kt_progress){
		.enabled = isatty(STDERR_FILENO) && terminal && strcmp(terminal, "dumb"),
		.total = total,
	};
}

/* 80 if the terminal does not tell its width, or tells one that is too small for a line. */
static unsigned int terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col < 20)
		return 80;
	return size.ws_col;
}

/* Moves the cursor up to the first line and erases from there to the end of the screen. */
void kt_progress_clear(struct kt_progress *progress)
{
	if (!progress->shown)
		return;
	(void)fprintf(stderr, "\033[%uA\r\033[J", progress->shown);
	(void)fflush(stderr);
	progress->shown = 0;
}

/* A line is cut to the terminal's width: a wrapped one takes two rows, and one would stay. */
static void put_line(struct kt_progress *progress, const char *text, unsigned int columns)
{
	(void)fprintf(stderr, "%.*s\n", (int)columns - 1, text);
	progress->shown++;
}

static void put_bar(struct kt_progress *progress, size_t n_running, unsigned int columns)
{
	unsigned int filled = progress->total ? progress->done * BAR_WIDTH / progress->total : 0;
	char bar[BAR_WIDTH + 1], text[256];

	memset(bar, '-', BAR_WIDTH);
	memset(bar, '=', KT_MIN(filled, BAR_WIDTH));
	bar[BAR_WIDTH] = '\0';
	(void)snprintf(text, sizeof(text), "     Running [%s] %u/%u, %zu running, %u failed", bar,
		       progress->done, progress->total, n_running, progress->failed);
	put_line(progress, text, columns);
}

/* The whole block is drawn anew each time; ten times a second that costs nothing to speak of. */
void kt_progress_draw(struct kt_progress *progress, const struct kt_progress_line *lines, size_t n)
{
	unsigned int columns;

	if (!progress->enabled)
		return;
	columns = terminal_columns();
	kt_progress_clear(progress);
	put_bar(progress, n, columns);
	for (size_t i = 0; i < KT_MIN(n, (size_t)LINES_MAX); i++) {
		char text[512], step[24] = "";

		if (lines[i].step >= 0)
			(void)snprintf(step, sizeof(step), " step %d", lines[i].step);
		(void)snprintf(text, sizeof(text), "             %s  %s%s  %.1f s", lines[i].name,
			       lines[i].phase, step,
			       (double)(kt_now_ns() - lines[i].began_ns) / KT_NSEC_PER_SEC);
		put_line(progress, text, columns);
	}
	if (n > LINES_MAX)
		put_line(progress, "             ...", columns);
	(void)fflush(stderr);
}
