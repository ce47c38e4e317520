/* SPDX-License-Identifier: MIT */
#include "framework/select/skip_file.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/io.h"

#define SPACE " \t\r"

static char *skip_space(char *text)
{
	return text + strspn(text, SPACE);
}

static void trim_end(char *text)
{
	size_t len = strlen(text);

	while (len && strchr(SPACE, text[len - 1]))
		text[--len] = '\0';
}

/* The reason may be written as a comment. */
static int add_line(struct kt_skip_lines *lines, char *text)
{
	char *pattern = skip_space(text), *reason = pattern + strcspn(pattern, SPACE);
	struct kt_skip_line *grown;

	if (!*pattern || *pattern == '#')
		return 0;
	grown = reallocarray(lines->at, lines->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	lines->at = grown;
	if (*reason)
		*reason++ = '\0';
	reason = skip_space(reason);
	reason = skip_space(reason + strspn(reason, "#"));
	trim_end(reason);
	grown[lines->n++] = (struct kt_skip_line){ pattern, *reason ? reason : NULL };
	return 0;
}

int kt_skip_lines_add(struct kt_skip_lines *lines, char *text)
{
	int r = 0;

	while (r == 0 && text) {
		char *line = strsep(&text, "\n");

		r = add_line(lines, line);
	}
	return r;
}

static int read_file(struct kt_skip_lines *lines, const char *path, struct kt_err *reterr)
{
	size_t len;
	char *text;
	int r = kt_file_read(path, KT_SKIP_FILE_MAX, &text, &len);

	if (r < 0)
		return kt_err_set(reterr, r, "--skip-file '%s': %m", path);
	lines->texts[lines->n_texts++] = text;
	if (strlen(text) != len)
		return kt_err_set(reterr, -EINVAL,
				  "--skip-file '%s': it has a NUL, and so is not a text", path);
	return kt_skip_lines_add(lines, text) < 0 ? kt_err_oom(reterr) : 0;
}

int kt_skip_lines_init(struct kt_skip_lines *lines, const struct kt_strings *paths,
		       struct kt_err *reterr)
{
	struct kt_skip_lines made = { .texts = calloc(paths->n + 1, sizeof(char *)) };
	int r = made.texts ? 0 : kt_err_oom(reterr);

	for (size_t i = 0; r == 0 && i < paths->n; i++)
		r = read_file(&made, paths->at[i], reterr);
	if (r < 0)
		kt_skip_lines_deinit(&made);
	else
		*lines = made;
	return r;
}

void kt_skip_lines_deinit(struct kt_skip_lines *lines)
{
	for (size_t i = 0; i < lines->n_texts; i++)
		free(lines->texts[i]);
	free(lines->texts);
	free(lines->at);
	*lines = (struct kt_skip_lines){ .n = 0 };
}

const struct kt_skip_line *kt_skip_lines_find(const struct kt_skip_lines *lines, const char *test)
{
	for (size_t i = 0; i < lines->n; i++) {
		if (fnmatch(lines->at[i].pattern, test, 0) == 0)
			return &lines->at[i];
	}
	return NULL;
}
