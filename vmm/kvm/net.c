/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/net.h"

#include <errno.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * Queue 0 goes to the guest, queue 1 comes from it (virtio 1.2, 5.1.6). Before each frame there is
 * a header, which is all zeros but for the number of buffers: no offloads are offered. As on a real
 * cable, a frame that finds no buffer is lost.
 */

#define QUEUE_IN   0u
#define QUEUE_OUT  1u
#define QUEUE_SIZE 256u
#define ROUND_MAX  64u /* frames before the loop does other work */

#define HEADER_LEN 12u /* struct virtio_net_hdr_mrg_rxbuf */
#define FRAME_MAX  1518u

static const uint8_t *get_config(void *data, size_t *ret_len)
{
	const struct kt_kvm_net *net = data;

	*ret_len = sizeof(net->config);
	return (const uint8_t *)&net->config;
}

/* Gives a frame to the guest. False: it is lost. */
static bool receive(struct kt_kvm_net *net, const uint8_t *frame, size_t len)
{
	struct virtio_net_hdr_mrg_rxbuf header = { .num_buffers = 1 };
	struct kt_kvm_chain chain;

	_Static_assert(sizeof(header) == HEADER_LEN, "as the specification has it");
	if (!kt_kvm_virtio_pop(&net->virtio, QUEUE_IN, &chain))
		return false;
	if (chain.in_len < HEADER_LEN + len) {
		kt_kvm_virtio_push(&net->virtio, QUEUE_IN, chain.head, 0);
		return false;
	}
	(void)kt_kvm_chain_write(&chain, 0, &header, HEADER_LEN);
	(void)kt_kvm_chain_write(&chain, HEADER_LEN, frame, len);
	kt_kvm_virtio_push(&net->virtio, QUEUE_IN, chain.head, (uint32_t)(HEADER_LEN + len));
	return true;
}

/* A frame that is longer than Ethernet allows is not sent. */
static void carry_frame(struct kt_kvm_net *net, const struct kt_kvm_chain *chain)
{
	uint8_t frame[FRAME_MAX];
	size_t len = kt_kvm_chain_read(chain, HEADER_LEN, frame, sizeof(frame));

	if (!len || chain->out_len > HEADER_LEN + FRAME_MAX || !receive(net->peer, frame, len))
		net->n_dropped++;
}

static void work(void *data, unsigned int queue)
{
	struct kt_kvm_net *net = data;
	struct kt_kvm_chain chain;
	unsigned int n = 0;

	if (queue != QUEUE_OUT)
		return; /* buffers wait for frames */
	for (; n < ROUND_MAX && kt_kvm_virtio_pop(&net->virtio, QUEUE_OUT, &chain); n++) {
		carry_frame(net, &chain);
		kt_kvm_virtio_push(&net->virtio, QUEUE_OUT, chain.head, 0);
	}
	if (!n)
		return;
	kt_kvm_virtio_interrupt(&net->virtio, QUEUE_OUT);
	kt_kvm_virtio_interrupt(&net->peer->virtio, QUEUE_IN);
	if (n == ROUND_MAX)
		kt_kvm_virtio_kick(&net->virtio, QUEUE_OUT); /* for the rest */
}

static const struct kt_kvm_virtio_ops ops = {
	.name = "network",
	.type = VIRTIO_ID_NET,
	.class_revision = 0x02000001, /* an Ethernet controller, not a legacy one */
	.features = UINT64_C(1) << VIRTIO_NET_F_MAC,
	.n_queues = 2,
	.queue_size = QUEUE_SIZE,
	.config = get_config,
	.work = work,
};

int kt_kvm_net_init(struct kt_kvm_net *net, uint8_t number, struct kt_kvm_net *peer,
		    const struct kt_kvm_host *host, unsigned int gsi, struct kt_kvm_pci *pci,
		    struct kt_kvm_bus *memory)
{
	*net = (struct kt_kvm_net){ .config.mac = { 2, 0, 0, 0, 0, number }, .peer = peer };
	return kt_kvm_virtio_init(&net->virtio, &ops, net, host, gsi, pci, memory);
}

void kt_kvm_net_deinit(struct kt_kvm_net *net)
{
	kt_kvm_virtio_deinit(&net->virtio);
}
