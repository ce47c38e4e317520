/* SPDX-License-Identifier: MIT */
/*
 * Queues (virtio 1.2, 5.3): 0 and 1 belong to port 0, which does not exist here, as on the QEMU
 * machine, where it is kept for another kind of port. 2 and 3 are for control messages, 4 and 5 for
 * port 1. The first of each pair goes to the guest.
 *
 * The guest says that it is ready, and is told that there is a port; it says that the port is
 * ready, and is told its name, and that the host listens. What it must be told is a set of bits: a
 * guest that asks again and again, and never reads, makes nothing grow.
 *
 * Bytes for the guest wait in a buffer of ours until a process has opened the port: the driver
 * drops what comes earlier. Bytes of the guest are copied under the device lock, and handed on
 * without it, in a buffer that vCPUs no longer reach. A round takes a limited number of them and
 * then lets the loop do other work.
 *
 * Linux's driver spins until a control message, or what a process writes, was taken: requests are
 * taken in the thread of the vCPU. A loop that has to be scheduled for that would cost as much time
 * of the vCPU.
 */
#include "vmm/kvm/console.h"

#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "util/cleanup.h"
#include "wire/message.h"

#define QUEUE_CONTROL_IN  2u
#define QUEUE_CONTROL_OUT 3u
#define QUEUE_PORT_IN     4u
#define QUEUE_PORT_OUT    5u
#define N_QUEUES          6u

#define PORT       1u
#define MAX_PORTS  2u
#define QUEUE_SIZE 128u

#define ROUND_MAX   (256u << 10) /* bytes of the guest in one round */
#define REQUEST_MAX (1u << 20)   /* bytes of one request; Linux makes them of 32 KiB */
#define SAVED_MAX   (64u << 20)  /* bytes for the guest in a saved state */

#define OWED_ADD  1u /* in the order in which they are sent */
#define OWED_NAME 2u
#define OWED_OPEN 4u

#define NAME_LEN (sizeof(KT_WIRE_PORT_NAME) - 1)

/* The configuration space: no size in characters, and the number of ports. */
static const struct virtio_console_config config = { .max_nr_ports = MAX_PORTS };

static const uint8_t *get_config(void *data, size_t *ret_len)
{
	(void)data;
	*ret_len = sizeof(config);
	return (const uint8_t *)&config;
}

/* Composes the message of one bit; returns its length. */
static size_t make_message(unsigned int bit, uint8_t *bytes)
{
	struct virtio_console_control control = { .id = PORT, .value = 1 };
	size_t len = sizeof(control);

	control.event = VIRTIO_CONSOLE_PORT_OPEN;
	if (bit == OWED_ADD)
		control.event = VIRTIO_CONSOLE_PORT_ADD;
	if (bit == OWED_NAME) {
		control.event = VIRTIO_CONSOLE_PORT_NAME;
		memcpy(bytes + len, KT_WIRE_PORT_NAME, NAME_LEN);
		len += NAME_LEN;
	}
	memcpy(bytes, &control, sizeof(control));
	return len;
}

/* Sends what is owed, as far as the guest has buffers. */
static void send_control(struct kt_kvm_console *console)
{
	bool sent = false;

	while (console->owed) {
		uint8_t bytes[sizeof(struct virtio_console_control) + NAME_LEN];
		unsigned int bit = console->owed & -console->owed;
		size_t len = make_message(bit, bytes);
		struct kt_kvm_chain chain;

		if (!kt_kvm_virtio_pop(&console->virtio, QUEUE_CONTROL_IN, &chain))
			break;
		len = kt_kvm_chain_write(&chain, 0, bytes, len);
		kt_kvm_virtio_push(&console->virtio, QUEUE_CONTROL_IN, chain.head, (uint32_t)len);
		console->owed &= ~bit;
		sent = true;
	}
	if (sent)
		kt_kvm_virtio_interrupt(&console->virtio, QUEUE_CONTROL_IN);
}

/* Sends bytes to the port, as far as the guest has buffers. */
static void send_bytes(struct kt_kvm_console *console)
{
	struct kt_buffer *bytes = &console->to_guest;
	bool sent = false;

	while (console->open && bytes->len) {
		struct kt_kvm_chain chain;
		size_t n;

		if (!kt_kvm_virtio_pop(&console->virtio, QUEUE_PORT_IN, &chain))
			break;
		n = kt_kvm_chain_write(&chain, 0, bytes->data, KT_MIN(bytes->len, REQUEST_MAX));
		if (!n) {
			kt_kvm_virtio_break(&console->virtio,
					    "queue 4: a request has no room for bytes");
			return;
		}
		kt_buffer_consume(bytes, n);
		kt_kvm_virtio_push(&console->virtio, QUEUE_PORT_IN, chain.head, (uint32_t)n);
		sent = true;
	}
	if (sent)
		kt_kvm_virtio_interrupt(&console->virtio, QUEUE_PORT_IN);
}

/* A control message of the guest. Those that say that something failed change nothing. */
static void take_message(struct kt_kvm_console *console,
			 const struct virtio_console_control *control)
{
	if (control->event == VIRTIO_CONSOLE_DEVICE_READY && control->value)
		console->owed |= OWED_ADD;
	if (control->id != PORT)
		return;
	if (control->event == VIRTIO_CONSOLE_PORT_READY && control->value)
		console->owed |= OWED_NAME | OWED_OPEN;
	if (control->event == VIRTIO_CONSOLE_PORT_OPEN)
		console->open = control->value != 0;
}

static void take_control(struct kt_kvm_console *console)
{
	struct kt_kvm_chain chain;
	unsigned int n = 0;

	for (; n < QUEUE_SIZE; n++) {
		struct virtio_console_control control = { .id = 0 };

		if (!kt_kvm_virtio_pop(&console->virtio, QUEUE_CONTROL_OUT, &chain))
			break;
		if (kt_kvm_chain_read(&chain, 0, &control, sizeof(control)) == sizeof(control))
			take_message(console, &control);
		kt_kvm_virtio_push(&console->virtio, QUEUE_CONTROL_OUT, chain.head, 0);
	}
	if (!n)
		return;
	kt_kvm_virtio_interrupt(&console->virtio, QUEUE_CONTROL_OUT);
	if (n == QUEUE_SIZE)
		kt_kvm_virtio_kick(&console->virtio, QUEUE_CONTROL_OUT); /* for the rest */
	send_control(console);
	send_bytes(console);
}

/* Copies a request of the guest. False: it cannot be kept, or breaks the rules. */
static bool take_request(struct kt_kvm_console *console, const struct kt_kvm_chain *chain)
{
	struct kt_buffer *bytes = &console->from_guest;

	if (!chain->out_len)
		return true; /* the buffer may have no memory yet */
	if (chain->out_len > REQUEST_MAX) {
		kt_kvm_virtio_break(&console->virtio, "queue 5: a request has more than 1 MiB");
		return false;
	}
	/* REQUEST_MAX and ROUND_MAX bound it. */
	if (kt_buffer_reserve(bytes, (size_t)chain->out_len) < 0) {
		kt_kvm_virtio_break(&console->virtio, "queue 5: the host is out of memory");
		return false;
	}
	bytes->len += kt_kvm_chain_read(chain, 0, bytes->data + bytes->len, (size_t)chain->out_len);
	return true;
}

static void take_bytes(struct kt_kvm_console *console)
{
	struct kt_kvm_chain chain;
	bool taken = false;

	while (console->from_guest.len < ROUND_MAX &&
	       kt_kvm_virtio_pop(&console->virtio, QUEUE_PORT_OUT, &chain)) {
		if (!take_request(console, &chain))
			return;
		kt_kvm_virtio_push(&console->virtio, QUEUE_PORT_OUT, chain.head, 0);
		taken = true;
	}
	if (taken)
		kt_kvm_virtio_interrupt(&console->virtio, QUEUE_PORT_OUT);
	if (console->from_guest.len >= ROUND_MAX)
		kt_kvm_virtio_kick(&console->virtio, QUEUE_PORT_OUT); /* for the rest */
}

static void work(void *data, unsigned int queue)
{
	struct kt_kvm_console *console = data;

	switch (queue) {
	case QUEUE_CONTROL_IN:
		send_control(console);
		break;
	case QUEUE_CONTROL_OUT:
		take_control(console);
		break;
	case QUEUE_PORT_IN:
		send_bytes(console);
		break;
	case QUEUE_PORT_OUT:
		take_bytes(console);
		break;
	default:
		break; /* port 0 */
	}
}

/*
 * The callback is made without the lock: it may write to the guest, and step the loop, and so come
 * here again. vCPUs add to from_guest meanwhile.
 */
static void deliver(void *data)
{
	struct kt_kvm_console *console = data;
	KT_CLEANUP(kt_buffer_deinit) struct kt_buffer bytes = KT_BUFFER_NULL;

	(void)pthread_mutex_lock(console->virtio.host->lock);
	bytes = kt_buffer_take(&console->from_guest);
	(void)pthread_mutex_unlock(console->virtio.host->lock);
	if (bytes.len)
		console->fn(console->data, (const uint8_t *)bytes.data, bytes.len);
}

static void reset(void *data)
{
	struct kt_kvm_console *console = data;

	console->owed = 0;
	console->open = false;
}

struct saved {
	uint32_t len; /* of this struct; the bytes for the guest follow */
	uint32_t version;
	uint32_t owed, open;
	uint64_t n_bytes;
};

#define SAVED_VERSION 1u

static int save(void *data, struct kt_buffer *state)
{
	const struct kt_kvm_console *console = data;
	struct saved saved = {
		.len = sizeof(saved),
		.version = SAVED_VERSION,
		.owed = console->owed,
		.open = console->open,
		.n_bytes = console->to_guest.len,
	};
	int r = kt_buffer_append(state, &saved, sizeof(saved));

	return r < 0 ? r : kt_buffer_append(state, console->to_guest.data, console->to_guest.len);
}

static int load(void *data, const uint8_t *state, size_t len, struct kt_err *reterr)
{
	struct kt_kvm_console *console = data;
	struct saved saved;

	if (len < sizeof(saved))
		return kt_err_set(reterr, -EINVAL, "the saved console has %zu bytes, %zu at least",
				  len, sizeof(saved));
	memcpy(&saved, state, sizeof(saved));
	if (saved.len != sizeof(saved) || saved.version != SAVED_VERSION)
		return kt_err_set(reterr, -EINVAL, "the saved console has version %u, not %u",
				  saved.version, SAVED_VERSION);
	if (saved.n_bytes != len - sizeof(saved) || saved.n_bytes > SAVED_MAX)
		return kt_err_set(reterr, -EINVAL,
				  "the saved console has %zu bytes too many or few",
				  len - sizeof(saved));
	console->owed = saved.owed & (OWED_ADD | OWED_NAME | OWED_OPEN);
	console->open = saved.open != 0;
	return kt_buffer_append(&console->to_guest, state + sizeof(saved), saved.n_bytes) < 0
		       ? kt_err_oom(reterr)
		       : 0;
}

static const struct kt_kvm_virtio_ops ops = {
	.name = "console",
	.type = VIRTIO_ID_CONSOLE,
	.class_revision = 0x07800001, /* another communication device, not a legacy one */
	.features = UINT64_C(1) << VIRTIO_CONSOLE_F_MULTIPORT,
	.n_queues = N_QUEUES,
	.queue_size = QUEUE_SIZE,
	.at_once = true,
	.config = get_config,
	.work = work,
	.deliver = deliver,
	.reset = reset,
	.save = save,
	.load = load,
};

int kt_kvm_console_init(struct kt_kvm_console *console, kt_kvm_console_fn fn, void *data,
			const struct kt_kvm_host *host, unsigned int gsi, struct kt_kvm_pci *pci,
			struct kt_kvm_bus *memory)
{
	*console = (struct kt_kvm_console){ .fn = fn, .data = data };
	return kt_kvm_virtio_init(&console->virtio, &ops, console, host, gsi, pci, memory);
}

void kt_kvm_console_deinit(struct kt_kvm_console *console)
{
	kt_kvm_virtio_deinit(&console->virtio);
	kt_buffer_deinit(&console->to_guest);
	kt_buffer_deinit(&console->from_guest);
}

int kt_kvm_console_write(struct kt_kvm_console *console, const struct iovec *parts, size_t n)
{
	struct kt_buffer *bytes = &console->to_guest;
	size_t len = 0;
	int r;

	for (size_t i = 0; i < n; i++)
		len += parts[i].iov_len;
	(void)pthread_mutex_lock(console->virtio.host->lock);
	r = kt_buffer_reserve(bytes, len);
	for (size_t i = 0; r == 0 && i < n; i++)
		(void)kt_buffer_append(bytes, parts[i].iov_base, parts[i].iov_len);
	send_bytes(console);
	(void)pthread_mutex_unlock(console->virtio.host->lock);
	return r;
}

void kt_kvm_console_drain(struct kt_kvm_console *console)
{
	struct kt_kvm_virtio *virtio = &console->virtio;
	size_t n;

	do {
		bool stopped;

		(void)pthread_mutex_lock(virtio->host->lock);
		stopped = virtio->stopped;
		virtio->stopped = false;
		take_bytes(console);
		virtio->stopped = stopped;
		n = console->from_guest.len;
		(void)pthread_mutex_unlock(virtio->host->lock);
		deliver(console);
	} while (n);
}
