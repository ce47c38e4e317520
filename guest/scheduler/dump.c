/* SPDX-License-Identifier: MIT */
/*
 * Collects the kernel's dump of a failed scheduler in a trace instance, and sends it to the host.
 *
 * The buffer must exist before the failure: the kernel writes the dump in one go with interrupts
 * off, and nothing can read meanwhile. The buffer therefore has to hold a whole dump, and is read
 * afterwards.
 */
#include "guest/scheduler/dump.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/buffer.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "wire/message.h"

/* A separate trace instance: tests may use the global trace buffer themselves. */
#define INSTANCE    "/sys/kernel/tracing/instances/ktest-scx"
#define EVENT       "sched_ext_dump: "
#define FRAME_BYTES ((size_t)128 << 10)

/*
 * The size of the trace buffer in per cent of the text. Each line has a header of about 20 bytes in
 * the buffer, and lines are short: a dump was measured to need 1.4 times the length of its text.
 */
#define ROOM_PERCENT 160u

struct kt_scx_dump {
	int pipe; /* trace_pipe, non-blocking: reading removes what was read from the buffer */
};

static int set_up(unsigned int kib, struct kt_err *reterr)
{
	char number[32];
	int r;

	if (mkdir(INSTANCE, 0755) < 0 && errno != EEXIST)
		return kt_err_set(reterr, errno == ENOENT ? -ENOTSUP : -errno, INSTANCE ": %m");
	(void)snprintf(number, sizeof(number), "%u", kib * ROOM_PERCENT / 100);
	r = kt_file_write(INSTANCE "/buffer_size_kb", number);
	if (r < 0)
		return kt_err_set(reterr, r, "a trace buffer of %s KiB: %m", number);
	r = kt_file_write(INSTANCE "/events/sched_ext/sched_ext_dump/enable", "1");
	return r < 0 ? kt_err_set(reterr, -ENOTSUP, "the tracepoint sched_ext_dump: %m") : 0;
}

int kt_scx_dump_open(unsigned int kib, struct kt_scx_dump **ret_dump, struct kt_err *reterr)
{
	KT_FREE struct kt_scx_dump *dump = calloc(1, sizeof(*dump));
	int r = dump ? set_up(kib, reterr) : kt_err_oom(reterr);

	if (r < 0)
		return r;
	dump->pipe = open(INSTANCE "/trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (dump->pipe < 0)
		return kt_err_set(reterr, -errno, INSTANCE "/trace_pipe: %m");
	*ret_dump = kt_steal(dump);
	return 0;
}

struct kt_scx_dump *kt_scx_dump_close(struct kt_scx_dump *dump)
{
	if (!dump)
		return NULL;
	(void)kt_close(dump->pipe);
	(void)rmdir(INSTANCE);
	free(dump);
	return NULL;
}

/* trace_pipe prints "CPU:1 [LOST 17 EVENTS]" where the buffer was too small. */
static uint64_t lines_lost(const char *line)
{
	const char *at = strstr(line, "[LOST ");

	return at ? strtoull(at + strlen("[LOST "), NULL, 10) : 0;
}

struct sending {
	struct kt_port *port;   /* NULL: the dump is discarded */
	struct kt_buffer lines; /* text of the dump that has not been sent */
	uint64_t bytes;         /* sent so far */
	uint64_t lost;          /* lines */
};

static int flush(struct sending *sending)
{
	int r = sending->lines.len && sending->port
			? kt_port_send(sending->port, KT_MSG_SCX_DUMP, sending->lines.data,
				       sending->lines.len)
			: 0;

	sending->bytes += sending->lines.len;
	kt_buffer_consume(&sending->lines, sending->lines.len);
	return r;
}

/*
 * Takes the text of one line of trace_pipe, "     task-12 [000] d..1. 3.456789: sched_ext_dump:
 * TEXT". TEXT may be empty.
 */
static int take_line(struct sending *sending, const char *line)
{
	const char *text = strstr(line, EVENT);
	int r;

	sending->lost += text ? 0 : lines_lost(line);
	if (!text)
		return 0;
	text += strlen(EVENT);
	r = kt_buffer_append(&sending->lines, text, strlen(text))
		    ?: kt_buffer_append(&sending->lines, "\n", 1);
	if (r == 0 && sending->lines.len >= FRAME_BYTES)
		r = flush(sending);
	return r;
}

/* Takes the complete lines of @in. An incomplete last line stays in @in. */
static int take_lines(struct sending *sending, struct kt_buffer *in)
{
	char *at = in->data, *end;
	int r = 0;

	while (r == 0 && (end = memchr(at, '\n', in->len - (size_t)(at - in->data)))) {
		*end = '\0';
		r = take_line(sending, at);
		at = end + 1;
	}
	kt_buffer_consume(in, (size_t)(at - in->data));
	return r;
}

int kt_scx_dump_send(struct kt_scx_dump *dump, struct kt_port *port, uint64_t *ret_bytes,
		     uint64_t *ret_lost, struct kt_err *reterr)
{
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer in = KT_BUFFER_NULL;
	struct sending sending = { .port = port, .lines = KT_BUFFER_NULL };
	static char bytes[65536];
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = read(dump->pipe, bytes, sizeof(bytes))) > 0)
		r = kt_buffer_append(&in, bytes, (size_t)n) ?: take_lines(&sending, &in);
	r = r ?: flush(&sending);
	kt_buffer_deinit(&sending.lines);
	*ret_bytes = sending.bytes;
	*ret_lost = sending.lost;
	return r < 0 ? kt_err_set(reterr, r, "the dump: %m") : 0;
}
