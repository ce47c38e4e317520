/* SPDX-License-Identifier: MIT */
#pragma once
/* Bytes that arrive at one end and are used up at the other. */

#include <stddef.h>

struct kt_buffer {
	char *data;
	size_t len;
	size_t room;
};

#define KT_BUFFER_NULL ((struct kt_buffer){ .data = NULL })

void kt_buffer_deinit(struct kt_buffer *buffer);

/* Makes room for @more bytes behind the present ones; -ENOMEM. */
int kt_buffer_reserve(struct kt_buffer *buffer, size_t more);
int kt_buffer_append(struct kt_buffer *buffer, const void *data, size_t len);

/* Drops the first @len bytes. */
void kt_buffer_consume(struct kt_buffer *buffer, size_t len);

/*
 * If a whole line is there, replaces its newline by a NUL and returns its length plus one, to be
 * consumed after use; the line is at the beginning. 0 otherwise.
 */
size_t kt_buffer_line(struct kt_buffer *buffer);
