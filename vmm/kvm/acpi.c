/* SPDX-License-Identifier: MIT */
/*
 * The tables lie one behind the other in the reserved part of the RAM, the RSDP first. Offsets and
 * numbers are of the ACPI specification 6.5, chapter 5. The machine has "reduced hardware": no
 * power management timer, no system control interrupt, and sleep and reset are writes to a port.
 *
 * NUMA: SRAT says which processors and which memory are near each other, SLIT how far the others
 * are, and HMAT the same in numbers. All are left out with a single node. A node of memory alone
 * has no processor in SRAT, and accesses to it are the slowest in HMAT, from which Linux takes that
 * it is another tier of memory.
 */
#include "vmm/kvm/acpi.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/dsdt.h"
#include "vmm/kvm/map.h"

#define RSDP_LEN    36u
#define HEADER_LEN  36u
#define FADT_LEN    276u
#define TABLES_MAX  8u
#define APIC_ID_MAX 254u /* of the short structures; longer ids need others */

#define FADT_BOOT_FLAGS      0x25u /* devices behind LPC; no VGA, no clock in CMOS */
#define FADT_WBINVD          (1u << 0)
#define FADT_C1              (1u << 2)
#define FADT_NO_POWER_BUTTON (1u << 4)
#define FADT_NO_SLEEP_BUTTON (1u << 5)
#define FADT_RESET           (1u << 10)
#define FADT_REDUCED         (1u << 20)

#define DISTANCE_NEAR 10u
#define DISTANCE_FAR  20u

/* Bytes are written behind each other; what does not fit is only counted. */
struct writer {
	uint8_t *bytes;
	size_t len, n;
	uint64_t tables[TABLES_MAX]; /* their addresses, for the XSDT */
	size_t n_tables;
};

static void put(struct writer *writer, uint64_t value, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++, writer->n++)
		if (writer->n < writer->len)
			writer->bytes[writer->n] = (uint8_t)(value >> 8 * i);
}

static void put_bytes(struct writer *writer, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		put(writer, ((const uint8_t *)bytes)[i], 1);
}

/* Stores a number in front of the end, where there is room for it. */
static void set(struct writer *writer, size_t at, uint64_t value, unsigned int len)
{
	struct writer there = { .bytes = writer->bytes, .len = writer->len, .n = at };

	put(&there, value, len);
}

/* All bytes of a table add up to 0; @at is the one that makes them do so. */
static void set_sum(struct writer *writer, size_t begin, size_t len, size_t at)
{
	uint8_t sum = 0;

	for (size_t i = begin; i < begin + len && i < writer->len; i++)
		sum = (uint8_t)(sum + writer->bytes[i]);
	set(writer, at, (uint8_t)-sum, 1);
}

/* Begins a table at a multiple of 16; the result is passed to end(). */
static size_t begin(struct writer *writer, const char *signature, unsigned int revision)
{
	size_t at;

	while (writer->n % 16)
		put(writer, 0, 1);
	at = writer->n;
	put_bytes(writer, signature, 4);
	put(writer, 0, 4); /* the length */
	put(writer, revision, 1);
	put(writer, 0, 1); /* the sum */
	put_bytes(writer, "KTEST ", 6);
	put_bytes(writer, "KTESTKVM", 8);
	put(writer, 1, 4);
	put_bytes(writer, "KTST", 4);
	put(writer, 1, 4);
	return at;
}

static uint64_t end(struct writer *writer, size_t at)
{
	set(writer, at + 4, writer->n - at, 4);
	set_sum(writer, at, writer->n - at, at + 9);
	return KT_KVM_ACPI_GPA + at;
}

static void end_listed(struct writer *writer, size_t at)
{
	writer->tables[writer->n_tables++] = end(writer, at);
}

/* A register of one byte at a port, as a generic address. */
static void set_port(struct writer *writer, size_t at, unsigned int port)
{
	set(writer, at, 1, 1);     /* port I/O */
	set(writer, at + 1, 8, 1); /* bits */
	set(writer, at + 3, 1, 1); /* accessed as a byte */
	set(writer, at + 4, port, 8);
}

static void put_fadt(struct writer *writer, uint64_t dsdt)
{
	size_t at = begin(writer, "FACP", 6);

	while (writer->n < at + FADT_LEN)
		put(writer, 0, 1);
	set(writer, at + 40, dsdt, 4);
	set(writer, at + 109, FADT_BOOT_FLAGS, 2);
	set(writer, at + 112,
	    FADT_WBINVD | FADT_C1 | FADT_NO_POWER_BUTTON | FADT_NO_SLEEP_BUTTON | FADT_RESET |
		    FADT_REDUCED,
	    4);
	set_port(writer, at + 116, KT_KVM_PORT_RESET);
	set(writer, at + 128, KT_KVM_RESET_VALUE, 1);
	set(writer, at + 131, 5, 1); /* the minor version: 6.5 */
	set(writer, at + 140, dsdt, 8);
	set_port(writer, at + 244, KT_KVM_PORT_SLEEP_CONTROL);
	set_port(writer, at + 256, KT_KVM_PORT_SLEEP_STATUS);
	end_listed(writer, at);
}

/* A processor's local APIC. The order of the processors is that of the guest's CPU numbers. */
static void put_lapic(struct writer *writer, uint32_t id, unsigned int vcpu)
{
	if (id <= APIC_ID_MAX) {
		put(writer, 0x0800, 2);
		put(writer, vcpu, 1); /* below the id, as ids have gaps */
		put(writer, id, 1);
		put(writer, 1, 4); /* enabled */
		return;
	}
	put(writer, 0x1009, 2);
	put(writer, 0, 2);
	put(writer, id, 4);
	put(writer, 1, 4);
	put(writer, vcpu, 4);
}

static void put_madt(struct writer *writer, const struct kt_machine_topology *topology)
{
	size_t at = begin(writer, "APIC", 5);

	put(writer, KT_KVM_LAPIC_GPA, 4);
	put(writer, 0, 4); /* flags */
	for (unsigned int vcpu = 0; vcpu < kt_machine_n_vcpus(topology); vcpu++)
		put_lapic(writer, kt_kvm_apic_id(topology, vcpu), vcpu);
	put(writer, 0x0c01, 2); /* the IOAPIC, with the id 0 */
	put(writer, 0, 2);
	put(writer, KT_KVM_IOAPIC_GPA, 4);
	put(writer, 0, 4);      /* its first GSI */
	put(writer, 0x0604, 2); /* NMIs: all processors, edge, LINT1 */
	put(writer, 0xff, 1);
	put(writer, 0, 2);
	put(writer, 1, 1);
	end_listed(writer, at);
}

static void put_mcfg(struct writer *writer)
{
	size_t at = begin(writer, "MCFG", 1);

	put(writer, 0, 8);
	put(writer, KT_KVM_MCFG_GPA, 8);
	put(writer, 0, 8); /* segment 0, from bus 0 to bus 0 */
	end_listed(writer, at);
}

static void put_srat_processor(struct writer *writer, uint32_t id, unsigned int node)
{
	if (id <= APIC_ID_MAX) {
		put(writer, 0x1000, 2);
		put(writer, node & 0xff, 1);
		put(writer, id, 1);
		put(writer, 1, 4); /* enabled */
		put(writer, 0, 1);
		put(writer, node >> 8, 3);
		put(writer, 0, 4);
		return;
	}
	put(writer, 0x1802, 2);
	put(writer, 0, 2);
	put(writer, node, 4);
	put(writer, id, 4);
	put(writer, 1, 4);
	put(writer, 0, 8);
}

static void put_srat(struct writer *writer, const struct kt_kvm_ram *ram,
		     const struct kt_machine_topology *topology)
{
	size_t at = begin(writer, "SRAT", 3);
	unsigned int n = kt_machine_n_vcpus(topology);

	put(writer, 1, 4);
	put(writer, 0, 8);
	for (unsigned int vcpu = 0; vcpu < n; vcpu++)
		put_srat_processor(writer, kt_kvm_apic_id(topology, vcpu),
				   kt_machine_place(topology, vcpu).node);
	for (size_t i = 0; i < ram->n; i++) {
		put(writer, 0x2801, 2);
		put(writer, ram->slots[i].node, 4);
		put(writer, 0, 2);
		put(writer, ram->slots[i].gpa, 8);
		put(writer, ram->slots[i].len, 8);
		put(writer, 0, 4);
		put(writer, 1, 4); /* enabled */
		put(writer, 0, 8);
	}
	end_listed(writer, at);
}

static void put_slit(struct writer *writer, unsigned int nodes)
{
	size_t at = begin(writer, "SLIT", 1);

	put(writer, nodes, 8);
	for (unsigned int from = 0; from < nodes; from++)
		for (unsigned int to = 0; to < nodes; to++)
			put(writer, from == to ? DISTANCE_NEAR : DISTANCE_FAR, 1);
	end_listed(writer, at);
}

/*
 * What a matrix says of the accesses of a processor: to its own node's memory, to that of another
 * node with processors, and to that of a node without.
 */
struct matrix {
	unsigned int type; /* a number of the specification */
	uint64_t unit;
	unsigned int near, far, alone;
};

static const struct matrix latency = { 0, 1000, 100, 200, 300 }; /* in ns */
static const struct matrix bandwidth = { 3, 100, 200, 100, 50 }; /* in 100 MB/s */

static unsigned int distance(const struct matrix *matrix, unsigned int from, unsigned int to,
			     unsigned int n_from)
{
	if (to >= n_from)
		return matrix->alone;
	return from == to ? matrix->near : matrix->far;
}

static void put_hmat_matrix(struct writer *writer, const struct kt_machine_topology *topology,
			    const struct matrix *matrix)
{
	unsigned int n_from = topology->numa_nodes, n_to = kt_machine_n_nodes(topology);

	put(writer, 1, 4);
	put(writer, 32 + 4 * (n_from + n_to) + 2 * n_from * n_to, 4);
	put(writer, 0, 1); /* memory */
	put(writer, matrix->type, 1);
	put(writer, 0, 2);
	put(writer, n_from, 4);
	put(writer, n_to, 4);
	put(writer, 0, 4);
	put(writer, matrix->unit, 8);
	for (unsigned int from = 0; from < n_from; from++)
		put(writer, from, 4);
	for (unsigned int to = 0; to < n_to; to++)
		put(writer, to, 4);
	for (unsigned int from = 0; from < n_from; from++)
		for (unsigned int to = 0; to < n_to; to++)
			put(writer, distance(matrix, from, to, n_from), 2);
}

static void put_hmat(struct writer *writer, const struct kt_machine_topology *topology)
{
	size_t at = begin(writer, "HMAT", 2);

	put(writer, 0, 4);
	for (unsigned int node = 0; node < kt_machine_n_nodes(topology); node++) {
		bool has_processors = node < topology->numa_nodes;

		put(writer, 0, 4);
		put(writer, 40, 4);
		put(writer, has_processors, 4); /* whether the next number counts */
		put(writer, has_processors ? node : 0, 4);
		put(writer, node, 4);
		put(writer, 0, 8);
		put(writer, 0, 8);
		put(writer, 0, 4);
	}
	put_hmat_matrix(writer, topology, &latency);
	put_hmat_matrix(writer, topology, &bandwidth);
	end_listed(writer, at);
}

static uint64_t put_dsdt(struct writer *writer, const struct kt_kvm_ram *ram)
{
	uint8_t aml[KT_KVM_DSDT_MAX];
	size_t at = begin(writer, "DSDT", 2);

	put_bytes(writer, aml, kt_kvm_dsdt(ram, aml));
	return end(writer, at);
}

static uint64_t put_xsdt(struct writer *writer)
{
	size_t at = begin(writer, "XSDT", 1);

	for (size_t i = 0; i < writer->n_tables; i++)
		put(writer, writer->tables[i], 8);
	return end(writer, at);
}

/* The RSDP comes first, in the room that was left for it. */
static void set_rsdp(struct writer *writer, uint64_t xsdt)
{
	struct writer there = { .bytes = writer->bytes, .len = writer->len };

	put_bytes(&there, "RSD PTR ", 8);
	put(&there, 0, 1);
	put_bytes(&there, "KTEST ", 6);
	put(&there, 2, 1); /* the revision; there is no RSDT */
	put(&there, 0, 4);
	put(&there, RSDP_LEN, 4);
	put(&there, xsdt, 8);
	put(&there, 0, 4);
	set_sum(writer, 0, 20, 8);
	set_sum(writer, 0, RSDP_LEN, 32);
}

int kt_kvm_acpi_build(const struct kt_kvm_ram *ram, const struct kt_machine_topology *topology,
		      uint64_t *ret_rsdp, struct kt_err *reterr)
{
	struct writer writer = { .len = KT_KVM_ACPI_LEN, .n = RSDP_LEN };
	unsigned int n_nodes = kt_machine_n_nodes(topology);

	writer.bytes = kt_kvm_ram_at(ram, KT_KVM_ACPI_GPA, KT_KVM_ACPI_LEN);
	if (!writer.bytes)
		return kt_err_set(reterr, -EFAULT,
				  "the guest has too little memory for the tables of ACPI");
	memset(writer.bytes, 0, KT_KVM_ACPI_LEN);
	put_fadt(&writer, put_dsdt(&writer, ram));
	put_madt(&writer, topology);
	put_mcfg(&writer);
	if (n_nodes > 1) {
		put_srat(&writer, ram, topology);
		put_slit(&writer, n_nodes);
		put_hmat(&writer, topology);
	}
	set_rsdp(&writer, put_xsdt(&writer));
	if (writer.n > writer.len)
		return kt_err_set(reterr, -E2BIG,
				  "the tables of ACPI for %u vCPUs in %u nodes need %zu bytes, and "
				  "have %zu",
				  kt_machine_n_vcpus(topology), n_nodes, writer.n, writer.len);
	*ret_rsdp = KT_KVM_ACPI_GPA;
	return 0;
}
