/* SPDX-License-Identifier: MIT */
#pragma once
/* A growing byte queue: bytes are appended at the end and consumed from the beginning. */

#include <stddef.h>

struct kt_buffer {
	char *data;    /* the unconsumed bytes, without a NUL behind them; NULL while @room is 0 */
	size_t len;    /* bytes in use */
	size_t room;   /* bytes allocated, from @data - @before on */
	size_t before; /* bytes before @data that were consumed */
};

#define KT_BUFFER_NULL ((struct kt_buffer){ .data = NULL })

/* Frees the bytes and resets @buffer to KT_BUFFER_NULL. */
void kt_buffer_deinit(struct kt_buffer *buffer);

/* Returns what @buffer holds, which the caller then owns, and resets @buffer to KT_BUFFER_NULL. */
struct kt_buffer kt_buffer_take(struct kt_buffer *buffer);

/* Makes room for @more bytes behind those in use. Returns 0 or -ENOMEM. */
int kt_buffer_reserve(struct kt_buffer *buffer, size_t more);

/* Copies @len bytes to the end. Returns 0 or -ENOMEM; then @buffer is unchanged. */
int kt_buffer_append(struct kt_buffer *buffer, const void *data, size_t len);

/*
 * Drops the first @len bytes; @len is at most buffer->len. No byte is moved, so that consuming a
 * queue piece by piece takes time linear in its length.
 */
void kt_buffer_consume(struct kt_buffer *buffer, size_t len);

/*
 * If @buffer holds a complete line, replaces its newline by a NUL and returns the number of bytes
 * up to and including that NUL. The line begins at buffer->data; the caller reads it and passes the
 * returned number to kt_buffer_consume(). Returns 0 when there is no newline yet.
 */
size_t kt_buffer_line(struct kt_buffer *buffer);
