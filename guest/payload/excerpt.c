/* SPDX-License-Identifier: MIT */
#include "guest/payload/excerpt.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/io.h"

#define HALF_LINES (KT_EXCERPT_LINES / 2)
#define HALF_BYTES (KT_EXCERPT_BYTES / 2)

/* The length of the first lines of @text; of all of it where no line ends within. */
static size_t head_len(const char *text, size_t len)
{
	size_t end = 0;
	unsigned int n = 0;

	for (size_t i = 0; i < len && n < HALF_LINES; i++) {
		if (text[i] != '\n')
			continue;
		end = i + 1;
		n++;
	}
	return end ?: len;
}

/* Where the last lines of @text begin, as head_len(). */
static size_t tail_begin(const char *text, size_t len)
{
	size_t begin = len;
	unsigned int n = 0;

	/* The newline that ends the last line does not begin another one. */
	for (size_t i = len ? len - 1 : 0; i > 0 && n < HALF_LINES; i--) {
		if (text[i - 1] != '\n')
			continue;
		begin = i;
		n++;
	}
	return begin < len ? begin : 0;
}

static unsigned int count_lines(const char *text, size_t len)
{
	unsigned int n = 0;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

/* Joins the parts around the mark. @total is the length of the file. */
static char *join(const char *head, size_t head_bytes, const char *tail, size_t tail_bytes,
		  uint64_t total, size_t *ret_len)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer text = KT_BUFFER_NULL;
	KT_FREE char *mark = kt_format("%s[... %" PRIu64 " of %" PRIu64 " bytes left out ...]\n",
				       head_bytes && head[head_bytes - 1] != '\n' ? "\n" : "",
				       total - head_bytes - tail_bytes, total);

	if (!mark || kt_buffer_append(&text, head, head_bytes) < 0 ||
	    kt_buffer_append(&text, mark, strlen(mark)) < 0 ||
	    kt_buffer_append(&text, tail, tail_bytes) < 0)
		return NULL;
	*ret_len = text.len;
	return kt_buffer_append(&text, "", 1) < 0 ? NULL : kt_steal(text.data);
}

char *kt_excerpt_read(int fd, size_t *ret_len)
{
	size_t n, head, tail, at;
	uint64_t total;
	struct stat st;
	char *text;

	if (fstat(fd, &st) < 0)
		return NULL;
	total = (uint64_t)st.st_size;
	n = (size_t)KT_MIN(total, (uint64_t)KT_EXCERPT_BYTES);
	text = calloc(1, KT_EXCERPT_BYTES + 1);
	/* The two halves of a long file, or all of a short one: either way text holds n bytes. */
	head = total > n ? HALF_BYTES : n;
	if (!text || pread(fd, text, head, 0) != (ssize_t)head ||
	    pread(fd, text + head, n - head, (off_t)(total - (n - head))) != (ssize_t)(n - head)) {
		free(text);
		return NULL;
	}
	*ret_len = n;
	if (total == n && count_lines(text, n) <= KT_EXCERPT_LINES)
		return text;
	at = total > n ? HALF_BYTES : 0;
	tail = at + tail_begin(text + at, n - at);
	head = head_len(text, head);
	{
		char *joined = join(text, head, text + tail, n - tail, total, ret_len);

		free(text);
		return joined;
	}
}
