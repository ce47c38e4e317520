/* SPDX-License-Identifier: MIT */
/* The PCI bus and the interrupts of a KVM machine, as a guest finds and uses them. */
#include <errno.h>
#include <string.h>

#include "tests/kvm_guest.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "vmm/kvm/map.h"
#include "vmm/kvm/msix.h"

UNIT_SUITE(kvm_pci);

#define BAR_LEN 0x8000u

struct device {
	struct kt_kvm_pci_device pci;
	unsigned int n_moved, n_written;
};

static void on_moved(void *data)
{
	((struct device *)data)->n_moved++;
}

static void on_written(void *data, unsigned int offset, unsigned int len)
{
	(void)offset;
	(void)len;
	((struct device *)data)->n_written++;
}

static void bar_read(void *data, uint64_t offset, uint8_t *bytes, unsigned int len)
{
	(void)data;
	(void)offset;
	memset(bytes, 0xab, len);
}

static void begin(struct kvm_guest *guest, struct device *device)
{
	kvm_guest_init(guest);
	memset(device, 0, sizeof(*device));
	kt_kvm_pci_device_init(&device->pci, 0x1af4, 0x1043, 0x07800001, BAR_LEN);
	device->pci.moved = on_moved;
	device->pci.after_write = on_written;
	device->pci.data = device;
	device->pci.bar.read = bar_read;
	cr_assert(zero(int, kt_kvm_pci_add(&guest->pci, &device->pci, &guest->memory)));
}

static uint32_t port_read(struct kvm_guest *guest, unsigned int port, unsigned int len)
{
	uint32_t value = 0;

	kt_kvm_bus_read(&guest->ports, port, (uint8_t *)&value, len);
	return value;
}

static void port_write(struct kvm_guest *guest, unsigned int port, unsigned int len, uint32_t value)
{
	kt_kvm_bus_write(&guest->ports, port, (const uint8_t *)&value, len);
}

Test(kvm_pci, devices_are_found_through_ports_and_through_memory)
{
	struct kvm_guest guest;
	struct device device;

	begin(&guest, &device);
	port_write(&guest, 0xcf8, 4, 0x80000000u | 1 << 11);
	cr_assert(eq(u32, port_read(&guest, 0xcf8, 4), 0x80000000u | 1 << 11));
	cr_assert(eq(u32, port_read(&guest, 0xcfc, 4), 0x10431af4));
	cr_assert(eq(u32, port_read(&guest, 0xcfe, 2), 0x1043));
	cr_assert(eq(u32, kvm_config_read(&guest, 1, 0, 4), 0x10431af4));
	cr_assert(eq(u32, kvm_config_read(&guest, 1, 8, 4), 0x07800001));
	cr_assert(eq(u32, kvm_config_read(&guest, 0, 10, 2), 0x0600)); /* the bridge */
	kvm_guest_deinit(&guest);
}

Test(kvm_pci, what_is_not_there_reads_ones)
{
	struct kvm_guest guest;
	struct device device;

	begin(&guest, &device);
	cr_assert(eq(u32, kvm_config_read(&guest, 2, 0, 4), UINT32_MAX));
	cr_assert(eq(u32, kvm_config_read(&guest, 31, 0, 4), UINT32_MAX));
	port_write(&guest, 0xcf8, 4, 0x80000000u | 1 << 16 | 1 << 11); /* bus 1 */
	cr_assert(eq(u32, port_read(&guest, 0xcfc, 4), UINT32_MAX));
	port_write(&guest, 0xcf8, 4, 0x80000000u | 1 << 11 | 1 << 8); /* function 1 */
	cr_assert(eq(u32, port_read(&guest, 0xcfc, 4), UINT32_MAX));
	port_write(&guest, 0xcf8, 4, 1 << 11); /* not enabled */
	cr_assert(eq(u32, port_read(&guest, 0xcfc, 4), UINT32_MAX));
	cr_assert(eq(u32, kvm_config_read(&guest, 1, 0x100, 4), 0)); /* no extended capability */
	kvm_guest_deinit(&guest);
}

/* Linux writes ones and reads back which bits stay. */
Test(kvm_pci, a_bar_tells_its_length)
{
	struct kvm_guest guest;
	struct device device;

	begin(&guest, &device);
	cr_assert(eq(u32, kvm_config_read(&guest, 1, 0x10, 4), KT_KVM_PCI_GPA + 0x100000 + 4));
	kvm_config_write(&guest, 1, 0x10, 4, UINT32_MAX);
	cr_assert(eq(u32, kvm_config_read(&guest, 1, 0x10, 4), ~(BAR_LEN - 1) | 4));
	kvm_config_write(&guest, 1, 0x14, 4, UINT32_MAX);
	cr_assert(eq(u32, kvm_config_read(&guest, 1, 0x14, 4), UINT32_MAX));
	kvm_config_write(&guest, 1, 0x18, 4, UINT32_MAX);
	cr_assert(eq(u32, kvm_config_read(&guest, 1, 0x18, 4), 0)); /* there is no other BAR */
	kvm_guest_deinit(&guest);
}

static uint64_t read_at(struct kvm_guest *guest, uint64_t gpa)
{
	uint64_t value = 0;

	kt_kvm_bus_read(&guest->memory, gpa, (uint8_t *)&value, 4);
	return value;
}

static void move_bar(struct kvm_guest *guest, uint64_t gpa)
{
	kvm_config_write(guest, 1, 0x10, 4, (uint32_t)gpa);
	kvm_config_write(guest, 1, 0x14, 4, (uint32_t)(gpa >> 32));
}

Test(kvm_pci, a_bar_is_decoded_where_the_guest_puts_it)
{
	static const uint64_t good[] = { KT_KVM_PCI_GPA, UINT64_C(6) << 30 };
	static const uint64_t bad[] = { 0, 0x100000, 0xbfff8000, KT_KVM_MCFG_GPA,
					KT_KVM_LAPIC_GPA & ~UINT64_C(0x7fff) };
	struct kvm_guest guest;
	struct device device;

	begin(&guest, &device);
	cr_assert(eq(u64, read_at(&guest, KT_KVM_PCI_GPA + 0x100000), 0xabababab));
	for (size_t i = 0; i < KT_ARRAY_LEN(good); i++) {
		move_bar(&guest, good[i]);
		cr_assert(eq(u64, read_at(&guest, good[i]), 0xabababab), "case %zu", i);
		cr_assert(eq(u64, read_at(&guest, good[i] + BAR_LEN), UINT32_MAX), "case %zu", i);
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(bad); i++) {
		move_bar(&guest, bad[i]);
		cr_assert(eq(u64, device.pci.bar.len, 0), "case %zu", i);
	}
	move_bar(&guest, KT_KVM_PCI_GPA);
	device.n_moved = 0;
	kvm_config_write(&guest, 1, 4, 2, 0); /* memory is not decoded any more */
	cr_assert(eq(u64, read_at(&guest, KT_KVM_PCI_GPA), UINT32_MAX));
	cr_assert(eq(uint, device.n_moved, 1));
	kvm_guest_deinit(&guest);
}

Test(kvm_pci, the_identity_and_the_capabilities_cannot_be_written)
{
	struct kvm_guest guest;
	struct device device;
	unsigned int first, second;

	kvm_guest_init(&guest);
	memset(&device, 0, sizeof(device));
	kt_kvm_pci_device_init(&device.pci, 0x1af4, 0x1043, 0x07800001, BAR_LEN);
	first = kt_kvm_pci_add_capability(&device.pci, 0x09, 16);
	second = kt_kvm_pci_add_capability(&device.pci, 0x11, 12);
	cr_assert(zero(int, kt_kvm_pci_add(&guest.pci, &device.pci, &guest.memory)));
	for (unsigned int at = 0; at < 256; at += 4)
		if (at < 0x10 || at > 0x14)
			kvm_config_write(&guest, 1, at, 4, 0xffffffff);
	cr_assert(eq(u32, kvm_config_read(&guest, 1, 0, 4), 0x10431af4));
	cr_assert(eq(u32, kvm_config_read(&guest, 1, 4, 4), 0x00100406));
	cr_assert(eq(u32, kvm_config_read(&guest, 1, 0x34, 1), first));
	cr_assert(eq(u32, kvm_config_read(&guest, 1, first, 4), second << 8 | 0x09));
	cr_assert(eq(u32, kvm_config_read(&guest, 1, second, 4), 0x11));
	kvm_guest_deinit(&guest);
}

Test(kvm_pci, a_full_bus_says_so)
{
	struct kt_kvm_pci_device devices[KT_KVM_PCI_SLOTS];
	struct kvm_guest guest;

	kvm_guest_init(&guest);
	for (unsigned int i = 0; i < KT_KVM_PCI_SLOTS; i++) {
		kt_kvm_pci_device_init(&devices[i], 0x1af4, 0x1043, 0x07800001, BAR_LEN);
		cr_assert(eq(int, kt_kvm_pci_add(&guest.pci, &devices[i], &guest.memory),
			     i < KT_KVM_PCI_SLOTS - 1 ? 0 : -ENOSPC));
	}
	kvm_guest_deinit(&guest);
}

/* MSI-X */

static void table_write(struct kt_kvm_msix *msix, unsigned int vector, unsigned int word,
			uint32_t value)
{
	kt_kvm_msix_write_table(msix, 16 * vector + 4 * word, (const uint8_t *)&value, 4);
}

static uint64_t table_read(const struct kt_kvm_msix *msix, uint64_t offset, unsigned int len)
{
	uint64_t value = UINT64_MAX;

	kt_kvm_msix_read_table(msix, offset, (uint8_t *)&value, len);
	return len == 8 ? value : value & 0xffffffff;
}

Test(kvm_pci, a_vector_is_raised_with_the_message_that_the_guest_wrote)
{
	struct kvm_guest guest;
	struct kt_kvm_msix msix;

	kvm_guest_init(&guest);
	kt_kvm_msix_init(&msix, &guest.host, 30, 3);
	kt_kvm_msix_raise(&msix, 1); /* MSI-X is off: nothing happens, now or later */
	kt_kvm_msix_set_control(&msix, KT_KVM_MSIX_ENABLE);
	table_write(&msix, 1, 0, 0xfee01000);
	table_write(&msix, 1, 1, 0x12);
	table_write(&msix, 1, 2, 0x4021);
	table_write(&msix, 1, 3, 0);
	cr_assert(zero(uint, guest.raised[31]));
	kt_kvm_msix_raise(&msix, 1);
	kt_kvm_msix_raise(&msix, 1);
	cr_assert(eq(uint, guest.raised[31], 2));
	cr_assert(eq(uint, guest.n_routes, 1)); /* and the second one needs none */
	cr_assert(eq(u64, guest.routes[31].address, 0x12fee01000));
	cr_assert(eq(u32, guest.routes[31].data, 0x4021));
	table_write(&msix, 1, 2, 0x4021); /* as it was */
	kt_kvm_msix_raise(&msix, 1);
	cr_assert(eq(uint, guest.n_routes, 1));
	table_write(&msix, 1, 2, 0x4022);
	kt_kvm_msix_raise(&msix, 1);
	cr_assert(eq(u32, guest.routes[31].data, 0x4022));
	kvm_guest_deinit(&guest);
}

Test(kvm_pci, a_masked_vector_waits)
{
	struct kvm_guest guest;
	struct kt_kvm_msix msix;
	uint64_t pending = UINT64_MAX;

	kvm_guest_init(&guest);
	kt_kvm_msix_init(&msix, &guest.host, 30, 3);
	kt_kvm_msix_set_control(&msix, KT_KVM_MSIX_ENABLE);
	kt_kvm_msix_raise(&msix, 2);
	cr_assert(zero(uint, guest.raised[32]));
	kt_kvm_msix_read_pending(&msix, 0, (uint8_t *)&pending, 8);
	cr_assert(eq(u64, pending, 4));
	kt_kvm_msix_set_control(&msix, KT_KVM_MSIX_ENABLE | KT_KVM_MSIX_MASK);
	table_write(&msix, 2, 3, 0);
	cr_assert(zero(uint, guest.raised[32])); /* all vectors are masked */
	kt_kvm_msix_set_control(&msix, KT_KVM_MSIX_ENABLE);
	cr_assert(eq(uint, guest.raised[32], 1));
	kt_kvm_msix_read_pending(&msix, 0, (uint8_t *)&pending, 8);
	cr_assert(zero(u64, pending));
	kvm_guest_deinit(&guest);
}

Test(kvm_pci, accesses_that_the_table_does_not_have_do_nothing)
{
	static const struct {
		uint64_t offset;
		unsigned int len;
	} cases[] = { { 48, 4 }, { 0, 1 }, { 2, 4 }, { 4, 8 }, { UINT64_MAX - 7, 8 }, { 0, 2 } };
	struct kvm_guest guest;
	struct kt_kvm_msix msix;
	uint64_t ones = UINT64_MAX;

	kvm_guest_init(&guest);
	kt_kvm_msix_init(&msix, &guest.host, 30, 3);
	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		kt_kvm_msix_write_table(&msix, cases[i].offset, (const uint8_t *)&ones,
					cases[i].len);
		cr_assert(zero(u64, table_read(&msix, 0, 8)), "case %zu", i);
		cr_assert(eq(u64, table_read(&msix, 8, 8), UINT64_C(1) << 32), "case %zu", i);
	}
	kt_kvm_msix_write_table(&msix, 8, (const uint8_t *)&ones, 8);
	cr_assert(eq(u64, table_read(&msix, 8, 8), UINT64_C(1) << 32 | UINT32_MAX));
	kt_kvm_msix_raise(&msix, 3);
	kt_kvm_msix_raise(&msix, KT_KVM_NO_VECTOR);
	kvm_guest_deinit(&guest);
}
