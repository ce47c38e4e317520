/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The MSI-X interrupts of one PCI device: the table that the guest writes, and what becomes of an
 * interrupt: it is raised, kept back while it is masked, or dropped while MSI-X is off.
 */

#include <stdbool.h>
#include <stdint.h>

#include "vmm/kvm/msi.h"

#define KT_KVM_MSIX_MAX       16u /* vectors of a device */
#define KT_KVM_MSIX_ENTRY_LEN 16u

#define KT_KVM_MSIX_ENABLE 0x8000u /* in the control word of the capability */
#define KT_KVM_MSIX_MASK   0x4000u

struct kt_kvm_msix_entry {
	struct kt_kvm_msi msi;
	uint32_t control; /* bit 0: masked */
	bool pending;     /* it was raised while it was masked */
	bool routed;      /* the machine knows the message */
};

struct kt_kvm_msix {
	const struct kt_kvm_host *host;
	unsigned int gsi; /* of vector 0; the others follow */
	unsigned int n;   /* at most KT_KVM_MSIX_MAX */
	uint16_t control; /* KT_KVM_MSIX_ENABLE, KT_KVM_MSIX_MASK */
	struct kt_kvm_msix_entry entries[KT_KVM_MSIX_MAX];
};

/* All vectors are masked then, and MSI-X is off. */
void kt_kvm_msix_init(struct kt_kvm_msix *msix, const struct kt_kvm_host *host, unsigned int gsi,
		      unsigned int n);

/* The guest has written the control word. What is pending and not masked any more is raised. */
void kt_kvm_msix_set_control(struct kt_kvm_msix *msix, uint16_t control);

/* Accesses to the table, @len 4 or 8 and aligned; others read zeros and write nothing. */
void kt_kvm_msix_read_table(const struct kt_kvm_msix *msix, uint64_t offset, uint8_t *bytes,
			    unsigned int len);
void kt_kvm_msix_write_table(struct kt_kvm_msix *msix, uint64_t offset, const uint8_t *bytes,
			     unsigned int len);

/* A read of the pending bits, one for each vector. */
void kt_kvm_msix_read_pending(const struct kt_kvm_msix *msix, uint64_t offset, uint8_t *bytes,
			      unsigned int len);

/* The device raises a vector; one that does not exist is dropped. */
void kt_kvm_msix_raise(struct kt_kvm_msix *msix, unsigned int vector);
