/* SPDX-License-Identifier: MIT */
/*
 * The AML is assembled byte by byte as the ACPI specification 6.5 says: chapter 20 for terms, 6.4
 * for resources. Each package of terms is opened with two bytes for its length, which is stored
 * when it is closed. There are no methods.
 *
 * The table has the PCI root, whose windows Linux assigns BARs from; the board, which reserves the
 * configuration space, as Linux does not use it otherwise; and the serial port, which must name
 * its interrupt: a machine of reduced hardware has no ISA interrupts of its own.
 */
#include "vmm/kvm/dsdt.h"

#include <assert.h>
#include <string.h>

#include "vmm/kvm/map.h"

#define OP_ZERO    0x00
#define OP_NAME    0x08
#define OP_BYTE    0x0a
#define OP_DWORD   0x0c
#define OP_SCOPE   0x10
#define OP_BUFFER  0x11
#define OP_PACKAGE 0x12
#define OP_EXT     0x5b
#define EXT_DEVICE 0x82

#define HIGH_ALIGN (UINT64_C(1) << 30)

struct aml {
	uint8_t *bytes;
	size_t n;
};

static void put(struct aml *aml, uint64_t value, unsigned int len)
{
	assert(aml->n + len <= KT_KVM_DSDT_MAX);
	for (unsigned int i = 0; i < len; i++)
		aml->bytes[aml->n++] = (uint8_t)(value >> 8 * i);
}

static void put_text(struct aml *aml, const char *text)
{
	for (; *text; text++)
		put(aml, (uint8_t)*text, 1);
}

/* Opens a package of terms; the result is passed to end(). */
static size_t begin(struct aml *aml)
{
	aml->n += 2;
	return aml->n - 2;
}

/* The length of the package counts its own two bytes; the first has its lower four bits. */
static void end(struct aml *aml, size_t at)
{
	size_t len = aml->n - at;

	aml->bytes[at] = (uint8_t)(0x40 | (len & 0xf));
	aml->bytes[at + 1] = (uint8_t)(len >> 4);
}

static size_t begin_device(struct aml *aml, const char *name)
{
	size_t at;

	put(aml, OP_EXT, 1);
	put(aml, EXT_DEVICE, 1);
	at = begin(aml);
	put_text(aml, name);
	return at;
}

static void put_name(struct aml *aml, const char *name)
{
	put(aml, OP_NAME, 1);
	put_text(aml, name);
}

static void put_byte(struct aml *aml, const char *name, unsigned int value)
{
	put_name(aml, name);
	put(aml, OP_BYTE, 1);
	put(aml, value, 1);
}

/* The number of a device "PNPxxxx" in the compressed form of EISA, whose bytes are swapped. */
static void put_id(struct aml *aml, const char *name, unsigned int number)
{
	put_name(aml, name);
	put(aml, OP_DWORD, 1);
	put(aml, 0xd041, 2);
	put(aml, number >> 8, 1);
	put(aml, number & 0xff, 1);
}

/* Resources are a buffer: an opened package, the length of the contents in a word, and those. */
static size_t begin_resources(struct aml *aml)
{
	size_t at;

	put_name(aml, "_CRS");
	put(aml, OP_BUFFER, 1);
	at = begin(aml);
	put(aml, 0x0b, 1); /* a word follows */
	put(aml, 0, 2);
	return at;
}

static void end_resources(struct aml *aml, size_t at)
{
	size_t len;

	put(aml, 0x0079, 2); /* the end tag, without a checksum */
	len = aml->n - (at + 5);
	aml->bytes[at + 3] = (uint8_t)len;
	aml->bytes[at + 4] = (uint8_t)(len >> 8);
	end(aml, at);
}

/* A window that the root passes on: the addresses are @width bytes wide. */
static void put_window(struct aml *aml, unsigned int tag, unsigned int type, unsigned int flags,
		       unsigned int width, uint64_t base, uint64_t len)
{
	put(aml, tag, 1);
	put(aml, 3 + 5 * width, 2);
	put(aml, type, 1);
	put(aml, 0x0c, 1); /* both ends are fixed */
	put(aml, flags, 1);
	put(aml, 0, width); /* granularity */
	put(aml, base, width);
	put(aml, base + len - 1, width);
	put(aml, 0, width); /* translation */
	put(aml, len, width);
}

static void put_ports(struct aml *aml, unsigned int base, unsigned int len)
{
	put(aml, 0x47, 1);
	put(aml, 1, 1); /* all 16 bits are decoded */
	put(aml, base, 2);
	put(aml, base, 2);
	put(aml, 1, 1); /* alignment */
	put(aml, len, 1);
}

static void put_fixed_memory(struct aml *aml, uint64_t base, uint64_t len)
{
	put(aml, 0x86, 1);
	put(aml, 9, 2);
	put(aml, 1, 1); /* writable */
	put(aml, base, 4);
	put(aml, len, 4);
}

static void put_interrupt(struct aml *aml, unsigned int gsi)
{
	put(aml, 0x89, 1);
	put(aml, 6, 2);
	put(aml, 0x03, 1); /* edge-triggered, active high, of this device alone */
	put(aml, 1, 1);
	put(aml, gsi, 4);
}

static void put_pci(struct aml *aml, const struct kt_kvm_ram *ram)
{
	size_t device = begin_device(aml, "PCI0"), resources;

	put_id(aml, "_HID", 0x0a08);
	put_id(aml, "_CID", 0x0a03);
	put_byte(aml, "_UID", 0);
	put_byte(aml, "_SEG", 0);
	put_byte(aml, "_BBN", 0);
	resources = begin_resources(aml);
	put_window(aml, 0x88, 2, 0, 2, 0, 1); /* bus 0 */
	put_ports(aml, KT_KVM_PORT_PCI, 8);
	put_window(aml, 0x87, 0, 1, 4, KT_KVM_PCI_GPA, KT_KVM_PCI_LEN);
	put_window(aml, 0x8a, 0, 1, 8, kt_kvm_pci_high_gpa(ram), KT_KVM_PCI_HIGH_LEN);
	end_resources(aml, resources);
	end(aml, device);
}

static void put_board(struct aml *aml)
{
	size_t device = begin_device(aml, "BRD0"), resources;

	put_id(aml, "_HID", 0x0c02);
	put_byte(aml, "_UID", 0);
	resources = begin_resources(aml);
	put_fixed_memory(aml, KT_KVM_MCFG_GPA, KT_KVM_MCFG_LEN);
	end_resources(aml, resources);
	end(aml, device);
}

static void put_serial(struct aml *aml)
{
	size_t device = begin_device(aml, "COM1"), resources;

	put_id(aml, "_HID", 0x0501);
	put_byte(aml, "_UID", 0);
	resources = begin_resources(aml);
	put_ports(aml, KT_KVM_PORT_SERIAL, 8);
	put_interrupt(aml, KT_KVM_IRQ_SERIAL);
	end_resources(aml, resources);
	end(aml, device);
}

static void put_sleep(struct aml *aml)
{
	size_t package;

	put_name(aml, "_S5_");
	put(aml, OP_PACKAGE, 1);
	package = begin(aml);
	put(aml, 4, 1); /* elements, of which only the first means something */
	put(aml, OP_BYTE, 1);
	put(aml, KT_KVM_SLEEP_TYPE, 1);
	for (unsigned int i = 1; i < 4; i++)
		put(aml, OP_ZERO, 1);
	end(aml, package);
}

uint64_t kt_kvm_pci_high_gpa(const struct kt_kvm_ram *ram)
{
	uint64_t end = UINT64_C(1) << 32;

	if (ram->n && ram->slots[ram->n - 1].gpa >= end)
		end = ram->slots[ram->n - 1].gpa + ram->slots[ram->n - 1].len;
	return (end + HIGH_ALIGN - 1) & ~(HIGH_ALIGN - 1);
}

size_t kt_kvm_dsdt(const struct kt_kvm_ram *ram, uint8_t *bytes)
{
	struct aml aml = { .bytes = bytes };
	size_t scope;

	put_sleep(&aml);
	put(&aml, OP_SCOPE, 1);
	scope = begin(&aml);
	put_text(&aml, "_SB_");
	put_pci(&aml, ram);
	put_board(&aml);
	put_serial(&aml);
	end(&aml, scope);
	return aml.n;
}
