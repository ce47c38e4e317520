/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Output of a machine, kept in memory that outlives the process that collects it: the runner makes
 * it, the session fills it, and whatever becomes of the session, the runner can read it.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct kt_capture {
	int fd; /* -1: none */
	uint64_t len;
	uint64_t dropped; /* bytes that were dropped from the middle */
};

#define KT_CAPTURE_NULL ((struct kt_capture){ .fd = -1 })

/* At most this much is kept: beyond it, the older half makes room, for the end tells most. */
#define KT_CAPTURE_MAX (16u << 20)

int kt_capture_init(struct kt_capture *capture, const char *name, struct kt_err *reterr);
void kt_capture_deinit(struct kt_capture *capture);

int kt_capture_append(struct kt_capture *capture, const void *data, size_t len);

/* All of it, with a NUL behind; to be freed, NULL when out of memory. */
char *kt_capture_read(const struct kt_capture *capture, size_t *ret_len);

/* All of it as text with a NUL, to be freed; NULL when out of memory. */
char *kt_capture_text(const struct kt_capture *capture);

/*
 * Removes terminal control from @text in place: escape sequences, carriage returns and control
 * characters other than newline and tab.
 */
void kt_text_sanitize(char *text);

/* Where the last @n lines of @text begin. */
const char *kt_text_tail(const char *text, unsigned int n);
