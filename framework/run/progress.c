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

static bool has_cursor(void)
{
	const char *terminal = getenv("TERM");

	return terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

void kt_progress_init(struct kt_progress *progress, enum kt_progress_choice choice,
		      unsigned int total)
{
	bool wanted = choice == KT_PROGRESS_BAR || (choice == KT_PROGRESS_AUTO && has_cursor());

	*progress = (struct kt_progress){
		.enabled = wanted && isatty(STDERR_FILENO),
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

/* "NAME  PHASE step N  SECONDS s" */
static void format_line(char *text, size_t room, const struct kt_progress_line *line)
{
	char step[24] = "";

	if (line->step >= 0)
		(void)snprintf(step, sizeof(step), " step %d", line->step);
	(void)snprintf(text, room, "%s  %s%s  %.1f s", line->name, line->phase, step,
		       (double)(kt_now_ns() - line->began_ns) / KT_NSEC_PER_SEC);
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
		char text[512] = "             ";
		size_t indent = strlen(text);

		format_line(text + indent, sizeof(text) - indent, &lines[i]);
		put_line(progress, text, columns);
	}
	if (n > LINES_MAX)
		put_line(progress, "             ...", columns);
	(void)fflush(stderr);
}

void kt_progress_tell(struct kt_progress *progress, const struct kt_progress_line *lines, size_t n)
{
	kt_progress_clear(progress);
	(void)fprintf(stderr, "%12s %zu now, %u ended", "Running", n, progress->done);
	if (progress->total)
		(void)fprintf(stderr, " of %u", progress->total);
	(void)fprintf(stderr, ", %u failed\n", progress->failed);
	for (size_t i = 0; i < n; i++) {
		char text[512];

		format_line(text, sizeof(text), &lines[i]);
		(void)fprintf(stderr, "             %s\n", text);
	}
	(void)fflush(stderr);
}
