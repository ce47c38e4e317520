/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A virtio network card of a KVM guest: each frame that the guest sends arrives, unchanged, at the
 * card that is the other end of its cable. It reaches nothing else.
 */

#include <linux/virtio_net.h>
#include <stdint.h>

#include "vmm/kvm/virtio.h"

struct kt_kvm_net {
	struct kt_kvm_virtio virtio;
	struct virtio_net_config config; /* what the guest reads */
	struct kt_kvm_net *peer;         /* the card at the other end; borrowed */
	uint64_t n_dropped;              /* frames that @peer had no buffer for */
};

/*
 * Begins the card with this @number, from 1 on, the last byte of its address 02:00:00:00:00:NN.
 * @peer may be the card itself: the cable is a loop then. It need not have begun, but must before
 * the guest runs. All else is as for kt_kvm_virtio_init(). Returns 0 or a negative errno; either
 * way the caller ends it with kt_kvm_net_deinit().
 */
int kt_kvm_net_init(struct kt_kvm_net *net, uint8_t number, struct kt_kvm_net *peer,
		    const struct kt_kvm_host *host, unsigned int gsi, struct kt_kvm_pci *pci,
		    struct kt_kvm_bus *memory);
void kt_kvm_net_deinit(struct kt_kvm_net *net);
