/* SPDX-License-Identifier: MIT */
#include "guest/test/trace.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "wire/message.h"

/*
 * A trace instance of our own: tests may use the global buffer. The kernel overwrites what is
 * oldest, so a long test keeps its end. Marks are in the form of Android's atrace, which readers of
 * such traces know; they are on the same clock as the events of the kernel.
 */

#define INSTANCE      "/sys/kernel/tracing/instances/ktest-sched"
#define BUFFER_KIB    8192u /* of all CPUs together */
#define CPU_KIB_MAX   1024u
#define MARK_MAX      200u /* bytes */
#define PIECE_MAX     ((size_t)256 << 10)
#define MARKED_THREAD 1 /* PID 1, whom the marks are of */

static int marker = -1; /* -1: there is no trace */

/* What is to be written where, in this order. */
static const struct {
	const char *path, *text;
} settings[] = {
	{ INSTANCE "/trace_clock", "mono" },
	{ INSTANCE "/events/sched/sched_switch/enable", "1" },
	{ INSTANCE "/events/sched/sched_waking/enable", "1" },
};

static int set_up(struct kt_err *reterr)
{
	long cpus = KT_MAX(sysconf(_SC_NPROCESSORS_ONLN), 1L);
	char kib[32];
	int r;

	if (mkdir(INSTANCE, 0755) < 0)
		return kt_err_set(reterr, -errno, "--trace-sched: " INSTANCE ": %m");
	(void)snprintf(kib, sizeof(kib), "%u",
		       KT_MIN(BUFFER_KIB / (unsigned int)cpus + 1, CPU_KIB_MAX));
	r = kt_file_write(INSTANCE "/buffer_size_kb", kib);
	if (r < 0)
		return kt_err_set(reterr, r, "--trace-sched: a buffer of %s KiB: %m", kib);
	for (size_t i = 0; i < KT_ARRAY_LEN(settings); i++) {
		r = kt_file_write(settings[i].path, settings[i].text);
		if (r < 0)
			return kt_err_set(reterr, r, "--trace-sched: %s: %m", settings[i].path);
	}
	return 0;
}

int kt_trace_begin(struct kt_err *reterr)
{
	int r;

	if (!getenv(KT_TRACE_VARIABLE))
		return 0;
	r = set_up(reterr);
	if (r < 0)
		return r;
	marker = open(INSTANCE "/trace_marker", O_WRONLY | O_CLOEXEC);
	return marker < 0 ? kt_err_set(reterr, -errno, "--trace-sched: its marker: %m") : 0;
}

/* A record is what one write(2) brings. */
static void put_mark(char kind, const char *what, const char *name)
{
	char text[MARK_MAX];

	if (marker < 0)
		return;
	(void)snprintf(text, sizeof(text), "%c|%d|%s%s%s", kind, MARKED_THREAD, what,
		       *name ? " " : "", name);
	for (char *at = text; *at; at++) {
		if (*at == '\n')
			*at = ' ';
	}
	(void)write(marker, text, strlen(text));
}

void kt_trace_mark_begin(const char *what, const char *name)
{
	put_mark('B', what, name);
}

void kt_trace_mark_end(void)
{
	put_mark('E', "", "");
}

void kt_trace_mark(const char *what, const char *name)
{
	put_mark('I', what, name);
}

static int send_text(struct kt_port *port)
{
	KT_FREE char *bytes = malloc(PIECE_MAX);
	KT_CLOSE int fd = open(INSTANCE "/trace", O_RDONLY | O_CLOEXEC);
	ssize_t n;
	int r = 0;

	if (!bytes)
		return -ENOMEM;
	if (fd < 0)
		return -errno;
	while (r == 0 && (n = read(fd, bytes, PIECE_MAX)) > 0)
		r = kt_port_send(port, KT_MSG_TRACE, bytes, (size_t)n);
	return r ?: n < 0 ? -errno : 0;
}

/*
 * The trace is on the clock of this machine; by this line its reader knows where on it the test
 * began. Programs that know ftrace skip lines that begin so.
 */
static int send_beginning(struct kt_port *port, uint64_t began_ns)
{
	char text[80];
	int len = snprintf(text, sizeof(text),
			   "# ktest: the test began at %" PRIu64 ".%09" PRIu64 "\n",
			   began_ns / KT_NSEC_PER_SEC, began_ns % KT_NSEC_PER_SEC);

	return kt_port_send(port, KT_MSG_TRACE, text, (size_t)len);
}

int kt_trace_end(struct kt_port *port, uint64_t began_ns, struct kt_err *reterr)
{
	int r;

	if (marker < 0)
		return 0;
	r = kt_file_write(INSTANCE "/tracing_on", "0")
		    ?: send_text(port) ?: send_beginning(port, began_ns);
	marker = kt_close(marker);
	(void)rmdir(INSTANCE);
	return r < 0 ? kt_err_set(reterr, r, "--trace-sched: reading the trace: %m") : 0;
}
