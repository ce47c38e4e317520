/* SPDX-License-Identifier: MIT */
#include "guest/port/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

struct stream {
	int number; /* 1 or 2 */
	enum kt_message type;
	int console; /* what the descriptor was before */
	int pipe;    /* read end, non-blocking */
};

/*
 * A thread forwards while the test runs; who wants to be sure that all is sent does the rest itself,
 * under the same lock. That costs next to nothing when nothing was written, which waiting for the
 * thread does not: in a guest that was just restored, every first time is expensive.
 */
struct kt_output {
	struct kt_port *port;
	struct stream streams[2];
	pthread_mutex_t lock; /* from reading until what was read is sent */
};

/* One chunk; false when there is none. */
static bool forward(const struct kt_output *output, const struct stream *stream)
{
	char chunk[KT_STDIO_CHUNK_MAX];
	ssize_t n = read(stream->pipe, chunk, sizeof(chunk));

	if (n > 0)
		(void)kt_port_send(output->port, stream->type, chunk, (size_t)n);
	return n > 0;
}

static void *forward_all(void *data)
{
	struct kt_output *output = data;
	struct pollfd waiting[2] = {
		{ .fd = output->streams[0].pipe, .events = POLLIN },
		{ .fd = output->streams[1].pipe, .events = POLLIN },
	};

	for (;;) {
		if (poll(waiting, 2, -1) < 0)
			continue;
		(void)pthread_mutex_lock(&output->lock);
		for (int i = 0; i < 2; i++) {
			if (waiting[i].revents)
				(void)forward(output, &output->streams[i]);
		}
		(void)pthread_mutex_unlock(&output->lock);
	}
	return NULL;
}

/* Puts a pipe under the descriptor; children inherit it, the two ends held here they do not. */
static int redirect(struct stream *stream)
{
	int ends[2];

	stream->console = fcntl(stream->number, F_DUPFD_CLOEXEC, 3);
	if (stream->console < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	stream->pipe = ends[0];
	(void)fcntl(stream->pipe, F_SETFL, O_NONBLOCK);
	if (dup2(ends[1], stream->number) < 0)
		return -errno;
	(void)kt_close(ends[1]);
	return 0;
}

int kt_output_start(struct kt_port *port, struct kt_output **ret_output, struct kt_err *reterr)
{
	struct kt_output *output = calloc(1, sizeof(*output));
	pthread_t thread;
	int r;

	if (!output)
		return kt_err_oom(reterr);
	output->port = port;
	output->streams[0] = (struct stream){ .number = STDOUT_FILENO, .type = KT_MSG_STDOUT };
	output->streams[1] = (struct stream){ .number = STDERR_FILENO, .type = KT_MSG_STDERR };
	(void)pthread_mutex_init(&output->lock, NULL);
	r = redirect(&output->streams[0]) ?: redirect(&output->streams[1]);
	if (r == 0)
		r = -pthread_create(&thread, NULL, forward_all, output);
	if (r < 0) /* PID 1 ends right away: nothing to take back */
		return kt_err_set(reterr, r, "cannot forward standard output: %m");
	/* A crash loses nothing but the line in the making. */
	(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	*ret_output = output;
	return 0;
}

void kt_output_flush(struct kt_output *output, uint64_t deadline_ns)
{
	bool more;

	(void)fflush(stdout);
	(void)fflush(stderr);
	(void)pthread_mutex_lock(&output->lock);
	do {
		more = forward(output, &output->streams[0]);
		more |= forward(output, &output->streams[1]);
	} while (more && kt_left_ns(deadline_ns));
	(void)pthread_mutex_unlock(&output->lock);
}

void kt_output_give_back(const struct kt_output *output)
{
	for (int i = 0; i < 2; i++)
		(void)dup2(output->streams[i].console, output->streams[i].number);
}

void kt_output_drain(struct kt_output *output, int ms)
{
	for (; ms > 0; ms--) {
		int left = 1, n = 0;

		if (pthread_mutex_trylock(&output->lock) == 0) {
			left = 0;
			for (int i = 0; i < 2; i++) {
				if (ioctl(output->streams[i].pipe, FIONREAD, &n) == 0)
					left += n;
			}
			(void)pthread_mutex_unlock(&output->lock);
		}
		if (!left)
			return;
		(void)poll(NULL, 0, 1);
	}
}
