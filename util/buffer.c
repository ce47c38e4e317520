/* SPDX-License-Identifier: MIT */
#include "util/buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * Consumed bytes stay in front of the data until the room behind it is used up. A move to the front
 * copies no more bytes than were consumed before it, so each byte is moved once on average.
 */

void kt_buffer_deinit(struct kt_buffer *buffer)
{
	if (buffer->data)
		free(buffer->data - buffer->before);
	*buffer = KT_BUFFER_NULL;
}

struct kt_buffer kt_buffer_take(struct kt_buffer *buffer)
{
	struct kt_buffer taken = *buffer;

	*buffer = KT_BUFFER_NULL;
	return taken;
}

static void move_to_front(struct kt_buffer *buffer)
{
	char *front = buffer->data - buffer->before;

	memmove(front, buffer->data, buffer->len);
	buffer->data = front;
	buffer->before = 0;
}

int kt_buffer_reserve(struct kt_buffer *buffer, size_t more)
{
	/* Doubling keeps the cost of many small appends linear. */
	size_t room = KT_MAX(buffer->room * 2, buffer->len + more);
	char *grown;

	if (buffer->room - buffer->before - buffer->len >= more)
		return 0;
	if (buffer->before && buffer->before >= buffer->len) {
		move_to_front(buffer);
		if (buffer->room - buffer->len >= more)
			return 0;
	}
	/* A new allocation takes only the data along. */
	grown = buffer->before ? malloc(room) : realloc(buffer->data, room);
	if (!grown)
		return -ENOMEM;
	if (buffer->before) {
		memcpy(grown, buffer->data, buffer->len);
		free(buffer->data - buffer->before);
	}
	buffer->data = grown;
	buffer->room = room;
	buffer->before = 0;
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
	buffer->data += len;
	buffer->before += len;
	buffer->len -= len;
	if (!buffer->len)
		move_to_front(buffer);
}

size_t kt_buffer_line(struct kt_buffer *buffer)
{
	char *end = buffer->len ? memchr(buffer->data, '\n', buffer->len) : NULL;

	if (!end)
		return 0;
	*end = '\0';
	return (size_t)(end - buffer->data) + 1;
}
