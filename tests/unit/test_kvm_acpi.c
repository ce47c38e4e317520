/* SPDX-License-Identifier: MIT */
/*
 * The tables of ACPI in a KVM guest's RAM, read as a kernel reads them: by their sums, lengths and
 * offsets, and the program in them by a disassembler where there is one.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "tests/unit/topology.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/process.h"
#include "vmm/kvm/acpi.h"
#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/dsdt.h"
#include "vmm/kvm/map.h"

UNIT_SUITE(kvm_acpi);

#define MIB (UINT64_C(1) << 20)

/* The tables lie in the first MiB; more RAM is only said to be there. */
static uint8_t first_mib[MIB];

static const struct kt_machine_topology small = TOPOLOGY(1, 1, 2, 1), numa = TOPOLOGY(2, 4, 3, 2),
					wide = TOPOLOGY(1, 40, 3, 2);

/* Nodes of 3 and 2 processors, and one of memory alone. */
static const struct kt_machine_topology uneven = {
	.numa_nodes = 2, .llcs = 2, .threads = 1, .memory_nodes = 1, .llc_cores = { 3, 2 }
};

static uint64_t number(const uint8_t *at, unsigned int len)
{
	uint64_t value = 0;

	memcpy(&value, at, len);
	return value;
}

static struct kt_kvm_ram build(const struct kt_machine_topology *topology, unsigned int ram_mib)
{
	struct kt_kvm_ram ram;
	struct kt_err err = KT_ERR_NULL;
	uint64_t rsdp;

	cr_assert(
		zero(int, kt_kvm_ram_init(&ram, first_mib, ram_mib, kt_machine_n_nodes(topology))));
	cr_assert(zero(int, kt_kvm_acpi_build(&ram, topology, &rsdp, &err)), "%s", err.text);
	cr_assert(eq(u64, rsdp, KT_KVM_ACPI_GPA));
	return ram;
}

static void check_sum(const uint8_t *bytes, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	cr_assert(eq(u8, sum, 0));
}

/* The table at a guest-physical address, whose length and sum are right. */
static const uint8_t *table_at(uint64_t gpa)
{
	const uint8_t *table = first_mib + gpa;
	uint64_t end = KT_KVM_ACPI_GPA + KT_KVM_ACPI_LEN;

	cr_assert(gpa >= KT_KVM_ACPI_GPA && gpa < end - 36 && number(table + 4, 4) <= end - gpa);
	check_sum(table, number(table + 4, 4));
	return table;
}

/* Finds a table through the RSDP and the XSDT, as a kernel does. NULL: it is not listed. */
static const uint8_t *find_table(const char *signature)
{
	const uint8_t *rsdp = first_mib + KT_KVM_ACPI_GPA, *xsdt;

	cr_assert(zero(int, memcmp(rsdp, "RSD PTR ", 8)));
	check_sum(rsdp, 20);
	check_sum(rsdp, 36);
	xsdt = table_at(number(rsdp + 24, 8));
	cr_assert(zero(int, memcmp(xsdt, "XSDT", 4)));
	for (size_t at = 36; at < number(xsdt + 4, 4); at += 8) {
		const uint8_t *table = table_at(number(xsdt + at, 8));

		if (!memcmp(table, signature, 4))
			return table;
	}
	return NULL;
}

Test(kvm_acpi, power_and_reset_are_writes_to_ports)
{
	const uint8_t *fadt;

	(void)build(&small, 512);
	fadt = find_table("FACP");
	cr_assert(ne(ptr, (void *)fadt, NULL));
	cr_assert(eq(u64, number(fadt + 4, 4), 276));
	cr_assert(eq(u64, number(fadt + 112, 4) & (1u << 20 | 1u << 10), 1u << 20 | 1u << 10));
	cr_assert(eq(u64, number(fadt + 116, 4), 0x01000801));
	cr_assert(eq(u64, number(fadt + 120, 8), KT_KVM_PORT_RESET));
	cr_assert(eq(u8, fadt[128], KT_KVM_RESET_VALUE));
	cr_assert(eq(u64, number(fadt + 248, 8), KT_KVM_PORT_SLEEP_CONTROL));
	cr_assert(eq(u64, number(fadt + 260, 8), KT_KVM_PORT_SLEEP_STATUS));
	cr_assert(eq(u64, number(fadt + 40, 4), number(fadt + 140, 8)));
	cr_assert(zero(int, memcmp(table_at(number(fadt + 140, 8)), "DSDT", 4)));
}

/* Reads the entries of the MADT; *@ret_ids gets the APIC ids in the order of the processors. */
static unsigned int read_madt(const uint8_t *madt, uint32_t *ret_ids, unsigned int *ret_ioapics)
{
	unsigned int n = 0;

	*ret_ioapics = 0;
	for (size_t at = 44; at < number(madt + 4, 4); at += madt[at + 1]) {
		const uint8_t *entry = madt + at;

		cr_assert(entry[1] >= 6 && at + entry[1] <= number(madt + 4, 4));
		if (entry[0] == 0)
			ret_ids[n++] = entry[3];
		else if (entry[0] == 9)
			ret_ids[n++] = (uint32_t)number(entry + 4, 4);
		else if (entry[0] == 1)
			*ret_ioapics += number(entry + 4, 4) == KT_KVM_IOAPIC_GPA;
	}
	return n;
}

Test(kvm_acpi, processors_are_listed_with_their_apic_ids)
{
	static const struct kt_machine_topology *const cases[] = { &small, &numa, &wide, &uneven };

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		unsigned int n = kt_machine_n_vcpus(cases[i]), ioapics;
		uint32_t ids[256];

		(void)build(cases[i], 512);
		cr_assert(eq(uint, read_madt(find_table("APIC"), ids, &ioapics), n), "case %zu", i);
		cr_assert(eq(uint, ioapics, 1), "case %zu", i);
		for (unsigned int vcpu = 0; vcpu < n; vcpu++)
			cr_assert(eq(u32, ids[vcpu], kt_kvm_apic_id(cases[i], vcpu)), "case %zu",
				  i);
	}
	cr_assert(eq(u32, kt_kvm_apic_id(&wide, 239), 317)); /* past the short structures */
}

Test(kvm_acpi, one_node_needs_no_tables_of_nodes)
{
	(void)build(&small, 512);
	cr_assert(eq(ptr, (void *)find_table("SRAT"), NULL));
	cr_assert(eq(ptr, (void *)find_table("SLIT"), NULL));
	cr_assert(eq(ptr, (void *)find_table("HMAT"), NULL));
	cr_assert(eq(u64, number(find_table("MCFG") + 44, 8), KT_KVM_MCFG_GPA));
}

Test(kvm_acpi, nodes_have_their_processors_and_their_memory)
{
	struct kt_kvm_ram ram = build(&numa, 4096);
	const uint8_t *srat = find_table("SRAT"), *slit = find_table("SLIT");
	unsigned int vcpu = 0, slot = 0;

	for (size_t at = 48; at < number(srat + 4, 4); at += srat[at + 1]) {
		const uint8_t *entry = srat + at;

		cr_assert(gt(u8, entry[1], 0));
		if (entry[0] == 0) {
			cr_assert(eq(u8, entry[2], vcpu / 12));
			cr_assert(eq(u8, entry[3], kt_kvm_apic_id(&numa, vcpu++)));
		} else {
			cr_assert(eq(u8, entry[0], 1));
			cr_assert(eq(u64, number(entry + 2, 4), ram.slots[slot].node));
			cr_assert(eq(u64, number(entry + 8, 8), ram.slots[slot].gpa));
			cr_assert(eq(u64, number(entry + 16, 8), ram.slots[slot++].len));
		}
	}
	cr_assert(eq(uint, vcpu, 24));
	cr_assert(eq(uint, slot, 2));
	cr_assert(eq(u64, number(slit + 36, 8), 2));
	cr_assert(zero(int, memcmp(slit + 44, "\x0a\x14\x14\x0a", 4)));
}

/* The node of each processor, and the nodes of the memory in order of their addresses. */
Test(kvm_acpi, a_node_of_memory_alone_has_no_processors)
{
	static const uint8_t nodes[] = { 0, 0, 0, 1, 1 };
	const uint8_t *srat, *slit;
	unsigned int vcpu = 0, node = 0;

	(void)build(&uneven, 768);
	srat = find_table("SRAT");
	for (size_t at = 48; at < number(srat + 4, 4); at += srat[at + 1]) {
		if (srat[at] == 0) {
			cr_assert(eq(u8, srat[at + 2], nodes[vcpu]));
			cr_assert(eq(u8, srat[at + 3], kt_kvm_apic_id(&uneven, vcpu++)));
		} else {
			cr_assert(eq(u64, number(srat + at + 2, 4), node));
			cr_assert(eq(u64, number(srat + at + 8, 8), node++ * 256 * MIB));
			cr_assert(eq(u64, number(srat + at + 16, 8), 256 * MIB));
		}
	}
	cr_assert(eq(uint, vcpu, 5));
	cr_assert(eq(uint, node, 3));
	slit = find_table("SLIT");
	cr_assert(eq(u64, number(slit + 36, 8), 3));
	cr_assert(zero(int, memcmp(slit + 44, "\x0a\x14\x14\x14\x0a\x14\x14\x14\x0a", 9)));
}

/* Its row is missing: nobody is there to make an access. */
Test(kvm_acpi, memory_alone_is_the_slowest)
{
	static const uint16_t latency[] = { 100, 200, 300, 200, 100, 300 };
	const uint8_t *hmat, *matrix;

	(void)build(&uneven, 768);
	hmat = find_table("HMAT");
	cr_assert(eq(u64, number(hmat + 40 + 8, 4), 1)); /* node 0: its processors are known */
	cr_assert(eq(u64, number(hmat + 40 + 2 * 40 + 8, 4), 0));
	cr_assert(eq(u64, number(hmat + 40 + 2 * 40 + 16, 4), 2));
	matrix = hmat + 40 + 3 * 40;
	cr_assert(eq(u64, number(matrix + 4, 4), 32 + 4 * (2 + 3) + 2 * 2 * 3));
	cr_assert(eq(u64, number(matrix + 12, 4), 2));
	cr_assert(eq(u64, number(matrix + 16, 4), 3));
	cr_assert(zero(int, memcmp(matrix + 32 + 4 * 5, latency, sizeof(latency))));
	matrix += number(matrix + 4, 4);
	cr_assert(eq(u64, number(matrix + 4, 4) + (size_t)(matrix - hmat), number(hmat + 4, 4)));
}

/* Each structure says how long it is; together they fill the table. */
Test(kvm_acpi, the_distances_of_nodes_are_in_numbers_too)
{
	const uint8_t *hmat;
	size_t at = 40, n = 0;

	(void)build(&numa, 4096);
	hmat = find_table("HMAT");
	for (; at < number(hmat + 4, 4); n++) {
		cr_assert(gt(u64, number(hmat + at + 4, 4), 0));
		if (n == 2) { /* latencies, behind the structures of both nodes */
			cr_assert(eq(u64, number(hmat + at, 2), 1));
			cr_assert(eq(u64, number(hmat + at + 48, 2), 100));
			cr_assert(eq(u64, number(hmat + at + 50, 2), 200));
		}
		at += number(hmat + at + 4, 4);
	}
	cr_assert(eq(u64, at, number(hmat + 4, 4)));
	cr_assert(eq(sz, n, 4));
}

Test(kvm_acpi, a_machine_that_does_not_fit_is_refused)
{
	static const struct kt_machine_topology huge = TOPOLOGY(1, 64, 64, 4);
	struct kt_kvm_ram ram = { .n = 1, .slots = { { 0, MIB, first_mib, 0 } } };
	struct kt_err err = KT_ERR_NULL;
	uint64_t rsdp;

	cr_assert(eq(int, kt_kvm_acpi_build(&ram, &huge, &rsdp, &err), -E2BIG));
	cr_assert(strstr(err.text, "16384 vCPUs") != NULL, "%s", err.text);
	ram.slots[0].len = KT_KVM_ACPI_GPA + 4096;
	cr_assert(eq(int, kt_kvm_acpi_build(&ram, &small, &rsdp, &err), -EFAULT));
}

/* Disassembles the DSDT with iasl, and returns the text. */
static char *disassemble(const char *iasl, const uint8_t *dsdt)
{
	char dir[] = "/tmp/ktest-aml-XXXXXX";
	KT_FREE char *said = NULL;
	struct kt_err err = KT_ERR_NULL;
	char aml[64], dsl[64], *text;

	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)snprintf(aml, sizeof(aml), "%s/dsdt.aml", dir);
	(void)snprintf(dsl, sizeof(dsl), "%s/dsdt.dsl", dir);
	cr_assert(zero(int, kt_file_publish(aml, dsdt, number(dsdt + 4, 4), &err)), "%s", err.text);
	cr_assert(zero(int, kt_process_output((const char *const[]){ iasl, "-d", aml, NULL },
					      kt_now_ns() + 30 * KT_NSEC_PER_SEC, &said, &err)),
		  "%s", err.text);
	cr_assert(zero(int, kt_file_read(dsl, MIB, &text, NULL)), "%s", said);
	cr_assert(eq(ptr, strstr(said, "rror"), NULL), "%s", said);
	(void)unlink(aml);
	(void)unlink(dsl);
	(void)rmdir(dir);
	return text;
}

Test(kvm_acpi, the_program_tells_windows_serial_port_and_sleep)
{
	static const char *const parts[] = {
		"Name (_S5, Package (0x04)",
		"Device (PCI0)",
		"EisaId (\"PNP0A08\")",
		"0xDFFFFFFF,         // Range Maximum",
		"0x00000001C0000000, // Range Minimum",
		"Device (COM1)",
		"EisaId (\"PNP0501\")",
		"0x03F8,             // Range Minimum",
		"ResourceConsumer, Edge, ActiveHigh, Exclusive",
		"0xE0000000,         // Address Base",
	};
	KT_FREE char *text = NULL;
	char iasl[4096];

	if (kt_process_find("iasl", iasl, sizeof(iasl)) < 0)
		cr_skip_test("there is no iasl");
	(void)build(&small, 5 * 1024); /* RAM up to 7 GiB: 2 below the hole */
	text = disassemble(iasl, table_at(number(find_table("FACP") + 140, 8)));
	for (size_t i = 0; i < KT_ARRAY_LEN(parts); i++)
		cr_expect(strstr(text, parts[i]) != NULL, "%s: %s", parts[i], text);
}

Test(kvm_acpi, the_high_window_lies_behind_the_ram)
{
	struct kt_kvm_ram ram;

	cr_assert(zero(int, kt_kvm_ram_init(&ram, first_mib, 512, 1)));
	cr_assert(eq(u64, kt_kvm_pci_high_gpa(&ram), UINT64_C(4) << 30));
	cr_assert(zero(int, kt_kvm_ram_init(&ram, first_mib, 4097, 1)));
	cr_assert(eq(u64, kt_kvm_pci_high_gpa(&ram), UINT64_C(7) << 30));
}
