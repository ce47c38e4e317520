/* SPDX-License-Identifier: MIT */
#pragma once
/* Error text for people, written once at the place that knows the fact. */

#include <errno.h>
#include <stdarg.h>

/*
 * Functions return 0 or a negative errno; those that can say more take a `struct kt_err *reterr`
 * (which may be NULL) and fill it on failure. The buffer is the caller's: failing never allocates.
 */
struct kt_err {
	char text[1536]; /* empty, or one message without a final newline */
};

#define KT_ERR_NULL ((struct kt_err){ .text = "" })

/* Sets the text (printf format; %m is the text of @code) and returns @code. */
int kt_err_set(struct kt_err *reterr, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "<format>: " before the text that is there and returns @code. */
int kt_err_prefix(struct kt_err *reterr, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

int kt_err_vset(struct kt_err *reterr, int code, const char *format, va_list ap);

/* Out of memory, with the number of bytes that were wanted. */
int kt_err_oom(struct kt_err *reterr);
