/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A virtio disk of a KVM guest, whose sectors are a file. A request is worked on when the loop
 * comes to it: the vCPU that made it goes on meanwhile, and has an interrupt at the end.
 */

#include <linux/virtio_blk.h>
#include <stdint.h>

#include "vmm/kvm/virtio.h"

#define KT_KVM_SECTOR_LEN 512u

struct kt_kvm_blk {
	struct kt_kvm_virtio virtio;
	int fd;                          /* borrowed */
	struct virtio_blk_config config; /* what the guest reads */
};

/*
 * Begins a disk of as many whole sectors as the file @fd has, which is open for reading and writing
 * and borrowed, and does not become shorter. A saved state does not have its contents. The rest is
 * as for kt_kvm_virtio_init(). Returns 0 or a negative errno; either way the caller ends it with
 * kt_kvm_blk_deinit().
 */
int kt_kvm_blk_init(struct kt_kvm_blk *blk, int fd, const struct kt_kvm_host *host,
		    unsigned int gsi, struct kt_kvm_pci *pci, struct kt_kvm_bus *memory);
void kt_kvm_blk_deinit(struct kt_kvm_blk *blk);
