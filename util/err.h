/* SPDX-License-Identifier: MIT */
#pragma once
/* Error texts for people. The function that knows the fact writes the text, once. */

#include <errno.h>
#include <stdarg.h>

/*
 * Functions return 0 or a negative errno. A function that can say more also takes a
 * `struct kt_err *reterr` (which may be NULL) and fills it on failure. The caller owns the buffer,
 * so that reporting a failure never allocates. Longer texts are cut.
 */
struct kt_err {
	char text[1536]; /* empty, or one message without a final newline */
};

#define KT_ERR_NULL ((struct kt_err){ .text = "" })

/*
 * Sets the text and returns @code, a negative errno. @format is that of printf(3); %m is the text
 * of @code. The arguments must not point into *@reterr.
 */
int kt_err_set(struct kt_err *reterr, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * Puts "<format>: " before the text that is there and returns @code. If there is no text yet, the
 * text of @code takes its place.
 */
int kt_err_prefix(struct kt_err *reterr, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* kt_err_set() with the arguments as a va_list. */
int kt_err_vset(struct kt_err *reterr, int code, const char *format, va_list ap);

/* Sets the text "out of memory" and returns -ENOMEM. */
int kt_err_oom(struct kt_err *reterr);
