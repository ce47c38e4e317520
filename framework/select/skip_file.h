/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Files of --skip-file, which name tests to be left out: a pattern with * ? [] for whole names on
 * each line, and behind it, if one likes, the reason. Empty lines and those that begin with # do
 * not count.
 */

#include <stddef.h>

#include "framework/options/options.h"

#define KT_SKIP_FILE_MAX (1 << 20) /* bytes of a file */

struct kt_skip_line {
	const char *pattern;
	const char *reason; /* NULL: none is given */
};

/* The lines of all files, in order. */
struct kt_skip_lines {
	struct kt_skip_line *at; /* owned */
	size_t n;
	char **texts; /* of the files, which the lines point into; owned */
	size_t n_texts;
};

/* Reads all of @paths. Returns 0 or a negative errno, with the file that cannot be read. */
int kt_skip_lines_init(struct kt_skip_lines *lines, const struct kt_strings *paths,
		       struct kt_err *reterr);
void kt_skip_lines_deinit(struct kt_skip_lines *lines);

/* Adds the lines of @text, which is changed and must outlive @lines. Returns 0 or -ENOMEM. */
int kt_skip_lines_add(struct kt_skip_lines *lines, char *text);

/* The first line that names @test; NULL: none does. */
const struct kt_skip_line *kt_skip_lines_find(const struct kt_skip_lines *lines, const char *test);
