/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A virtio network card of a KVM guest whose cable is a loop: each frame that the guest sends comes
 * back to it, unchanged. It reaches nothing else.
 */

#include <linux/virtio_net.h>
#include <stdint.h>

#include "vmm/kvm/virtio.h"

struct kt_kvm_net {
	struct kt_kvm_virtio virtio;
	struct virtio_net_config config; /* what the guest reads */
	uint64_t n_dropped;              /* frames that the guest had no buffer for */
};

/*
 * Begins a card with the address 02:00:00:00:00:01. All is as for kt_kvm_virtio_init(). Returns 0
 * or a negative errno; either way the caller ends it with kt_kvm_net_deinit().
 */
int kt_kvm_net_init(struct kt_kvm_net *net, const struct kt_kvm_host *host, unsigned int gsi,
		    struct kt_kvm_pci *pci, struct kt_kvm_bus *memory);
void kt_kvm_net_deinit(struct kt_kvm_net *net);
