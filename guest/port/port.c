/* SPDX-License-Identifier: MIT */
/*
 * The port over which PID 1 talks to the host: host calls where the machine serves them, else a
 * virtio-serial port. There is one; PID 1 opens it once, or takes it over from the program that it
 * has replaced (guest/init/update.c), and keeps it until the machine ends.
 *
 * With host calls the guest stands still until it has what it asked for. It asks for exactly what
 * is missing of a frame, so that what it executes does not depend on when bytes arrive.
 *
 * Any thread may send: a lock keeps the frames whole. Only one thread may receive. Frames are
 * numbered in both directions, and the numbers must continue when a newer PID 1 takes over: a lost
 * frame is an error.
 */
#include "guest/port/port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/netlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/port/hostcall.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define PORTS_DIR "/sys/class/virtio-ports"

struct kt_port {
	int fd;                    /* -1: host calls */
	pthread_mutex_t send_lock; /* guards tx, and is held while one frame is written */
	struct kt_frame_tx tx;
	struct kt_frame_rx rx;
	uint8_t buffer[16384]; /* what one read(2) has brought: perhaps several frames */
	const uint8_t *unread; /* the part of @buffer that rx has not taken yet */
	size_t n_unread;
};

/*
 * Finds the device of the port by its name, as its number depends on the machine. Returns 0, or
 * -ENOENT when the port does not exist or the kernel has not announced it yet.
 */
static int find_port(char *path, size_t room)
{
	DIR *dir = opendir(PORTS_DIR);
	int r = -ENOENT;

	if (!dir)
		return -errno;
	for (struct dirent *ent; r && (ent = readdir(dir));) {
		char name_path[PATH_MAX];
		KT_FREE char *name = NULL;

		(void)snprintf(name_path, sizeof(name_path), "%s/name", ent->d_name);
		if (ent->d_name[0] == '.' ||
		    kt_file_read_at(dirfd(dir), name_path, 256, &name, NULL) < 0)
			continue;
		name[strcspn(name, "\n")] = '\0';
		if (strcmp(name, KT_WIRE_PORT_NAME))
			continue;
		(void)snprintf(path, room, "/dev/%s", ent->d_name);
		r = 0;
	}
	(void)closedir(dir);
	return r;
}

/*
 * Waits until the kernel announces a device, any device. Without a socket (@uevents < 0) it waits a
 * millisecond, and the caller looks again.
 */
static void wait_uevent(int uevents, uint64_t deadline_ns)
{
	struct pollfd waiting = { .fd = uevents, .events = POLLIN };
	char event[4096];

	(void)poll(&waiting, 1, uevents < 0 ? 1 : kt_left_ms(deadline_ns));
	while (uevents >= 0 && recv(uevents, event, sizeof(event), MSG_DONTWAIT) > 0)
		;
}

/* Listens to the kernel's uevents. Returns -1 when that is not possible. */
static int open_uevents(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fd = kt_close(fd);
	return fd;
}

/*
 * Opens the port, waiting for it if necessary. The kernel probes the virtio device before user
 * space starts, but learns of its ports and their names over a control queue, which a kernel worker
 * reads: the first look may be too early.
 */
static int open_port(uint64_t deadline_ns, struct kt_err *reterr)
{
	KT_CLOSE int uevents = open_uevents();
	char path[PATH_MAX] = PORTS_DIR;

	for (;;) {
		int r = find_port(path, sizeof(path));

		if (r == 0) {
			int fd = open(path, O_RDWR | O_CLOEXEC);

			if (fd >= 0)
				return fd;
			r = -errno;
		}
		if (!kt_left_ns(deadline_ns))
			return kt_err_set(reterr, r,
					  "no virtio port '%s' (%s: %m); the kernel needs "
					  "CONFIG_VIRTIO_PCI=y and CONFIG_VIRTIO_CONSOLE=y",
					  KT_WIRE_PORT_NAME, path);
		wait_uevent(uevents, deadline_ns);
	}
}

int kt_port_adopt(int fd, struct kt_port_position position, struct kt_port **ret_port,
		  struct kt_err *reterr)
{
	struct kt_port *port = calloc(1, sizeof(*port));

	if (!port)
		return kt_err_oom(reterr);
	port->fd = fd;
	port->rx.sequence = position.received;
	port->tx.sequence = position.sent;
	(void)pthread_mutex_init(&port->send_lock, NULL);
	*ret_port = port;
	return 0;
}

int kt_port_open(uint64_t deadline_ns, struct kt_port **ret_port, struct kt_err *reterr)
{
	int fd;

	if (kt_hostcall_served())
		return kt_port_adopt(-1, (struct kt_port_position){ 0, 0 }, ret_port, reterr);
	fd = open_port(deadline_ns, reterr);
	return fd < 0 ? fd : kt_port_adopt(fd, (struct kt_port_position){ 0, 0 }, ret_port, reterr);
}

struct kt_port_position kt_port_position(const struct kt_port *port)
{
	return (struct kt_port_position){ port->rx.sequence, port->tx.sequence };
}

int kt_port_fd(const struct kt_port *port)
{
	return port->fd;
}

int kt_port_buffered(const struct kt_port *port)
{
	return port->n_unread > 0;
}

bool kt_port_poll(const struct kt_port *port, unsigned int ms)
{
	return port->fd < 0 && kt_hostcall_poll(ms);
}

static int write_bytes(const struct kt_port *port, const void *data, size_t len)
{
	return port->fd < 0 ? kt_hostcall_send(data, len) : kt_write_full(port->fd, data, len);
}

/* Writes one frame, header first. The caller holds the lock. */
static int send_locked(struct kt_port *port, enum kt_message type, const void *payload, size_t len)
{
	uint8_t header[KT_FRAME_HEADER_LEN];
	int r;

	kt_frame_seal(&port->tx, type, payload, (uint32_t)len, header);
	r = write_bytes(port, header, sizeof(header));
	return r < 0 ? r : write_bytes(port, payload, len);
}

/* Likewise, but stands still behind the last byte. */
static int ask_locked(struct kt_port *port, enum kt_message type, const void *payload, size_t len)
{
	uint8_t header[KT_FRAME_HEADER_LEN];
	int r;

	if (port->fd >= 0)
		return send_locked(port, type, payload, len);
	kt_frame_seal(&port->tx, type, payload, (uint32_t)len, header);
	if (!len)
		return kt_hostcall_ask(header, sizeof(header));
	r = kt_hostcall_send(header, sizeof(header));
	return r < 0 ? r : kt_hostcall_ask(payload, len);
}

int kt_port_send(struct kt_port *port, enum kt_message type, const void *payload, size_t len)
{
	int r;

	if (len > KT_FRAME_PAYLOAD_MAX)
		return -EMSGSIZE;
	(void)pthread_mutex_lock(&port->send_lock);
	r = send_locked(port, type, payload, len);
	(void)pthread_mutex_unlock(&port->send_lock);
	return r;
}

int kt_port_send_and_stand(struct kt_port *port, enum kt_message type)
{
	int r;

	(void)pthread_mutex_lock(&port->send_lock);
	r = ask_locked(port, type, NULL, 0);
	(void)pthread_mutex_unlock(&port->send_lock);
	return r;
}

int kt_port_ask(struct kt_port *port, enum kt_message ask, enum kt_message answer,
		const void *payload, size_t len, uint64_t deadline_ns, struct kt_frame *ret_frame,
		struct kt_err *reterr)
{
	char sent[5], due[5];
	int r;

	if (!len || len > KT_FRAME_PAYLOAD_MAX)
		return kt_err_set(reterr, -EMSGSIZE, "a request of %zu bytes", len);
	(void)pthread_mutex_lock(&port->send_lock);
	r = ask_locked(port, ask, payload, len);
	(void)pthread_mutex_unlock(&port->send_lock);
	if (r < 0)
		return kt_err_set(reterr, r, "asking the host: %m");
	r = kt_port_receive(port, deadline_ns, ret_frame, reterr);
	if (r == 0 && ret_frame->type != answer)
		r = kt_err_set(reterr, -EPROTO, "the host sent '%s' where '%s' was due",
			       kt_frame_type_text(ret_frame->type, sent),
			       kt_frame_type_text(answer, due));
	return r;
}

int kt_port_send_last_words(struct kt_port *port, enum kt_message type, const void *payload,
			    size_t len)
{
	/*
	 * The interrupted thread may hold the lock itself and never release it. After a second the
	 * frame is sent anyway: it may be garbled, but otherwise it would be missing.
	 */
	for (int i = 0; i < 1000 && pthread_mutex_trylock(&port->send_lock); i++)
		(void)poll(NULL, 0, 1);
	return send_locked(port, type, payload, len);
}

/* Returns 1 when there is something to read, 0 when the caller has to call again, or an error. */
static int wait_readable(const struct kt_port *port, uint64_t deadline_ns, struct kt_err *reterr)
{
	struct pollfd waiting = { .fd = port->fd, .events = POLLIN };

	if (kt_poll(&waiting, 1, deadline_ns) < 0)
		return kt_err_set(reterr, -errno, "waiting for the host: %m");
	if (waiting.revents & POLLIN)
		return 1;
	if (waiting.revents & POLLHUP)
		return kt_err_set(reterr, -EPIPE, "the host closed the port");
	if (kt_left_ns(deadline_ns))
		return 0;
	return kt_err_set(reterr, -ETIMEDOUT, "timed out waiting for a frame from the host");
}

/* Reads into the buffer, which rx has used up. Returns 0 also when nothing came. */
static int fill_buffer(struct kt_port *port, uint64_t deadline_ns, struct kt_err *reterr)
{
	ssize_t n;
	int r;

	/*
	 * Without a deadline read() blocks by itself. PID 1 of a restored machine wakes up here,
	 * and each further system call would have to be translated by TCG first.
	 */
	r = deadline_ns == KT_NSEC_NEVER ? 1 : wait_readable(port, deadline_ns, reterr);
	if (r <= 0)
		return r;
	n = read(port->fd, port->buffer, sizeof(port->buffer));
	if (n < 0)
		return errno == EINTR || errno == EAGAIN
			       ? 0
			       : kt_err_set(reterr, -errno, "reading from the host: %m");
	if (n == 0)
		return kt_err_set(reterr, -EPIPE, "the host closed the port");
	port->unread = port->buffer;
	port->n_unread = (size_t)n;
	return 0;
}

/* Asks for what is missing of the frame, at most a buffer of it. No deadline: no time passes. */
static int call_host(struct kt_port *port, struct kt_err *reterr)
{
	size_t len = KT_MIN(kt_frame_rx_missing(&port->rx), sizeof(port->buffer));
	int r = kt_hostcall_receive(port->buffer, len);

	if (r < 0)
		return kt_err_set(reterr, r, "host call: %m");
	port->unread = port->buffer;
	port->n_unread = len;
	return 0;
}

void kt_port_linger(struct kt_port *port, int ms)
{
	struct pollfd waiting = { .fd = port->fd, .events = POLLIN };
	uint8_t byte;

	if (port->fd < 0)
		(void)kt_hostcall_receive(&byte, sizeof(byte));
	else
		(void)poll(&waiting, 1, ms);
}

int kt_port_receive(struct kt_port *port, uint64_t deadline_ns, struct kt_frame *ret_frame,
		    struct kt_err *reterr)
{
	for (;;) {
		int r = kt_frame_rx_take(&port->rx, &port->unread, &port->n_unread, ret_frame,
					 reterr);

		if (r < 0)
			return r;
		if (r > 0)
			return 0;
		r = port->fd < 0 ? call_host(port, reterr) : fill_buffer(port, deadline_ns, reterr);
		if (r < 0)
			return r;
	}
}
