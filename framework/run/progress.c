/* SPDX-License-Identifier: MIT */
#include "framework/run/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/terminal.h"

/*
 * The block at the bottom of the terminal is the bar and a row for each running test. While it is
 * shown, the cursor is at its beginning. A terminal that gets another width may break the rows
 * anew, and keeps the cursor at the text where it was: the block is always all that is behind the
 * cursor, however many rows it takes by now. It is drawn by one write, so that it does not flicker.
 */

#define LINES_MAX 8u  /* tests that are shown; "..." stands for the others */
#define BAR_MAX   24u /* characters */
#define BAR_MIN   4u
#define INDENT    13u /* of rows, where they fit */

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

/* The screen of a run in the background is another program's. */
static bool is_in_background(void)
{
	pid_t group = tcgetpgrp(STDERR_FILENO);

	return group >= 0 && group != getpgrp();
}

/* Erases from the cursor to the end of the screen. */
void kt_progress_clear(struct kt_progress *progress)
{
	if (progress->shown && !is_in_background())
		(void)fputs("\r\033[J", stderr);
	progress->shown = false;
}

/* The block while it is made. */
struct block {
	FILE *out;
	unsigned int columns; /* of a row: a character in the terminal's last column may wrap */
	unsigned int rows;    /* so far */
};

static void put_row(struct block *block, const char *text)
{
	(void)fprintf(block->out, "%s%.*s", block->rows++ ? "\n" : "", (int)block->columns, text);
}

/* "3/40", or "3 ended" where nobody knows of how many. */
static void format_done(char *text, size_t room, const struct kt_progress *progress)
{
	if (progress->total)
		(void)snprintf(text, room, "%u/%u", progress->done, progress->total);
	else
		(void)snprintf(text, room, "%u ended", progress->done);
}

/* "[====----]" of @width characters between the brackets. */
static void format_bar(char text[BAR_MAX + 3], unsigned int width,
		       const struct kt_progress *progress)
{
	uint64_t filled = 0;

	if (progress->total)
		filled = (uint64_t)progress->done * width / progress->total;
	text[0] = '[';
	for (unsigned int i = 0; i < width; i++)
		text[1 + i] = i < filled ? '=' : '-';
	(void)strcpy(&text[1 + width], "]");
}

/* In a narrow terminal the bar goes first, then the word before the numbers, then what runs. */
static void put_bar(struct block *block, const struct kt_progress *progress, size_t n_running)
{
	static const char title[] = "     Running ";
	unsigned int room = block->columns, used;
	char done[32], counts[96], bar[BAR_MAX + 3], text[256];

	format_done(done, sizeof(done), progress);
	(void)snprintf(counts, sizeof(counts), "%s, %zu running, %u failed", done, n_running,
		       progress->failed);
	used = (unsigned int)(strlen(title) + strlen("[] ") + strlen(counts));
	if (room >= used + BAR_MIN) {
		format_bar(bar, KT_MIN(room - used, BAR_MAX), progress);
		(void)snprintf(text, sizeof(text), "%s%s %s", title, bar, counts);
	} else if (room >= strlen(title) + strlen(counts)) {
		(void)snprintf(text, sizeof(text), "%s%s", title, counts);
	} else if (room >= strlen(counts)) {
		(void)snprintf(text, sizeof(text), "%s", counts);
	} else {
		(void)snprintf(text, sizeof(text), "%s, %u failed", done, progress->failed);
	}
	put_row(block, text);
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

/* Indents as far as the whole text has room. */
static void put_indented(struct block *block, const char *text)
{
	unsigned int len = (unsigned int)strlen(text), indent = 0;
	char row[600];

	if (block->columns > len)
		indent = KT_MIN(block->columns - len, INDENT);
	(void)snprintf(row, sizeof(row), "%*s%s", (int)indent, "", text);
	put_row(block, row);
}

/* At most @room rows. */
static void put_lines(struct block *block, const struct kt_progress_line *lines, size_t n,
		      size_t room)
{
	size_t n_shown = KT_MIN(n, LINES_MAX);

	if (room < n_shown || (n > n_shown && room == n_shown))
		n_shown = room ? room - 1 : 0;
	for (size_t i = 0; i < n_shown; i++) {
		char text[512];

		format_line(text, sizeof(text), &lines[i]);
		put_indented(block, text);
	}
	if (n > n_shown && room)
		put_indented(block, "...");
}

static void put_block(FILE *out, const struct kt_progress *progress,
		      const struct kt_progress_line *lines, size_t n)
{
	struct winsize size = kt_terminal_size(STDERR_FILENO);
	struct block block = { .out = out, .columns = size.ws_col - 1u };

	(void)fputs("\r\033[J", out);
	put_bar(&block, progress, n);
	/* The cursor cannot come back to a row that has left the screen. */
	put_lines(&block, lines, n, size.ws_row - 1u);
	if (block.rows > 1)
		(void)fprintf(out, "\033[%uA", block.rows - 1);
	(void)fputc('\r', out);
}

/* The whole block is drawn anew each time; ten times a second that costs nothing to speak of. */
void kt_progress_draw(struct kt_progress *progress, const struct kt_progress_line *lines, size_t n)
{
	KT_FREE char *text = NULL;
	size_t len = 0;
	FILE *out;

	if (!progress->enabled || is_in_background())
		return;
	out = open_memstream(&text, &len);
	if (!out)
		return;
	put_block(out, progress, lines, n);
	if (fclose(out) == 0)
		(void)fwrite(text, 1, len, stderr);
	progress->shown = true;
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
