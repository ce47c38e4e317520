/* SPDX-License-Identifier: MIT */
/* A KVM guest's RAM and its buses: whatever the guest asks for, nothing else is reached. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "vmm/kvm/bus.h"
#include "vmm/kvm/ram.h"

UNIT_SUITE(kvm_ram);

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

/* Only addresses are compared: nothing is mapped there. */
#define HOST ((uint8_t *)0x100000000)

Test(kvm_ram, nodes_follow_each_other_and_the_hole_cuts_one)
{
	static const struct kt_kvm_slot expected[] = {
		{ 0, GIB, HOST, 0 },
		{ GIB, GIB, HOST + GIB, 1 },
		{ 4 * GIB, GIB + MIB, HOST + 2 * GIB, 2 },
	};
	struct kt_kvm_ram ram;

	cr_assert(zero(int, kt_kvm_ram_init(&ram, HOST, 3 * 1024 + 1, 3)));
	cr_assert(eq(sz, ram.n, KT_ARRAY_LEN(expected)));
	for (size_t i = 0; i < ram.n; i++) {
		cr_assert(eq(u64, ram.slots[i].gpa, expected[i].gpa), "slot %zu", i);
		cr_assert(eq(u64, ram.slots[i].len, expected[i].len), "slot %zu", i);
		cr_assert(eq(ptr, ram.slots[i].host, expected[i].host), "slot %zu", i);
		cr_assert(eq(uint, ram.slots[i].node, expected[i].node), "slot %zu", i);
	}
	cr_assert(zero(int, kt_kvm_ram_init(&ram, HOST, 4 * 1024, 1)));
	cr_assert(eq(sz, ram.n, 2));
	cr_assert(eq(u64, ram.slots[1].gpa, 4 * GIB));
	cr_assert(eq(ptr, ram.slots[1].host, HOST + 2 * GIB));
}

Test(kvm_ram, more_nodes_than_slots_or_memory_are_refused)
{
	struct kt_kvm_ram ram;

	cr_assert(eq(int, kt_kvm_ram_init(&ram, HOST, 4096, KT_KVM_SLOTS_MAX + 1), -E2BIG));
	cr_assert(eq(int, kt_kvm_ram_init(&ram, HOST, 3, 4), -E2BIG));
}

Test(kvm_ram, an_address_is_found_only_if_all_bytes_lie_in_one_slot)
{
	struct kt_kvm_ram ram;

	cr_assert(zero(int, kt_kvm_ram_init(&ram, HOST, 4 * 1024, 2)));
	cr_assert(eq(ptr, kt_kvm_ram_at(&ram, 0, 2 * GIB), HOST));
	cr_assert(eq(ptr, kt_kvm_ram_at(&ram, 2 * GIB - 1, 1), HOST + 2 * GIB - 1));
	cr_assert(eq(ptr, kt_kvm_ram_at(&ram, 6 * GIB - 8, 8), HOST + 4 * GIB - 8));
	cr_assert(eq(ptr, kt_kvm_ram_at(&ram, 2 * GIB - 1, 2), NULL));
	cr_assert(eq(ptr, kt_kvm_ram_at(&ram, 2 * GIB, 0), NULL));
	cr_assert(eq(ptr, kt_kvm_ram_at(&ram, 6 * GIB - 8, 9), NULL));
	cr_assert(eq(ptr, kt_kvm_ram_at(&ram, 5 * GIB, SIZE_MAX), NULL));
	cr_assert(eq(ptr, kt_kvm_ram_at(&ram, UINT64_MAX, SIZE_MAX), NULL));
}

struct device {
	uint64_t offset;
	unsigned int len;
	uint8_t bytes[8];
};

static void device_read(void *data, uint64_t offset, uint8_t *bytes, unsigned int len)
{
	struct device *device = data;

	device->offset = offset;
	memcpy(bytes, device->bytes, len);
}

static void device_write(void *data, uint64_t offset, const uint8_t *bytes, unsigned int len)
{
	struct device *device = data;

	device->offset = offset;
	device->len = len;
	memcpy(device->bytes, bytes, len);
}

Test(kvm_ram, an_access_reaches_the_range_that_holds_it_whole)
{
	struct device device = { 0 };
	struct kt_kvm_range range = { 0x1000, 8, device_read, device_write, &device };
	struct kt_kvm_bus bus = KT_KVM_BUS_NULL;
	uint8_t bytes[8] = { 1, 2, 3, 4 };

	cr_assert(zero(int, kt_kvm_bus_add(&bus, &range)));
	kt_kvm_bus_write(&bus, 0x1004, bytes, 4);
	cr_assert(eq(u64, device.offset, 4));
	cr_assert(eq(uint, device.len, 4));
	kt_kvm_bus_write(&bus, 0x1006, bytes, 2);
	kt_kvm_bus_write(&bus, 0x1006, bytes, 4); /* half of it lies behind the range */
	kt_kvm_bus_write(&bus, 0xfff, bytes, 2);
	cr_assert(eq(uint, device.len, 2));
	kt_kvm_bus_read(&bus, 0x1000, bytes, 4);
	cr_assert(eq(u8, bytes[1], 2));
	kt_kvm_bus_read(&bus, UINT64_MAX, bytes, 8);
	cr_assert(eq(u8, bytes[7], 0xff));
	range.len = 0;
	kt_kvm_bus_read(&bus, 0x1000, bytes, 4);
	cr_assert(eq(u8, bytes[1], 0xff));
}

Test(kvm_ram, a_full_bus_says_so)
{
	struct kt_kvm_range range = { .len = 0 };
	struct kt_kvm_bus bus = KT_KVM_BUS_NULL;

	for (unsigned int i = 0; i < KT_KVM_BUS_MAX; i++)
		cr_assert(zero(int, kt_kvm_bus_add(&bus, &range)));
	cr_assert(eq(int, kt_kvm_bus_add(&bus, &range), -ENOSPC));
}
