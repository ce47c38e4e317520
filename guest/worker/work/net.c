/* SPDX-License-Identifier: MIT */
/*
 * Work on the network cards of a machine with .net: frames that eth0 sends come in at eth1, by an
 * interrupt of that card. PID 1 opens the sockets of each unit, of one worker, so that the worker
 * needs no privileges. A frame carries the number of its unit, and the filter of the receiving
 * socket passes no other: the frames of several workers do not mix.
 */
#include "guest/worker/type.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define SENDS    "eth0"
#define RECEIVES "eth1"

#define FD_SEND    0
#define FD_RECEIVE 1

#define ETHERTYPE           0x88b5u /* for local experiments (IEEE 802) */
#define FRAME_MIN           60u     /* without the checksum, which the card adds */
#define FRAME_MAX           1514u
#define DEFAULT_FRAME_BYTES 64u
#define DEFAULT_INTERVAL_US 1000u

/* The begin of a frame, in the order of the network; the rest is zeros. */
struct frame {
	uint8_t to[6], from[6];
	uint16_t type;
	uint32_t unit;
	uint32_t sequence;
} __attribute__((packed));

#define UNIT_OFFSET offsetof(struct frame, unit)

/* What PID 1 tells the worker of a unit. */
struct shared {
	uint32_t unit;
};

static size_t shared_len(const struct kt_work *work)
{
	(void)work;
	return sizeof(struct shared);
}

static int open_card(const char *name, unsigned int protocol, int *ret_fd)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons((uint16_t)protocol),
		.sll_ifindex = (int)if_nametoindex(name),
	};

	*ret_fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return *ret_fd < 0 || bind(*ret_fd, (struct sockaddr *)&at, sizeof(at)) < 0 ? -errno : 0;
}

/* A socket that was bound before it has its filter may have taken a frame of another unit. */
static int open_receiver(uint32_t unit, int *ret_fd)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, UNIT_OFFSET),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, unit, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, FRAME_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_fprog program = { KT_ARRAY_LEN(filter), filter };
	char frame[FRAME_MAX];
	int r = open_card(RECEIVES, ETHERTYPE, ret_fd);

	if (r < 0)
		return r;
	if (setsockopt(*ret_fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0)
		return -errno;
	while (recv(*ret_fd, frame, sizeof(frame), MSG_DONTWAIT) >= 0)
		;
	return 0;
}

/* Units are numbered from 1 on, by PID 1 alone. */
static int prepare(const struct kt_work *work, struct kt_unit *unit)
{
	static uint32_t n_units;
	struct shared *shared = unit->shared;

	(void)work;
	shared->unit = ++n_units;
	return open_card(SENDS, 0, &unit->fds[FD_SEND])
		       ?: open_receiver(shared->unit, &unit->fds[FD_RECEIVE]);
}

static void send_frame(struct kt_worker *worker, uint32_t sequence)
{
	const struct shared *shared = worker->unit->shared;
	uint8_t bytes[FRAME_MAX] = { 0 };
	const struct frame frame = {
		.to = { 2, 0, 0, 0, 0, 2 },
		.from = { 2, 0, 0, 0, 0, 1 },
		.type = htons(ETHERTYPE),
		.unit = htonl(shared->unit),
		.sequence = htonl(sequence),
	};
	size_t len = worker->work->frame_bytes ?: DEFAULT_FRAME_BYTES;

	memcpy(bytes, &frame, sizeof(frame));
	/* A queue that is full loses the frame, as on any network. */
	if (send(worker->unit->fds[FD_SEND], bytes, len, 0) < 0 && errno != ENOBUFS &&
	    errno != EAGAIN)
		kt_worker_fail(worker, "sending a frame on " SENDS);
}

/* Takes all frames that are there. Whether the one with the number @sequence was among them. */
static bool take_frames(struct kt_worker *worker, uint32_t sequence)
{
	struct frame frame;
	bool found = false;

	while (recv(worker->unit->fds[FD_RECEIVE], &frame, sizeof(frame), 0) ==
	       (ssize_t)sizeof(frame))
		found |= ntohl(frame.sequence) == sequence;
	return found;
}

static uint64_t interval_ns(const struct kt_worker *worker)
{
	return (worker->work->interval_us ?: DEFAULT_INTERVAL_US) * KT_NSEC_PER_USEC;
}

/* Frames at a rate: one that is late does not delay those behind it. */
static void net_traffic(struct kt_worker *worker)
{
	uint64_t due_ns = kt_now_ns();

	for (uint32_t n = 0; !kt_worker_stopping(worker); n++) {
		send_frame(worker, n);
		(void)take_frames(worker, n);
		kt_worker_done(worker);
		due_ns = KT_MAX(due_ns + interval_ns(worker), kt_now_ns());
		(void)kt_worker_sleep_until(worker, due_ns);
	}
}

/* A frame that was lost ends with the worker: the wait has no other end. */
static void irq_wake(struct kt_worker *worker)
{
	for (uint32_t n = 0; !kt_worker_stopping(worker); n++) {
		uint64_t sent_ns = kt_now_ns();
		bool came = false;

		send_frame(worker, n);
		while (!came && kt_worker_wait_readable(worker, worker->unit->fds[FD_RECEIVE]))
			came = take_frames(worker, n);
		if (!came)
			return;
		kt_worker_latency(worker, kt_now_ns() - sent_ns);
		kt_worker_done(worker);
		(void)kt_worker_sleep_until(worker, sent_ns + interval_ns(worker));
	}
}

static const char *net_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	unsigned int bytes = work->frame_bytes ?: DEFAULT_FRAME_BYTES;

	(void)topology;
	return bytes < FRAME_MIN || bytes > FRAME_MAX ? ".frame_bytes must be within 60..1514"
						      : NULL;
}

static const char *net_lacks(const struct kt_work *work)
{
	(void)work;
	return if_nametoindex(SENDS) && if_nametoindex(RECEIVES)
		       ? NULL
		       : "network cards: the test needs .net = true";
}

#define NET .shared_len = shared_len, .prepare = prepare, .fault = net_fault, .lacks = net_lacks

const struct kt_work_ops kt_net_works[KT_N_WORK_TYPES] = {
	[KT_NET_TRAFFIC] = { .name = "NetTraffic", .body = net_traffic, NET },
	[KT_IRQ_WAKE] = { .name = "IrqWake", .body = irq_wake, NET },
};
