/* SPDX-License-Identifier: MIT */
/*
 * A configuration space is an array of bytes with a mask of the bits that the guest may change.
 * The mask alone makes BARs as a guest expects them: after it has written ones, those that remain
 * tell the length.
 *
 * The devices have BARs from the start, since no firmware assigns them. The guest may move them
 * within the windows that ACPI tells. Anywhere else they are not decoded: a range at the address of
 * the local APIC would hide it.
 */
#include "vmm/kvm/pci.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/kvm/map.h"

#define OFFSET_STATUS    0x06u
#define OFFSET_CLASS     0x08u /* with the revision */
#define OFFSET_BAR       0x10u
#define OFFSET_SUBSYSTEM 0x2cu
#define OFFSET_FIRST     0x34u /* the link to the first capability */

#define COMMAND_MEMORY      0x0002u
#define COMMAND_WRITABLE    0x0406u /* memory, mastership, no interrupt pin */
#define STATUS_CAPABILITIES 0x0010u
#define BAR_64_BIT          0x4u

#define ADDRESS_ENABLE 0x80000000u
#define BAR_STRIDE     (UINT64_C(1) << 20) /* between the first addresses of two BARs */
#define HIGH_GPA       (UINT64_C(1) << 32)

#define BRIDGE_VENDOR 0x1b36u
#define BRIDGE_ID     0x0008u
#define BRIDGE_CLASS  0x06000000u

uint32_t kt_kvm_pci_get(const struct kt_kvm_pci_device *device, unsigned int offset,
			unsigned int len)
{
	uint32_t value = 0;

	memcpy(&value, device->config + offset, len);
	return value;
}

void kt_kvm_pci_set(struct kt_kvm_pci_device *device, unsigned int offset, unsigned int len,
		    uint32_t value)
{
	memcpy(device->config + offset, &value, len);
}

static bool is_in_window(uint64_t base, uint64_t len)
{
	bool low = base >= KT_KVM_PCI_GPA && base - KT_KVM_PCI_GPA <= KT_KVM_PCI_LEN - len;

	return low || (base >= HIGH_GPA && base <= UINT64_MAX - len);
}

/* Moves the range of the BAR to where the configuration space says. */
static void decode(struct kt_kvm_pci_device *device)
{
	uint64_t base = kt_kvm_pci_get(device, OFFSET_BAR, 4) & ~UINT64_C(0xf);
	uint64_t len = device->bar_len;
	bool moved;

	if (!len)
		return;
	base |= (uint64_t)kt_kvm_pci_get(device, OFFSET_BAR + 4, 4) << 32;
	if (!(kt_kvm_pci_get(device, KT_KVM_PCI_COMMAND, 2) & COMMAND_MEMORY) ||
	    !is_in_window(base, len))
		len = 0;
	moved = device->bar.len != len || (len && device->bar.base != base);
	device->bar.base = base;
	device->bar.len = len;
	if (moved && device->moved)
		device->moved(device->data);
}

static void read_config(struct kt_kvm_pci_device *device, unsigned int offset, uint8_t *bytes,
			unsigned int len)
{
	memset(bytes, 0, len);
	if (offset + len > KT_KVM_PCI_CONFIG_LEN)
		return;
	if (device->before_read)
		device->before_read(device->data, offset, len);
	memcpy(bytes, device->config + offset, len);
}

static void write_config(struct kt_kvm_pci_device *device, unsigned int offset,
			 const uint8_t *bytes, unsigned int len)
{
	if (offset + len > KT_KVM_PCI_CONFIG_LEN)
		return;
	for (unsigned int i = 0; i < len; i++) {
		uint8_t mask = device->writable[offset + i];
		uint8_t *byte = &device->config[offset + i];

		*byte = (uint8_t)((*byte & ~mask) | (bytes[i] & mask));
	}
	decode(device);
	if (device->after_write)
		device->after_write(device->data, offset, len);
}

/* The device of a bus, slot and function as addresses have them; NULL: there is none. */
static struct kt_kvm_pci_device *find(const struct kt_kvm_pci *pci, unsigned int bus_slot_function)
{
	unsigned int slot = bus_slot_function >> 3;

	if (bus_slot_function & 7 || slot >= KT_KVM_PCI_SLOTS)
		return NULL;
	return pci->devices[slot];
}

static void port_read(void *data, uint64_t offset, uint8_t *bytes, unsigned int len)
{
	struct kt_kvm_pci *pci = data;
	struct kt_kvm_pci_device *device = find(pci, pci->address >> 8 & 0xffff);

	memset(bytes, 0xff, len);
	if (offset == 0 && len == 4)
		memcpy(bytes, &pci->address, 4);
	else if (offset >= 4 && pci->address & ADDRESS_ENABLE && device)
		read_config(device, (pci->address & 0xfc) + (unsigned int)(offset - 4), bytes, len);
}

static void port_write(void *data, uint64_t offset, const uint8_t *bytes, unsigned int len)
{
	struct kt_kvm_pci *pci = data;
	struct kt_kvm_pci_device *device = find(pci, pci->address >> 8 & 0xffff);

	if (offset == 0 && len == 4)
		memcpy(&pci->address, bytes, 4);
	else if (offset >= 4 && pci->address & ADDRESS_ENABLE && device)
		write_config(device, (pci->address & 0xfc) + (unsigned int)(offset - 4), bytes,
			     len);
}

/* In memory each function has 4 KiB, of which the devices use the first 256 bytes. */
static void memory_read(void *data, uint64_t offset, uint8_t *bytes, unsigned int len)
{
	struct kt_kvm_pci_device *device = find(data, (unsigned int)(offset >> 12));

	memset(bytes, 0xff, len);
	if (device)
		read_config(device, offset & 0xfff, bytes, len);
}

static void memory_write(void *data, uint64_t offset, const uint8_t *bytes, unsigned int len)
{
	struct kt_kvm_pci_device *device = find(data, (unsigned int)(offset >> 12));

	if (device)
		write_config(device, offset & 0xfff, bytes, len);
}

int kt_kvm_pci_init(struct kt_kvm_pci *pci, struct kt_kvm_bus *ports, struct kt_kvm_bus *memory)
{
	*pci = (struct kt_kvm_pci){
		.ports = { KT_KVM_PORT_PCI, 8, port_read, port_write, pci },
		.memory = { KT_KVM_MCFG_GPA, KT_KVM_MCFG_LEN, memory_read, memory_write, pci },
	};
	kt_kvm_pci_device_init(&pci->bridge, BRIDGE_VENDOR, BRIDGE_ID, BRIDGE_CLASS, 0);
	pci->devices[0] = &pci->bridge;
	if (kt_kvm_bus_add(ports, &pci->ports) < 0)
		return -ENOSPC;
	return kt_kvm_bus_add(memory, &pci->memory);
}

void kt_kvm_pci_device_init(struct kt_kvm_pci_device *device, uint16_t vendor, uint16_t id,
			    uint32_t class_revision, uint64_t bar_len)
{
	uint64_t mask = ~(bar_len - 1);

	memset(device, 0, sizeof(*device));
	device->bar_len = bar_len;
	device->next = KT_KVM_PCI_CAPABILITIES;
	device->last = OFFSET_FIRST;
	kt_kvm_pci_set(device, 0, 4, (uint32_t)id << 16 | vendor);
	kt_kvm_pci_set(device, OFFSET_CLASS, 4, class_revision);
	kt_kvm_pci_set(device, OFFSET_SUBSYSTEM, 4, (uint32_t)id << 16 | vendor);
	device->writable[KT_KVM_PCI_COMMAND] = COMMAND_WRITABLE & 0xff;
	device->writable[KT_KVM_PCI_COMMAND + 1] = COMMAND_WRITABLE >> 8;
	if (!bar_len)
		return;
	kt_kvm_pci_set(device, OFFSET_BAR, 4, BAR_64_BIT);
	memcpy(device->writable + OFFSET_BAR, &mask, sizeof(mask));
}

unsigned int kt_kvm_pci_add_capability(struct kt_kvm_pci_device *device, uint8_t id,
				       unsigned int len)
{
	unsigned int at = device->next;

	assert(at + len <= KT_KVM_PCI_CONFIG_LEN);
	device->config[device->last] = (uint8_t)at;
	device->config[at] = id;
	device->last = at + 1;
	device->next = (at + len + 3) & ~3u;
	kt_kvm_pci_set(device, OFFSET_STATUS, 2, STATUS_CAPABILITIES);
	return at;
}

int kt_kvm_pci_add(struct kt_kvm_pci *pci, struct kt_kvm_pci_device *device,
		   struct kt_kvm_bus *memory)
{
	unsigned int slot = 0;

	assert(device->bar_len <= BAR_STRIDE);
	while (slot < KT_KVM_PCI_SLOTS && pci->devices[slot])
		slot++;
	if (slot == KT_KVM_PCI_SLOTS || kt_kvm_bus_add(memory, &device->bar) < 0)
		return -ENOSPC;
	pci->devices[slot] = device;
	kt_kvm_pci_set(device, OFFSET_BAR, 4,
		       (uint32_t)(KT_KVM_PCI_GPA + slot * BAR_STRIDE) | BAR_64_BIT);
	kt_kvm_pci_set(device, KT_KVM_PCI_COMMAND, 2, COMMAND_MEMORY);
	decode(device);
	return 0;
}

void kt_kvm_pci_load(struct kt_kvm_pci_device *device, const uint8_t *config)
{
	write_config(device, 0, config, KT_KVM_PCI_CONFIG_LEN);
}
