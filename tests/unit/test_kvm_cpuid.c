/* SPDX-License-Identifier: MIT */
/* CPUID of a KVM guest, read by the rules of Linux for the vendor of the host. */
#include <errno.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "tests/unit/topology.h"
#include "util/cleanup.h"
#include "vmm/kvm/cpuid.h"

UNIT_SUITE(kvm_cpuid);

#define TABLE_MAX 64u

struct table {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 room[TABLE_MAX];
};

static const struct kt_machine_topology topology = TOPOLOGY(1, 2, 3, 2); /* llc, 2 bits, 1 bit */

/* LLCs of 2, 10 and 4 threads: ids with three bits for the core, one for the thread. */
static const struct kt_machine_topology uneven = {
	.numa_nodes = 1, .llcs = 3, .threads = 2, .llc_cores = { 1, 5, 2 }
};

/* A host of 16 threads, whose caches are shared by 2 and by 16. */
static const struct kvm_cpuid_entry2 intel[] = {
	{ .function = 0, .eax = 0x1f, .ebx = 0x756e6547, .edx = 0x49656e69, .ecx = 0x6c65746e },
	{ .function = 1, .eax = 0x806f8, .ebx = 0x05100800, .ecx = 1u << 5, .edx = 1u << 28 },
	{ .function = 4, .index = 0, .flags = 1, .eax = 0x1c004121, .ebx = 0x02c0003f, .ecx = 63 },
	{ .function = 4, .index = 1, .flags = 1, .eax = 0x1c03c163, .ebx = 0x03c0003f, .ecx = 999 },
	{ .function = 0xa, .eax = 0x07300805 },
	{ .function = 0xb, .index = 0, .flags = 1, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 5 },
	{ .function = 0xb, .index = 1, .flags = 1, .eax = 4, .ebx = 16, .ecx = 0x201, .edx = 5 },
	{ .function = 0x1f, .index = 0, .flags = 1, .eax = 1, .ebx = 2, .ecx = 0x100, .edx = 5 },
	{ .function = 0x40000000, .eax = 0x40000001, .ebx = 0x4b4d564b },
	{ .function = 0x80000000, .eax = 0x80000008 },
	{ .function = 0x80000001, .ecx = 0x21 },
	{ .function = 0x80000008, .eax = 0x3039 },
};

/* An EPYC of the third generation; the test changes its model. */
static const struct kvm_cpuid_entry2 amd[] = {
	{ .function = 0, .eax = 0x10, .ebx = 0x68747541, .edx = 0x69746e65, .ecx = 0x444d4163 },
	{ .function = 1, .eax = 0xa00f11, .ebx = 0x05100800, .edx = 1u << 28 },
	{ .function = 0x80000000, .eax = 0x80000023 },
	{ .function = 0x80000001, .ecx = 1u << 2 | 1u << 22 },
	{ .function = 0x80000008, .eax = 0x3030, .ecx = 0x700f },
	{ .function = 0x8000000a, .eax = 1 },
	{ .function = 0x8000001d, .index = 0, .flags = 1, .eax = 0x4121, .ecx = 63 },
	{ .function = 0x8000001d, .index = 1, .flags = 1, .eax = 0x3c163, .ecx = 0x7fff },
	{ .function = 0x8000001e, .eax = 5, .ebx = 0x102, .ecx = 0x300 },
	{ .function = 0x80000026, .index = 0, .flags = 1, .eax = 1, .ebx = 2, .ecx = 0x100 },
};

static const struct kvm_cpuid_entry2 *leaf(const struct table *table, uint32_t function,
					   uint32_t index)
{
	const struct kvm_cpuid_entry2 *found = NULL;

	for (uint32_t i = 0; i < table->head.nent; i++) {
		const struct kvm_cpuid_entry2 *entry = &table->head.entries[i];

		if (entry->function != function || entry->index != index)
			continue;
		cr_assert(eq(ptr, (void *)found, NULL), "leaf 0x%x twice", function);
		found = entry;
	}
	return found;
}

static struct table make(const struct kvm_cpuid_entry2 *entries, size_t n,
			 const struct kt_machine_topology *of, unsigned int vcpu)
{
	struct table supported = { .head.nent = (uint32_t)n }, made;

	memcpy(supported.head.entries, entries, n * sizeof(*entries));
	cr_assert(zero(int, kt_kvm_cpuid(&supported.head, of, vcpu, &made.head, TABLE_MAX)));
	return made;
}

Test(kvm_cpuid, apic_ids_have_bits_of_their_own_for_each_level)
{
	cr_assert(eq(u32, kt_kvm_apic_id(&topology, 0), 0));
	cr_assert(eq(u32, kt_kvm_apic_id(&topology, 1), 1));
	cr_assert(eq(u32, kt_kvm_apic_id(&topology, 5), 5));
	cr_assert(eq(u32, kt_kvm_apic_id(&topology, 6), 8)); /* 6 and 7 are a gap */
	cr_assert(eq(u32, kt_kvm_apic_id_max(&topology), 13));
	cr_assert(
		eq(u32, kt_kvm_apic_id_max(&(struct kt_machine_topology)TOPOLOGY(1, 5, 1, 1)), 4));
}

/* Linux takes the LLC of a CPU to be its APIC id without as many bits as sharers need. */
static uint32_t llc_of(const struct kvm_cpuid_entry2 *cache, uint32_t apic)
{
	uint32_t sharing = (cache->eax >> 14 & 0xfff) + 1;

	return apic / sharing;
}

static void check_levels(const struct table *made, uint32_t function, uint32_t apic)
{
	const struct kvm_cpuid_entry2 *threads = leaf(made, function, 0);
	const struct kvm_cpuid_entry2 *cores = leaf(made, function, 1);

	cr_assert(eq(u32, threads->eax, 1));
	cr_assert(eq(u32, threads->ebx, 2));
	cr_assert(eq(u32, threads->ecx, 0x100));
	cr_assert(eq(u32, cores->eax, 3));
	cr_assert(eq(u32, cores->ebx, 6));
	cr_assert(eq(u32, cores->ecx, 0x201));
	for (uint32_t i = 0; i < 3; i++)
		cr_assert(eq(u32, leaf(made, function, i)->edx, apic));
	cr_assert(eq(u32, leaf(made, function, 2)->ebx, 0));
}

Test(kvm_cpuid, intel_guests_see_the_machine_and_not_the_host)
{
	for (unsigned int vcpu = 0; vcpu < 12; vcpu++) {
		struct table made = make(intel, KT_ARRAY_LEN(intel), &topology, vcpu);
		uint32_t apic = kt_kvm_apic_id(&topology, vcpu);

		check_levels(&made, 0xb, apic);
		check_levels(&made, 0x1f, apic);
		cr_assert(eq(u32, leaf(&made, 1, 0)->ebx, apic << 24 | 8u << 16 | 0x0800));
		cr_assert(eq(u32, llc_of(leaf(&made, 4, 0), apic), apic >> 1)); /* of a core */
		cr_assert(eq(u32, llc_of(leaf(&made, 4, 1), apic), vcpu / 6));
		cr_assert(eq(u32, leaf(&made, 4, 1)->eax >> 26, 3));
		cr_assert(eq(u32, leaf(&made, 4, 1)->ecx, 999)); /* the size is the host's */
		cr_assert(eq(u32, leaf(&made, 4, 2)->eax, 0));
		cr_assert(eq(ptr, (void *)leaf(&made, 0xa, 0), NULL));
	}
}

Test(kvm_cpuid, a_guest_does_not_virtualise_and_has_a_local_apic)
{
	struct table made = make(intel, KT_ARRAY_LEN(intel), &topology, 0);

	cr_assert(eq(u32, leaf(&made, 1, 0)->ecx, 1u << 31 | 1u << 24 | 1u << 21));
	cr_assert(eq(u32, leaf(&made, 0x40000000, 0)->ebx, 0x4b4d564b));
	made = make(amd, KT_ARRAY_LEN(amd), &topology, 0);
	cr_assert(eq(u32, leaf(&made, 0x80000001, 0)->ecx, 1u << 22 | 1u << 1));
	cr_assert(eq(ptr, (void *)leaf(&made, 0x8000000a, 0), NULL));
}

Test(kvm_cpuid, amd_guests_see_the_machine_and_not_the_host)
{
	for (unsigned int vcpu = 0; vcpu < 12; vcpu++) {
		struct table made = make(amd, KT_ARRAY_LEN(amd), &topology, vcpu);
		uint32_t apic = kt_kvm_apic_id(&topology, vcpu);

		check_levels(&made, 0xb, apic);
		cr_assert(eq(ptr, (void *)leaf(&made, 0x1f, 0), NULL));
		cr_assert(eq(ptr, (void *)leaf(&made, 0x80000026, 0), NULL));
		cr_assert(eq(u32, llc_of(leaf(&made, 0x8000001d, 0), apic), apic >> 1));
		cr_assert(eq(u32, llc_of(leaf(&made, 0x8000001d, 1), apic), vcpu / 6));
		cr_assert(eq(u32, leaf(&made, 0x8000001e, 0)->eax, apic));
		cr_assert(eq(u32, leaf(&made, 0x8000001e, 0)->ebx, 0x100 | apic >> 1));
		cr_assert(eq(u32, leaf(&made, 0x8000001e, 0)->ecx, vcpu / 6));
		cr_assert(eq(u32, leaf(&made, 0x80000008, 0)->ecx, 0x3005));
		cr_assert(eq(u32, leaf(&made, 0, 0)->eax, 0x10));
		cr_assert(eq(u32, leaf(&made, 1, 0)->eax, 0xa00f11));
	}
}

/* What Linux makes of LLCs that differ, by the leaf that the vendor has for caches. */
static void check_uneven(const struct kvm_cpuid_entry2 *entries, size_t n, uint32_t caches)
{
	static const unsigned int sizes[] = { 2, 10, 4 };
	unsigned int vcpu = 0;

	for (unsigned int llc = 0; llc < 3; llc++) {
		for (unsigned int i = 0; i < sizes[llc]; i++, vcpu++) {
			struct table made = make(entries, n, &uneven, vcpu);
			uint32_t apic = llc << 4 | i;

			cr_assert(eq(u32, kt_kvm_apic_id(&uneven, vcpu), apic));
			cr_assert(eq(u32, leaf(&made, 0xb, 0)->eax, 1));
			cr_assert(eq(u32, leaf(&made, 0xb, 1)->eax, 4)); /* of all the same */
			cr_assert(eq(u32, leaf(&made, 0xb, 1)->ebx, sizes[llc]));
			cr_assert(eq(u32, leaf(&made, 0xb, 0)->edx, apic));
			cr_assert(eq(u32, llc_of(leaf(&made, caches, 0), apic), apic >> 1));
			cr_assert(eq(u32, llc_of(leaf(&made, caches, 1), apic), llc));
		}
	}
	cr_assert(eq(uint, vcpu, kt_machine_n_vcpus(&uneven)));
	cr_assert(eq(u32, kt_kvm_apic_id_max(&uneven), 2u << 4 | 3));
}

Test(kvm_cpuid, llcs_that_differ_have_bits_of_the_largest)
{
	struct table made;

	check_uneven(intel, KT_ARRAY_LEN(intel), 4);
	check_uneven(amd, KT_ARRAY_LEN(amd), 0x8000001d);
	made = make(amd, KT_ARRAY_LEN(amd), &uneven, 12); /* the first thread of the last LLC */
	cr_assert(eq(u32, leaf(&made, 0x8000001e, 0)->eax, 32));
	cr_assert(eq(u32, leaf(&made, 0x8000001e, 0)->ecx, 2));
	cr_assert(eq(u32, leaf(&made, 0x80000008, 0)->ecx, 0x4003)); /* 4 bits, 4 threads */
}

/* Without leaf 0xb, topology or caches, as the emulated AMD CPU of QEMU is. */
Test(kvm_cpuid, a_host_that_tells_little_is_filled_up)
{
	static const struct kvm_cpuid_entry2 plain[] = {
		{ .function = 0, .eax = 0x7, .ebx = 0x68747541 },
		{ .function = 1, .eax = 0x60fb1 },
		{ .function = 0x80000000, .eax = 0x8000000a },
		{ .function = 0x80000001 },
		{ .function = 0x80000008 },
	};
	struct table made = make(plain, KT_ARRAY_LEN(plain), &topology, 7);

	check_levels(&made, 0xb, 9);
	cr_assert(eq(u32, leaf(&made, 0, 0)->eax, 0xb));
	cr_assert(eq(u32, leaf(&made, 0x80000000, 0)->eax, 0x8000001e));
	cr_assert(eq(u32, leaf(&made, 0x8000001d, 3)->eax, 7u << 14 | 1u << 8 | 3u << 5 | 3));
	cr_assert(eq(u32, leaf(&made, 0x8000001d, 4)->eax, 0));
	cr_assert(eq(u32, leaf(&made, 0x8000001e, 0)->ecx, 1));
}

/* Linux has LLCs of eight threads in the first EPYCs, whatever CPUID says. */
Test(kvm_cpuid, the_first_epyc_is_another_when_its_llcs_are_not_of_eight)
{
	static const struct kt_machine_topology eight = TOPOLOGY(1, 2, 4, 2),
						four = TOPOLOGY(1, 2, 2, 2);
	struct kvm_cpuid_entry2 first[KT_ARRAY_LEN(amd)];
	struct table made;

	memcpy(first, amd, sizeof(amd));
	first[1].eax = 0x800f12;
	made = make(first, KT_ARRAY_LEN(first), &eight, 0);
	cr_assert(eq(u32, leaf(&made, 1, 0)->eax, 0x800f12));
	made = make(first, KT_ARRAY_LEN(first), &four, 0);
	cr_assert(eq(u32, leaf(&made, 1, 0)->eax, 0x830f12));
}

Test(kvm_cpuid, a_single_thread_has_no_siblings)
{
	static const struct kt_machine_topology one = TOPOLOGY(1, 1, 1, 1);
	struct table made = make(intel, KT_ARRAY_LEN(intel), &one, 0);

	cr_assert(eq(u32, leaf(&made, 1, 0)->edx & 1u << 28, 0));
	cr_assert(eq(u32, leaf(&made, 1, 0)->ebx, 1u << 16 | 0x0800));
	made = make(amd, KT_ARRAY_LEN(amd), &one, 0);
	cr_assert(eq(u32, leaf(&made, 0x80000001, 0)->ecx, 1u << 22));
}

Test(kvm_cpuid, a_table_without_room_is_refused)
{
	struct table supported = { .head.nent = KT_ARRAY_LEN(intel) }, made;
	size_t n;

	memcpy(supported.head.entries, intel, sizeof(intel));
	cr_assert(zero(int, kt_kvm_cpuid(&supported.head, &topology, 0, &made.head, TABLE_MAX)));
	n = made.head.nent;
	cr_assert(n <= KT_ARRAY_LEN(intel) + KT_KVM_CPUID_MORE);
	cr_assert(zero(int, kt_kvm_cpuid(&supported.head, &topology, 0, &made.head, n)));
	cr_assert(eq(int, kt_kvm_cpuid(&supported.head, &topology, 0, &made.head, n - 1), -E2BIG));
}
