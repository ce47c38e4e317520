/* SPDX-License-Identifier: MIT */
#include "framework/outcome/capture.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/io.h"

/*
 * A memory file has no reader that could be too slow: appending never blocks, and the runner reads
 * the file after the session is gone. One process appends; the file is at most KT_CAPTURE_MAX long.
 *
 * When the file is full, its middle goes: what is kept of the end moves to behind the head, with a
 * mark before it. The next time the mark is written anew, since it counts what has gone so far.
 */

#define TAIL_MIN (4u << 20) /* bytes of the end that stay when the middle goes */

int kt_capture_init(struct kt_capture *capture, const char *name, struct kt_err *reterr)
{
	*capture = KT_CAPTURE_NULL;
	capture->fd = memfd_create(name, MFD_CLOEXEC);
	return capture->fd < 0 ? kt_err_set(reterr, -errno, "memfd_create: %m") : 0;
}

void kt_capture_deinit(struct kt_capture *capture)
{
	(void)kt_close(capture->fd);
	*capture = KT_CAPTURE_NULL;
}

static int write_at(const struct kt_capture *capture, const char *data, size_t len, size_t at)
{
	while (len) {
		ssize_t n = pwrite(capture->fd, data, len, (off_t)at);

		if (n < 0)
			return -errno;
		data += n;
		at += (size_t)n;
		len -= (size_t)n;
	}
	return 0;
}

/* Leaves the head, a mark, and the last TAIL_MIN bytes of a full file. */
static int drop_middle(struct kt_capture *capture)
{
	size_t old_mark = capture->mark_len, mark_len;
	KT_FREE char *tail = malloc(TAIL_MIN);
	uint64_t lost = capture->lost + KT_CAPTURE_MAX - KT_CAPTURE_HEAD - old_mark - TAIL_MIN;
	KT_FREE char *mark = kt_format("\n[... %" PRIu64 " bytes left out ...]\n", lost);
	int r;

	if (!tail || !mark)
		return -ENOMEM;
	if (pread(capture->fd, tail, TAIL_MIN, KT_CAPTURE_MAX - TAIL_MIN) != TAIL_MIN)
		return -EIO;
	mark_len = strlen(mark);
	r = write_at(capture, mark, mark_len, KT_CAPTURE_HEAD)
		    ?: write_at(capture, tail, TAIL_MIN, KT_CAPTURE_HEAD + mark_len);
	if (r == 0 && ftruncate(capture->fd, (off_t)(KT_CAPTURE_HEAD + mark_len + TAIL_MIN)) < 0)
		r = -errno;
	if (r < 0)
		return r;
	capture->lost = lost;
	capture->mark_len = mark_len;
	capture->len = KT_CAPTURE_HEAD + mark_len + TAIL_MIN;
	return 0;
}

int kt_capture_append(struct kt_capture *capture, const void *data, size_t len)
{
	const char *at = data;
	int r = 0;

	while (len && r == 0) {
		size_t n = KT_MIN(len, (size_t)(KT_CAPTURE_MAX - capture->len));

		if (!n) {
			r = drop_middle(capture);
			continue;
		}
		r = write_at(capture, at, n, capture->len);
		capture->len += r < 0 ? 0 : n;
		at += n;
		len -= n;
	}
	return r;
}

char *kt_capture_read(const struct kt_capture *capture, size_t *ret_len)
{
	struct stat st;
	char *text;
	ssize_t n;

	*ret_len = 0;
	/* The file knows its length; capture->len does not count what another process wrote. */
	if (capture->fd < 0 || fstat(capture->fd, &st) < 0)
		return strdup("");
	text = malloc((size_t)st.st_size + 1);
	if (!text)
		return NULL;
	n = pread(capture->fd, text, (size_t)st.st_size, 0);
	*ret_len = n < 0 ? 0 : (size_t)n;
	text[*ret_len] = '\0';
	return text;
}

char *kt_capture_text(const struct kt_capture *capture)
{
	size_t len;

	return kt_capture_read(capture, &len);
}

/*
 * The length of the escape sequence at @at (ECMA-48): "ESC [" up to a final byte, "ESC ]" up to BEL
 * or the next escape, or two characters. The text may end within the sequence.
 */
static size_t escape_len(const char *at)
{
	size_t len = 1;

	if (at[1] == '[') {
		for (len = 2; at[len] && !(at[len] >= 0x40 && at[len] <= 0x7e); len++)
			;
	} else if (at[1] == ']') {
		for (len = 2; at[len] && at[len] != '\a' && at[len] != '\033'; len++)
			;
	}
	return at[len] ? len + 1 : len;
}

/* The output is never longer than the input, so both share the buffer. */
void kt_text_sanitize(char *text)
{
	char *to = text;

	while (*text) {
		unsigned char c = (unsigned char)*text;

		if (c == '\033')
			text += escape_len(text);
		else if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
			text++;
		else
			*to++ = *text++;
	}
	*to = '\0';
}

const char *kt_text_tail(const char *text, unsigned int n)
{
	const char *at = text + strlen(text);

	/* The newline that ends the last line does not begin another one. */
	if (at > text && at[-1] == '\n')
		at--;
	while (at > text) {
		if (at[-1] == '\n' && --n == 0)
			break;
		at--;
	}
	return at;
}
