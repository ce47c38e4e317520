/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A capture holds one kind of a machine's output in a memory file. The runner creates it and the
 * session, its child process, fills it; so the output survives whatever happens to the session.
 */

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct kt_capture {
	int fd;          /* memfd; -1: none */
	uint64_t len;    /* bytes in the file, as this process has written them */
	uint64_t lost;   /* bytes that were left out */
	size_t mark_len; /* bytes of the mark in the file; 0: it is whole */
};

#define KT_CAPTURE_NULL ((struct kt_capture){ .fd = -1 })

/*
 * A capture is whole up to KT_CAPTURE_MAX bytes. Of a longer output, the first KT_CAPTURE_HEAD
 * bytes and at least 4 MiB of the end are kept, with a line between them that says how many bytes
 * are left out. docs/results.md states the limits.
 */
#define KT_CAPTURE_MAX  (16u << 20)
#define KT_CAPTURE_HEAD (4u << 20)

/* Creates an empty capture; @name appears in /proc/PID/fd. Errors: those of memfd_create(2). */
int kt_capture_init(struct kt_capture *capture, const char *name, struct kt_err *reterr);
void kt_capture_deinit(struct kt_capture *capture);

/* Appends @len bytes. Returns 0, -ENOMEM, -EIO or an errno of pwrite(2). */
int kt_capture_append(struct kt_capture *capture, const void *data, size_t len);

/*
 * A copy of all bytes, *@ret_len of them, with a NUL behind, to be freed. Empty for a capture
 * without a file; NULL when out of memory.
 */
char *kt_capture_read(const struct kt_capture *capture, size_t *ret_len);

/* kt_capture_read() as text: it ends for the reader at the first NUL. */
char *kt_capture_text(const struct kt_capture *capture);

/*
 * Removes terminal control from @text in place: escape sequences and control characters other than
 * newline and tab.
 */
void kt_text_sanitize(char *text);

/* Returns where the last @n lines of @text begin; @text itself if it has no more than that. */
const char *kt_text_tail(const char *text, unsigned int n);
