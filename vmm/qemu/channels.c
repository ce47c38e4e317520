/* SPDX-License-Identifier: MIT */
#include "vmm/qemu/channels.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/qemu/plugin.h"
#include "vmm/qemu/state.h"

/*
 * The console, the bulk port and the gdbstub are socket pairs, like QMP; QEMU's output is a pipe.
 * With host calls the console is a file, and a pipe has the alarm. What the owner is told of them
 * comes in the order in which the guest has sent it, as far as the channels can tell.
 */

#define CONSOLE_FREE_BYTES (1 << 20)
#define CONSOLE_POLL_NS    (100 * KT_NSEC_PER_MSEC) /* between looks at a console that is a file */

/*
 * Reads once. Returns false when nothing was read: at the end of the stream, or when nothing is
 * there.
 */
static bool read_channel(struct qemu *qemu, struct channel *channel,
			 void (*deliver)(struct qemu *qemu, const uint8_t *bytes, size_t len))
{
	uint8_t bytes[65536];
	ssize_t n = read(channel->fd, bytes, sizeof(bytes));

	if (n > 0) {
		deliver(qemu, bytes, (size_t)n);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR))
		kt_loop_remove(qemu->machine.loop, &channel->source);
	return false;
}

static void deliver_console(struct qemu *qemu, const uint8_t *bytes, size_t len)
{
	qemu->machine.events->console(qemu->machine.data, bytes, len);
}

/*
 * Reads what is new in a console that is a file, and gives the memory back: a guest may write to it
 * as long as it runs.
 */
static void read_console_file(struct qemu *qemu)
{
	off_t at;

	while (read_channel(qemu, &qemu->console, deliver_console))
		;
	at = lseek(qemu->console.fd, 0, SEEK_CUR);
	if (at - qemu->console_freed < CONSOLE_FREE_BYTES)
		return;
	(void)fallocate(qemu->console.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, at);
	qemu->console_freed = at;
}

/*
 * A console that is a file has no events. What it has got before the frame may explain the frame.
 */
static void deliver_port(struct qemu *qemu, const uint8_t *bytes, size_t len)
{
	if (qemu->plugin_fd >= 0)
		read_console_file(qemu);
	qemu->machine.events->port(qemu->machine.data, bytes, len);
}

static void deliver_output(struct qemu *qemu, const uint8_t *bytes, size_t len)
{
	size_t n = KT_MIN(len, sizeof(qemu->said) - 1 - qemu->n_said);

	memcpy(qemu->said + qemu->n_said, bytes, n);
	qemu->n_said += n;
}

static void on_console(void *data, uint32_t events)
{
	(void)events;
	(void)read_channel(data, &((struct qemu *)data)->console, deliver_console);
}

static void on_console_timer(void *data)
{
	struct qemu *qemu = data;

	read_console_file(qemu);
	kt_timer_arm(qemu->machine.loop, &qemu->console_timer, kt_now_ns() + CONSOLE_POLL_NS);
}

static void deliver_alarm(struct qemu *qemu, const uint8_t *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	/* What the guest sent before its limit comes first. It stands still now. */
	while (read_channel(qemu, &qemu->port, deliver_port))
		;
	read_console_file(qemu);
	qemu->machine.events->expired(qemu->machine.data);
}

static void on_alarm(void *data, uint32_t events)
{
	(void)events;
	(void)read_channel(data, &((struct qemu *)data)->alarm, deliver_alarm);
}

static void on_output(void *data, uint32_t events)
{
	(void)events;
	(void)read_channel(data, &((struct qemu *)data)->output, deliver_output);
}

/* Sends what the socket takes; EPOLLOUT is watched as long as something is left. */
static void flush_port(struct qemu *qemu)
{
	struct kt_buffer *unsent = &qemu->unsent;

	while (unsent->len) {
		ssize_t n =
			send(qemu->port.fd, unsent->data, unsent->len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		/* After an error QEMU is gone, and the bytes are dropped. */
		kt_buffer_consume(unsent, n < 0 ? unsent->len : (size_t)n);
	}
	if (qemu->port.source.fd >= 0)
		(void)kt_loop_modify(qemu->machine.loop, &qemu->port.source,
				     unsent->len ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void on_port(void *data, uint32_t events)
{
	struct qemu *qemu = data;

	if (events & EPOLLOUT)
		flush_port(qemu);
	if (events & ~(uint32_t)EPOLLOUT)
		(void)read_channel(qemu, &qemu->port, deliver_port);
}

int kt_qemu_port_write(struct kt_machine *machine, const struct iovec *parts, size_t n)
{
	struct qemu *qemu = kt_qemu_of(machine);
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = kt_buffer_append(&qemu->unsent, parts[i].iov_base, parts[i].iov_len);
	if (r == 0)
		flush_port(qemu);
	return r;
}

void kt_qemu_read_port(struct qemu *qemu)
{
	while (qemu->stopped && !qemu->paused && read_channel(qemu, &qemu->port, deliver_port))
		;
}

void kt_qemu_read_output(struct qemu *qemu)
{
	while (read_channel(qemu, &qemu->output, deliver_output))
		;
}

void kt_qemu_drain(struct qemu *qemu)
{
	(void)kt_qmp_dispatch(qemu->qmp);
	kt_qemu_read_output(qemu);
	while (read_channel(qemu, &qemu->console, deliver_console))
		;
	while (read_channel(qemu, &qemu->port, deliver_port))
		;
}

/* Makes a socket pair: a non-blocking near end for this process, a far end for the child. */
static int make_pair(int *ret_near, int *ret_far)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	*ret_near = ends[0];
	*ret_far = ends[1];
	return 0;
}

void kt_qemu_close_far_ends(struct kt_qemu_far_ends *far)
{
	far->fds.qmp = kt_close(far->fds.qmp);
	far->fds.console = kt_close(far->fds.console);
	far->fds.port = kt_close(far->fds.port);
	far->fds.gdb = kt_close(far->fds.gdb);
	far->fds.alarm = kt_close(far->fds.alarm);
	far->fds.disk = kt_close(far->fds.disk);
	far->output = kt_close(far->output);
}

static int open_gdb(struct qemu *qemu, struct kt_qemu_far_ends *far)
{
	int fd, r = make_pair(&fd, &far->fds.gdb);

	if (r < 0)
		return r;
	r = kt_gdb_new(fd, &qemu->gdb);
	if (r < 0)
		(void)kt_close(fd);
	return r;
}

static int open_where(struct qemu *qemu, struct kt_qemu_far_ends *far)
{
	size_t len = kt_whereabouts_len(qemu->n_vcpus);
	void *map;

	far->fds.where = qemu->where_fd = memfd_create("ktest-where", MFD_CLOEXEC);
	if (qemu->where_fd < 0 || ftruncate(qemu->where_fd, (off_t)len) < 0)
		return -errno;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, qemu->where_fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	qemu->where = map;
	qemu->where->n_vcpus = qemu->n_vcpus;
	return 0;
}

/* QEMU opens the console's file anew, so that each side has a file position of its own. */
static int open_host_calls(struct qemu *qemu, const struct kt_machine_config *config,
			   struct kt_qemu_far_ends *far)
{
	int alarm[2], r = kt_plugin_open(&qemu->plugin_fd);

	if (r < 0)
		return r;
	far->fds.plugin = qemu->plugin_fd;
	far->fds.conflicts = config->conflicts;
	qemu->console.fd = memfd_create("ktest-console", MFD_CLOEXEC);
	far->fds.console = fcntl(qemu->console.fd, F_DUPFD_CLOEXEC, 3);
	far->fds.stand = qemu->stand_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (far->fds.console < 0 || qemu->stand_fd < 0 || pipe2(alarm, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(alarm[0], F_SETFL, O_NONBLOCK);
	qemu->alarm.fd = alarm[0];
	far->fds.alarm = alarm[1];
	return open_where(qemu, far);
}

int kt_qemu_open_channels(struct qemu *qemu, const struct kt_machine_config *config,
			  kt_qmp_event_fn on_event, struct kt_qemu_far_ends *far)
{
	int qmp_fd, output[2], r;

	r = make_pair(&qmp_fd, &far->fds.qmp);
	if (r < 0)
		return r;
	r = kt_qmp_new(qmp_fd, on_event, qemu, &qemu->qmp);
	if (r < 0) {
		(void)kt_close(qmp_fd);
		return r;
	}
	r = make_pair(&qemu->port.fd, &far->fds.port);
	if (r == 0)
		r = config->host_calls ? open_host_calls(qemu, config, far)
				       : make_pair(&qemu->console.fd, &far->fds.console);
	if (r == 0)
		r = open_gdb(qemu, far);
	if (r == 0 && kt_machine_has_disk(config))
		r = kt_machine_open_disk(config, &far->fds.disk);
	if (r < 0)
		return r;
	if (pipe2(output, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(output[0], F_SETFL, O_NONBLOCK);
	qemu->output.fd = output[0];
	far->output = output[1];
	return 0;
}

static int watch(struct qemu *qemu, struct kt_source *source, int fd, kt_source_fn fn)
{
	*source = (struct kt_source){ .fd = fd, .events = EPOLLIN, .fn = fn, .data = qemu };
	return kt_loop_add(qemu->machine.loop, source);
}

static int watch_console(struct qemu *qemu)
{
	if (qemu->plugin_fd < 0)
		return watch(qemu, &qemu->console.source, qemu->console.fd, on_console);
	qemu->console_timer = (struct kt_timer){ .fn = on_console_timer, .data = qemu };
	kt_timer_arm(qemu->machine.loop, &qemu->console_timer, kt_now_ns() + CONSOLE_POLL_NS);
	return watch(qemu, &qemu->alarm.source, qemu->alarm.fd, on_alarm);
}

int kt_qemu_watch_channels(struct qemu *qemu)
{
	return watch(qemu, &qemu->port.source, qemu->port.fd, on_port) ?:
	       watch(qemu, &qemu->output.source, qemu->output.fd, on_output) ?:
	       watch_console(qemu);
}

void kt_qemu_unwatch_channels(struct qemu *qemu)
{
	struct kt_loop *loop = qemu->machine.loop;

	kt_loop_remove(loop, &qemu->console.source);
	kt_loop_remove(loop, &qemu->port.source);
	kt_loop_remove(loop, &qemu->output.source);
	kt_loop_remove(loop, &qemu->alarm.source);
	kt_timer_disarm(loop, &qemu->console_timer);
}

void kt_qemu_close_channels(struct qemu *qemu)
{
	qemu->qmp = kt_qmp_free(qemu->qmp);
	qemu->gdb = kt_gdb_free(qemu->gdb);
	qemu->console.fd = kt_close(qemu->console.fd);
	qemu->port.fd = kt_close(qemu->port.fd);
	qemu->output.fd = kt_close(qemu->output.fd);
	qemu->alarm.fd = kt_close(qemu->alarm.fd);
	qemu->stand_fd = kt_close(qemu->stand_fd);
	qemu->plugin_fd = kt_close(qemu->plugin_fd);
	qemu->where_fd = kt_close(qemu->where_fd);
	if (qemu->where)
		(void)munmap(qemu->where, kt_whereabouts_len(qemu->n_vcpus));
	qemu->where = NULL;
	kt_buffer_deinit(&qemu->unsent);
}
