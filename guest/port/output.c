/* SPDX-License-Identifier: MIT */
/*
 * Forwards standard output and error of PID 1 and of its children to the host: each is a pipe,
 * which a thread empties into frames.
 *
 * Output must reach the host before the result of the test. The caller that sends the result
 * therefore flushes the pipes itself, under the same lock as the thread, and does not wait for the
 * thread. Flushing an empty pipe costs almost nothing; waking up a thread is expensive in a guest
 * that was just restored, where everything happens for the first time.
 */
#include "guest/port/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

struct stream {
	int number;           /* the descriptor: 1 or 2 */
	enum kt_message type; /* of its frames */
	int console;          /* a duplicate of what the descriptor was before */
	int pipe;             /* read end, non-blocking */
};

/* Exists as long as PID 1 runs; so does its thread. */
struct kt_output {
	struct kt_port *port; /* borrowed */
	int timer;            /* a timerfd of the thread */
	void (*on_timer)(void *data);
	void *data; /* for on_timer() */
	struct stream streams[2];
	pthread_mutex_t lock; /* held from reading a chunk until it is sent: keeps their order */
};

/* Sends one chunk, of KT_STDIO_CHUNK_MAX bytes at most. Returns false when the pipe is empty. */
static bool forward(const struct kt_output *output, const struct stream *stream)
{
	char chunk[KT_STDIO_CHUNK_MAX];
	ssize_t n = read(stream->pipe, chunk, sizeof(chunk));

	if (n > 0)
		(void)kt_port_send(output->port, stream->type, chunk, (size_t)n);
	return n > 0;
}

/* The thread. It never ends. */
static void *forward_all(void *data)
{
	struct kt_output *output = data;
	struct pollfd waiting[3] = {
		{ .fd = output->streams[0].pipe, .events = POLLIN },
		{ .fd = output->streams[1].pipe, .events = POLLIN },
		{ .fd = output->timer, .events = POLLIN },
	};

	for (;;) {
		if (poll(waiting, 3, -1) < 0)
			continue;
		if (waiting[2].revents && read(output->timer, &(uint64_t){ 0 }, 8) == 8)
			output->on_timer(output->data);
		(void)pthread_mutex_lock(&output->lock);
		for (int i = 0; i < 2; i++) {
			if (waiting[i].revents)
				(void)forward(output, &output->streams[i]);
		}
		(void)pthread_mutex_unlock(&output->lock);
	}
	return NULL;
}

/*
 * Replaces the descriptor by the write end of a pipe. Children inherit the descriptor, but not the
 * read end and the old console.
 */
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

/*
 * Before every fork, of the framework and of a test: half a line in a buffer would be written by
 * the child too, and into the log of a scheduler that the child becomes.
 */
static void flush_streams(void)
{
	(void)fflush(stdout);
	(void)fflush(stderr);
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
	output->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = output->timer < 0 ? -errno
			      : redirect(&output->streams[0]) ?: redirect(&output->streams[1]);
	if (r == 0)
		r = -pthread_create(&thread, NULL, forward_all, output);
	/* On failure PID 1 powers the machine off: nothing needs to be undone. */
	if (r < 0)
		return kt_err_set(reterr, r, "cannot forward standard output: %m");
	/* Line buffering: a crash loses at most an incomplete line. */
	(void)setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	(void)pthread_atfork(flush_streams, NULL, NULL);
	*ret_output = output;
	return 0;
}

void kt_output_call_at(struct kt_output *output, uint64_t at_ns, void (*fn)(void *data), void *data)
{
	const struct itimerspec at = { .it_value = kt_timespec(at_ns) };

	output->on_timer = fn;
	output->data = data;
	(void)timerfd_settime(output->timer, TFD_TIMER_ABSTIME, &at, NULL);
}

void kt_output_flush(struct kt_output *output, uint64_t deadline_ns)
{
	bool more;

	flush_streams();
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

/*
 * Only async-signal-safe calls, but for trylock: a thread that crashes while it holds the lock
 * makes this wait for @ms and give up.
 */
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
