/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The PCI bus of a KVM guest: a host bridge and devices of one function, found through the ports
 * 0xcf8 and 0xcfc and through memory (vmm/kvm/map.h). A device has one BAR, of memory with 64-bit
 * addresses. What the guest writes changes nothing but the bits that the device lets it write.
 */

#include <stdbool.h>
#include <stdint.h>

#include "vmm/kvm/bus.h"

#define KT_KVM_PCI_SLOTS      8u /* with the bridge, which is in slot 0 */
#define KT_KVM_PCI_CONFIG_LEN 256u

#define KT_KVM_PCI_COMMAND      0x04u /* offsets in the configuration space */
#define KT_KVM_PCI_CAPABILITIES 0x40u /* the first; each other follows the one before */

/* Embedded in the device. @data is handed to the functions, which may be NULL. */
struct kt_kvm_pci_device {
	uint8_t config[KT_KVM_PCI_CONFIG_LEN];
	uint8_t writable[KT_KVM_PCI_CONFIG_LEN]; /* the bits that a guest can change */
	uint64_t bar_len;                        /* bytes, a power of two from 4096 on; 0: no BAR */
	struct kt_kvm_range bar; /* its len is 0 while the guest does not decode it */
	unsigned int next;       /* where the next capability goes */
	unsigned int last;       /* the byte that points to it */
	void (*before_read)(void *data, unsigned int offset, unsigned int len);
	void (*after_write)(void *data, unsigned int offset, unsigned int len);
	void (*moved)(void *data); /* the BAR is somewhere else now, or nowhere */
	void *data;
};

struct kt_kvm_pci {
	uint32_t address; /* what was last written to 0xcf8 */
	struct kt_kvm_range ports, memory;
	struct kt_kvm_pci_device bridge;
	struct kt_kvm_pci_device *devices[KT_KVM_PCI_SLOTS]; /* by slot; NULL: empty */
};

/* Begins a bus that has nothing but the bridge, and adds it to the machine's. 0 or -ENOSPC. */
int kt_kvm_pci_init(struct kt_kvm_pci *pci, struct kt_kvm_bus *ports, struct kt_kvm_bus *memory);

/* Begins a device: its identity, and its BAR's length. The rest of *@device is zero. */
void kt_kvm_pci_device_init(struct kt_kvm_pci_device *device, uint16_t vendor, uint16_t id,
			    uint32_t class_revision, uint64_t bar_len);

/*
 * Adds a capability of @len bytes, the first two of which are @id and the link, and returns its
 * offset. It is all zeros, and read-only. The capabilities of a device fit: that is asserted.
 */
unsigned int kt_kvm_pci_add_capability(struct kt_kvm_pci_device *device, uint8_t id,
				       unsigned int len);

/* Puts the device into the next slot, its BAR where no other is. 0 or -ENOSPC. */
int kt_kvm_pci_add(struct kt_kvm_pci *pci, struct kt_kvm_pci_device *device,
		   struct kt_kvm_bus *memory);

/* Little-endian numbers of the configuration space; @len is 1, 2 or 4. */
uint32_t kt_kvm_pci_get(const struct kt_kvm_pci_device *device, unsigned int offset,
			unsigned int len);
void kt_kvm_pci_set(struct kt_kvm_pci_device *device, unsigned int offset, unsigned int len,
		    uint32_t value);

/*
 * Takes over the bits that a guest can write from a saved configuration space of
 * KT_KVM_PCI_CONFIG_LEN bytes. The functions of the device are called as after a write.
 */
void kt_kvm_pci_load(struct kt_kvm_pci_device *device, const uint8_t *config);
