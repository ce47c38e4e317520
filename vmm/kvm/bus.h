/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A bus finds the device for an access of a vCPU. A machine has two: port I/O and memory-mapped
 * I/O. An access that no range holds whole reads ones and writes nothing, as on hardware.
 *
 * Accesses are made in the threads of the vCPUs with the machine's device lock held. The functions
 * of a device never block.
 */

#include <stddef.h>
#include <stdint.h>

#define KT_KVM_BUS_MAX 64u /* ranges; what a machine has is known when it is built */

/* Embedded in the device that owns it, which may move it (base) and turn it off (len 0). */
struct kt_kvm_range {
	uint64_t base;
	uint64_t len; /* bytes; base + len does not overflow */
	/* @len is 1..8, @offset from @base on; offset + len is at most the range's length. */
	void (*read)(void *data, uint64_t offset, uint8_t *bytes, unsigned int len);
	void (*write)(void *data, uint64_t offset, const uint8_t *bytes, unsigned int len);
	void *data;
};

struct kt_kvm_bus {
	size_t n;
	struct kt_kvm_range *ranges[KT_KVM_BUS_MAX]; /* where two overlap, the first counts */
};

#define KT_KVM_BUS_NULL ((struct kt_kvm_bus){ .n = 0 })

/* Adds a range, which must stay where it is as long as the bus is used. 0 or -ENOSPC. */
int kt_kvm_bus_add(struct kt_kvm_bus *bus, struct kt_kvm_range *range);

/* An access of @len bytes, 1..8, to the address @at, which comes from the guest. */
void kt_kvm_bus_read(const struct kt_kvm_bus *bus, uint64_t at, uint8_t *bytes, unsigned int len);
void kt_kvm_bus_write(const struct kt_kvm_bus *bus, uint64_t at, const uint8_t *bytes,
		      unsigned int len);
