/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "framework/report/verifier_log.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "util/cleanup.h"

/*
 * Each line gets a key that is equal for lines of the same instruction. A loop is then a run of
 * keys that repeats with some period; the shortest period that repeats often enough is taken.
 */

#define PERIOD_MAX  400u /* lines in one pass of the longest loop that is looked for */
#define REPEATS_MIN 3u   /* passes that a loop must have to be written once */

struct line {
	const char *text;
	size_t len;
	uint64_t key; /* hash of the line without register states */
};

/*
 * The key of a line. Register states are left out of it: what follows the semicolon in "12: (85)
 * call x#5   ; R0=scalar()", and everything after the colon in "from 12 to 17: R0=1" and in "12:
 * R0=1". The seeds 0, 1 and 2 keep these three forms apart.
 */
static uint64_t make_key(const char *text, size_t len)
{
	size_t digits = 0, end;

	while (digits < len && isdigit((unsigned char)text[digits]))
		digits++;
	if (digits && digits + 2 < len && text[digits] == ':' && text[digits + 2] != '(')
		return XXH64(text, digits, 1);
	if (len > 5 && !strncmp(text, "from ", 5)) {
		const char *colon = memchr(text, ':', len);

		return XXH64(text, colon ? (size_t)(colon - text) : len, 2);
	}
	for (end = 0; end < len && !(end && text[end] == ';'); end++)
		;
	while (end && text[end - 1] == ' ')
		end--;
	return XXH64(text, end, 0);
}

/*
 * Splits @log into lines, which point into it, and returns their number. *@ret_lines is NULL when
 * out of memory.
 */
static size_t split(const char *log, struct line **ret_lines)
{
	size_t n = 1, i = 0;

	for (const char *at = log; *at; at++)
		n += *at == '\n';
	*ret_lines = calloc(n, sizeof(**ret_lines));
	while (*ret_lines && *log) {
		struct line *line = &(*ret_lines)[i++];

		line->text = log;
		line->len = strcspn(log, "\n");
		line->key = make_key(line->text, line->len);
		log += line->len + (log[line->len] == '\n');
	}
	return i;
}

/* The number of passes, the first included, that the @period lines at @at make without a gap. */
static size_t count_repeats(const struct line *lines, size_t n, size_t at, size_t period)
{
	size_t same = 0;

	while (at + period + same < n && lines[at + same].key == lines[at + period + same].key)
		same++;
	return same / period + 1;
}

/* The length in lines of the shortest loop that begins at line @at; 0 when none does. */
static size_t find_loop(const struct line *lines, size_t n, size_t at, size_t *ret_repeats)
{
	for (size_t period = 1; period <= PERIOD_MAX && at + period * REPEATS_MIN <= n; period++) {
		if (lines[at].key != lines[at + period].key)
			continue;
		*ret_repeats = count_repeats(lines, n, at, period);
		if (*ret_repeats >= REPEATS_MIN)
			return period;
	}
	return 0;
}

char *kt_verifier_log_collapse(const char *log)
{
	KT_FREE struct line *lines = NULL;
	size_t n = split(log, &lines), len;
	char *text = NULL;
	FILE *out = lines ? open_memstream(&text, &len) : NULL;

	for (size_t i = 0; out && i < n;) {
		size_t repeats = 1, period = find_loop(lines, n, i, &repeats);

		for (size_t k = 0; k < (period ?: 1); k++)
			(void)fprintf(out, "%.*s\n", (int)lines[i + k].len, lines[i + k].text);
		if (period)
			(void)fprintf(out, "... the %zu line%s above %zu times in all ...\n",
				      period, period == 1 ? "" : "s", repeats);
		i += (period ?: 1) * repeats;
	}
	if (!out || fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}
