/* SPDX-License-Identifier: MIT */
#include "util/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

void kt_buffer_deinit(struct kt_buffer *buffer)
{
	free(buffer->data);
	*buffer = KT_BUFFER_NULL;
}

int kt_buffer_reserve(struct kt_buffer *buffer, size_t more)
{
	/* Doubling keeps the cost of many small appends linear. */
	size_t room = KT_MAX(buffer->room * 2, buffer->len + more);
	char *grown;

	if (buffer->room - buffer->len >= more)
		return 0;
	grown = realloc(buffer->data, room);
	if (!grown)
		return -ENOMEM;
	buffer->data = grown;
	buffer->room = room;
	return 0;
}

int kt_buffer_append(struct kt_buffer *buffer, const void *data, size_t len)
{
	int r = len ? kt_buffer_reserve(buffer, len) : 0;

	if (r < 0 || !len)
		return r;
	memcpy(buffer->data + buffer->len, data, len);
	buffer->len += len;
	return 0;
}

void kt_buffer_consume(struct kt_buffer *buffer, size_t len)
{
	if (!len)
		return;
	buffer->len -= len;
	/* The remaining bytes move to the beginning, so that data is always where they start. */
	memmove(buffer->data, buffer->data + len, buffer->len);
}

size_t kt_buffer_line(struct kt_buffer *buffer)
{
	char *end = buffer->len ? memchr(buffer->data, '\n', buffer->len) : NULL;

	if (!end)
		return 0;
	*end = '\0';
	return (size_t)(end - buffer->data) + 1;
}
