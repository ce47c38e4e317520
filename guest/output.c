/* SPDX-License-Identifier: MIT */
#include "guest/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

struct stream {
	int number; /* 1 or 2 */
	enum kt_message type;
	int console; /* what the descriptor was before */
	int pipe;    /* read end */
};

struct kt_output {
	struct kt_port *port;
	struct stream streams[2];
	pthread_t thread;
};

static void forward(struct kt_output *output, struct stream *stream)
{
	char chunk[KT_STDIO_CHUNK_MAX];
	ssize_t n = read(stream->pipe, chunk, sizeof(chunk));

	if (n > 0)
		(void)kt_port_send(output->port, stream->type, chunk, (size_t)n);
	else if (n == 0)
		stream->pipe = kt_close(stream->pipe);
}

static void *forward_all(void *data)
{
	struct kt_output *output = data;
	struct stream *streams = output->streams;

	while (streams[0].pipe >= 0 || streams[1].pipe >= 0) {
		struct pollfd waiting[2] = {
			{ .fd = streams[0].pipe, .events = POLLIN },
			{ .fd = streams[1].pipe, .events = POLLIN },
		};

		if (poll(waiting, 2, -1) < 0 && errno != EINTR)
			break;
		for (int i = 0; i < 2; i++) {
			if (waiting[i].revents)
				forward(output, &streams[i]);
		}
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
	if (dup2(ends[1], stream->number) < 0)
		return -errno;
	(void)kt_close(ends[1]);
	return 0;
}

int kt_output_start(struct kt_port *port, struct kt_output **ret_output, struct kt_err *reterr)
{
	struct kt_output *output = calloc(1, sizeof(*output));
	int r;

	if (!output)
		return kt_err_oom(reterr);
	output->port = port;
	output->streams[0] = (struct stream){ .number = STDOUT_FILENO, .type = KT_MSG_STDOUT };
	output->streams[1] = (struct stream){ .number = STDERR_FILENO, .type = KT_MSG_STDERR };
	r = redirect(&output->streams[0]) ?: redirect(&output->streams[1]);
	if (r == 0)
		r = -pthread_create(&output->thread, NULL, forward_all, output);
	if (r < 0) /* PID 1 ends right away: nothing to take back */
		return kt_err_set(reterr, r, "cannot forward standard output: %m");
	/* A crash loses nothing but the line in the making. */
	(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	*ret_output = output;
	return 0;
}

int kt_output_stop(struct kt_output *output, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct timespec until = {
		.tv_sec = (time_t)(deadline_ns / KT_NSEC_PER_SEC),
		.tv_nsec = (long)(deadline_ns % KT_NSEC_PER_SEC),
	};

	(void)fflush(stdout);
	(void)fflush(stderr);
	for (int i = 0; i < 2; i++) {
		(void)dup2(output->streams[i].console, output->streams[i].number);
		output->streams[i].console = kt_close(output->streams[i].console);
	}
	if (pthread_clockjoin_np(output->thread, NULL, CLOCK_MONOTONIC, &until))
		return kt_err_set(reterr, -ETIMEDOUT,
				  "a process that would not die still holds standard output");
	free(output);
	return 0;
}

void kt_output_drain(const struct kt_output *output, int ms)
{
	for (; ms > 0; ms--) {
		int left = 0, n = 0;

		for (int i = 0; i < 2; i++) {
			if (ioctl(output->streams[i].pipe, FIONREAD, &n) == 0)
				left += n;
		}
		if (!left)
			return;
		(void)poll(NULL, 0, 1);
	}
}
