/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Where the RAM of a KVM guest lies: its memory slots, and the host's pointer to a guest-physical
 * address. Addresses come from the guest and are hostile: nothing outside of a slot is reached.
 */

#include <stddef.h>
#include <stdint.h>

#define KT_KVM_SLOTS_MAX 64u /* one per NUMA node, and one more for the hole below 4 GiB */

/* A contiguous piece of RAM, which belongs to one NUMA node. */
struct kt_kvm_slot {
	uint64_t gpa;      /* guest-physical address; a multiple of a page */
	uint64_t len;      /* bytes; not 0, a multiple of a page */
	uint8_t *host;     /* where this process maps it; borrowed */
	unsigned int node; /* the NUMA node, from 0 */
};

struct kt_kvm_ram {
	size_t n;                                   /* at most KT_KVM_SLOTS_MAX */
	struct kt_kvm_slot slots[KT_KVM_SLOTS_MAX]; /* sorted by gpa, disjoint */
};

#define KT_KVM_RAM_NULL ((struct kt_kvm_ram){ .n = 0 })

/*
 * Lays out @ram_mib MiB of RAM, which this process maps at @host, as kt_mem_layout() says. With
 * several @nodes each has the same number of MiB, and the last one has the rest too. Returns 0, or
 * -E2BIG when there are more nodes than slots or MiB.
 */
int kt_kvm_ram_init(struct kt_kvm_ram *ram, void *host, unsigned int ram_mib, unsigned int nodes);

/*
 * Returns the host's pointer to the @len bytes at @gpa, or NULL if not all of them lie in one slot.
 * With @len 0, @gpa itself must lie in a slot.
 */
void *kt_kvm_ram_at(const struct kt_kvm_ram *ram, uint64_t gpa, size_t len);
