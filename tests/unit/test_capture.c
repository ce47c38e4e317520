/* SPDX-License-Identifier: MIT */
/* Output that is captured, up to a limit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framework/outcome/capture.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"

UNIT_SUITE(capture);

#define LINE_LEN 16u

/* Appends numbered lines of @n bytes in all, and returns what the capture keeps. */
static char *fill(unsigned int n)
{
	struct kt_capture capture;
	char lines[1000 * LINE_LEN + 1]; /* does not divide the limits */
	size_t len = 0;
	char *text;

	cr_assert(eq(int, kt_capture_init(&capture, "test", NULL), 0));
	for (unsigned int i = 0; i < n / LINE_LEN; i++) {
		len += (size_t)snprintf(lines + len, sizeof(lines) - len, "%15u\n", i);
		if (len < sizeof(lines) - 1 && i < n / LINE_LEN - 1)
			continue;
		cr_assert(eq(int, kt_capture_append(&capture, lines, len), 0));
		len = 0;
	}
	text = kt_capture_text(&capture);
	cr_assert(eq(sz, strlen(text), (size_t)capture.len));
	kt_capture_deinit(&capture);
	return text;
}

Test(capture, it_is_whole_up_to_the_limit)
{
	KT_FREE char *text = fill(KT_CAPTURE_MAX);

	cr_assert(eq(sz, strlen(text), KT_CAPTURE_MAX));
	cr_assert(zero(ptr, strstr(text, "left out")));
}

/* Beyond it, all bytes are either there, at either end, or in the number of the mark. */
Test(capture, a_mark_says_what_is_left_out)
{
	static const unsigned int lens[] = { KT_CAPTURE_MAX + LINE_LEN, 50u << 20 };

	for (size_t i = 0; i < KT_ARRAY_LEN(lens); i++) {
		KT_FREE char *text = fill(lens[i]);
		char *mark = strstr(text, "\n[... "), *end;
		unsigned long long lost;
		char last[LINE_LEN + 1];

		cr_assert(eq(sz, (size_t)(mark - text), KT_CAPTURE_HEAD));
		cr_assert(zero(int, memcmp(mark - LINE_LEN, "         262143\n", LINE_LEN)));
		cr_assert(eq(int, sscanf(mark, "\n[... %llu bytes left out ...]", &lost), 1));
		end = strchr(mark + 1, '\n') + 1;
		cr_assert(ge(sz, strlen(end), 4u << 20));
		cr_assert(eq(u64, (size_t)(mark - text) + strlen(end) + lost, lens[i]));
		(void)snprintf(last, sizeof(last), "%15u\n", lens[i] / LINE_LEN - 1);
		cr_assert(eq(str, text + strlen(text) - LINE_LEN, last));
		cr_assert(zero(ptr, strstr(end, "left out")));
		cr_assert(le(sz, strlen(text), KT_CAPTURE_MAX));
	}
}

Test(capture, terminal_control_goes)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain\n", "plain\n" },
		{ "\033c\033[?7l\033[2J\033[0mSeaBIOS\r\n", "SeaBIOS\n" },
		{ "\033]0;title\aafter", "after" },
		{ "cut \033[1", "cut " },
		{ "cut \033", "cut " },
		{ "a\bb\x7f", "ab" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		KT_FREE char *text = strdup(cases[i].in);

		kt_text_sanitize(text);
		cr_assert(eq(str, text, (char *)cases[i].out), "case %zu", i);
	}
}

Test(capture, tail)
{
	cr_assert(eq(str, (char *)kt_text_tail("a\nb\nc\n", 2), "b\nc\n"));
	cr_assert(eq(str, (char *)kt_text_tail("a\nb\nc", 1), "c"));
	cr_assert(eq(str, (char *)kt_text_tail("a\n", 5), "a\n"));
	cr_assert(eq(str, (char *)kt_text_tail("", 5), ""));
}
