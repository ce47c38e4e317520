/* SPDX-License-Identifier: MIT */
#include "guest/payload/tap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/cleanup.h"

/* A copy of the line with a NUL, cut to KT_TAP_TEXT_MAX. */
struct line {
	char text[KT_TAP_TEXT_MAX + 1];
	size_t len;
};

static void line_init(struct line *line, const char *text, size_t len)
{
	line->len = KT_MIN(len, (size_t)KT_TAP_TEXT_MAX);
	memcpy(line->text, text, line->len);
	while (line->len && (line->text[line->len - 1] == '\r' || line->text[line->len - 1] == ' '))
		line->len--;
	line->text[line->len] = '\0';
}

/* The text behind @word, if @at begins with that and the word ends there; else NULL. */
static const char *behind(const char *at, const char *word)
{
	size_t len = strlen(word);

	if (strncasecmp(at, word, len) || (at[len] && !strchr(" \t:", at[len])))
		return NULL;
	return at + len + strspn(at + len, " \t:");
}

/* The directive behind the last "#" that begins one: "SKIP reason"; or NULL. */
static const char *find_directive(const char *text, const char *word)
{
	const char *found = NULL;

	for (const char *at = text; (at = strchr(at, '#')); at++) {
		const char *reason = behind(at + 1 + strspn(at + 1, " \t"), word);

		found = reason ?: found;
	}
	return found;
}

static void note_reason(struct kt_tap *tap, const char *reason)
{
	if (!tap->reason[0])
		(void)snprintf(tap->reason, sizeof(tap->reason), "%s", reason);
}

/* "1..N", which may stand at the beginning or at the end. */
static void read_plan(const char *text, struct kt_tap *tap)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);
	const char *reason;

	if (end == text || (*end && !strchr(" \t#", *end)) || n > 1000000)
		return;
	tap->has_plan = true;
	tap->planned = (unsigned int)n;
	reason = find_directive(end, "SKIP") ?: find_directive(end, "SKIPPED");
	tap->skips_all = !n && reason;
	if (tap->skips_all)
		note_reason(tap, reason);
}

/* Returns whether the result counts as failed. */
static bool read_result(const char *text, bool is_ok, struct kt_tap *tap)
{
	const char *skip = find_directive(text, "SKIP");

	tap->n_results++;
	if (skip) {
		tap->n_skipped++;
		note_reason(tap, skip);
	}
	if (is_ok || skip || find_directive(text, "TODO") || find_directive(text, "XFAIL"))
		return false;
	tap->n_failed++;
	return true;
}

/* An indented line belongs to a nested test. Returns whether the line is a result that failed. */
static bool read_line(const char *text, struct kt_tap *tap)
{
	const char *rest;

	if (!strncmp(text, "1..", 3)) {
		read_plan(text + 3, tap);
	} else if (!strncasecmp(text, "Bail out!", 9)) {
		tap->bails_out = true;
		tap->reason[0] = '\0';
		note_reason(tap, text + 9 + strspn(text + 9, " "));
	} else if ((rest = behind(text, "ok"))) {
		(void)read_result(rest, true, tap);
	} else if ((rest = behind(text, "not ok"))) {
		return read_result(rest, false, tap);
	}
	return false;
}

void kt_tap_read(const char *text, size_t len, struct kt_tap *ret_tap,
		 void (*on_failed)(void *data, const char *line, size_t line_len), void *data)
{
	const char *end = text + len;

	*ret_tap = (struct kt_tap){ .has_plan = false };
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text)) ?: end;
		struct line line;

		line_init(&line, text, (size_t)(newline - text));
		if (read_line(line.text, ret_tap) && on_failed)
			on_failed(data, line.text, line.len);
		text = newline + 1;
	}
}
