/* SPDX-License-Identifier: MIT */
/*
 * The table of a vCPU is a copy of what the host supports, without the leaves that describe the
 * host's own topology; those are made anew. A leaf of the host that slips through would be believed
 * before others: the LLC of every vCPU would be the host's.
 *
 * Linux on Intel reads 0x1f or 0xb for the shifts of APIC ids, and leaf 4 for who shares a cache
 * (arch/x86/kernel/cpu/{topology_ext,cacheinfo}.c). On AMD it reads 0x80000026, then 0xb, then
 * 0x80000008 and 0x8000001e, and 0x8000001d for caches (topology_amd.c). 0x80000026 is left out.
 * KVM emulates CPUID as a whole, so that leaves may be given that the host lacks.
 *
 * LLCs that differ have APIC ids with the same bits, those of the largest: Linux takes the bits of
 * all CPUs from the first one, and complains of others. How many CPUs share a cache follows from
 * the bits, and who does from the ids that exist; the numbers of an LLC are its own.
 */
#include "vmm/kvm/cpuid.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "util/cleanup.h"

#define LEAF_FEATURES       0x1u
#define LEAF_CACHES         0x4u
#define LEAF_COUNTERS       0xau
#define LEAF_TOPOLOGY       0xbu
#define LEAF_TOPOLOGY_2     0x1fu
#define LEAF_EXT_MAX        0x80000000u
#define LEAF_EXT_FEATURES   0x80000001u
#define LEAF_EXT_SIZES      0x80000008u
#define LEAF_SVM            0x8000000au
#define LEAF_AMD_CACHES     0x8000001du
#define LEAF_AMD_TOPOLOGY   0x8000001eu
#define LEAF_AMD_TOPOLOGY_2 0x80000026u

#define ECX_VMX          (1u << 5)  /* of leaf 1 */
#define ECX_X2APIC       (1u << 21) /* likewise, and the next three */
#define ECX_TSC_DEADLINE (1u << 24)
#define ECX_HYPERVISOR   (1u << 31)
#define EDX_HTT          (1u << 28)
#define ECX_CMP_LEGACY   (1u << 1) /* of leaf 0x80000001 */
#define ECX_SVM          (1u << 2)
#define ECX_TOPOEXT      (1u << 22)

#define CACHE_TYPE_MASK    0x1fu
#define CACHE_SHARING_MASK 0xffffc000u /* ids that share it, and cores of the package, less one */
#define CACHES_MAX         8u

/* Numbers of bits in an APIC id, and what they hold for one vCPU. */
struct ids {
	unsigned int smt_bits, llc_bits; /* the bits of an LLC include those of a core */
	unsigned int cores, threads, llc;
	uint32_t apic;
};

struct table {
	struct kvm_cpuid2 *cpuid;
	size_t max;
	bool full;
};

/* The number of bits that @n different numbers need. */
static unsigned int bits_for(unsigned int n)
{
	return n > 1 ? 32 - (unsigned int)__builtin_clz(n - 1) : 0;
}

static unsigned int cores_most(const struct kt_machine_topology *topology)
{
	unsigned int most = 0;

	for (unsigned int llc = 0; llc < topology->llcs; llc++)
		most = KT_MAX(most, kt_machine_llc_cores(topology, llc));
	return most;
}

static struct ids ids_of(const struct kt_machine_topology *topology, unsigned int vcpu)
{
	struct kt_machine_place place = kt_machine_place(topology, vcpu);
	struct ids ids = {
		.smt_bits = bits_for(topology->threads),
		.cores = kt_machine_llc_cores(topology, place.llc),
		.threads = topology->threads,
		.llc = place.llc,
	};

	ids.llc_bits = ids.smt_bits + bits_for(cores_most(topology));
	ids.apic = ids.llc << ids.llc_bits | place.core << ids.smt_bits | place.thread;
	return ids;
}

uint32_t kt_kvm_apic_id(const struct kt_machine_topology *topology, unsigned int vcpu)
{
	return ids_of(topology, vcpu).apic;
}

uint32_t kt_kvm_apic_id_max(const struct kt_machine_topology *topology)
{
	return kt_kvm_apic_id(topology, kt_machine_n_vcpus(topology) - 1);
}

static void put(struct table *table, struct kvm_cpuid_entry2 entry)
{
	if (table->cpuid->nent < table->max)
		table->cpuid->entries[table->cpuid->nent++] = entry;
	else
		table->full = true;
}

/* Adds a leaf of several subleaves. */
static void put_indexed(struct table *table, uint32_t leaf, uint32_t index, uint32_t eax,
			uint32_t ebx, uint32_t ecx, uint32_t edx)
{
	put(table, (struct kvm_cpuid_entry2){
			   .function = leaf,
			   .index = index,
			   .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX,
			   .eax = eax,
			   .ebx = ebx,
			   .ecx = ecx,
			   .edx = edx,
		   });
}

static const struct kvm_cpuid_entry2 *find(const struct kvm_cpuid2 *cpuid, uint32_t leaf)
{
	for (uint32_t i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == leaf)
			return &cpuid->entries[i];
	return NULL;
}

/* Whether the vendor describes its topology as AMD does: "AuthenticAMD", "HygonGenuine". */
static bool is_amd(const struct kvm_cpuid2 *supported)
{
	const struct kvm_cpuid_entry2 *leaf = find(supported, 0);

	return leaf && (!memcmp(&leaf->ebx, "Auth", 4) || !memcmp(&leaf->ebx, "Hygo", 4));
}

/* Whether the leaf of the host is left out; those about the topology are made anew. */
static bool is_dropped(uint32_t leaf)
{
	return leaf == LEAF_CACHES || leaf == LEAF_COUNTERS || leaf == LEAF_TOPOLOGY ||
	       leaf == LEAF_TOPOLOGY_2 || leaf == LEAF_SVM || leaf == LEAF_AMD_CACHES ||
	       leaf == LEAF_AMD_TOPOLOGY || leaf == LEAF_AMD_TOPOLOGY_2;
}

/*
 * The first EPYCs (family 0x17, model up to 0x1f) have four cores of two threads below an LLC, and
 * Linux takes eight for granted (cacheinfo_amd_init_llc_id()). With any other number the CPU says
 * that it is of the second generation, which has a leaf for that.
 */
static uint32_t signature(uint32_t eax, bool amd, const struct ids *ids)
{
	uint32_t family = (eax >> 8 & 0xf) + (eax >> 20 & 0xff);
	uint32_t model = (eax >> 4 & 0xf) | (eax >> 12 & 0xf0);

	if (!amd || family != 0x17 || model > 0x1f || ids->llc_bits == 3)
		return eax;
	return (eax & ~0xf00f0u) | 0x30010; /* model 0x31 */
}

static void patch_features(struct kvm_cpuid_entry2 *entry, bool amd, const struct ids *ids)
{
	unsigned int n = 1u << ids->llc_bits; /* APIC ids of a package */

	entry->eax = signature(entry->eax, amd, ids);
	entry->ebx = (entry->ebx & 0xffff) | KT_MIN(n, 255u) << 16 | ids->apic << 24;
	entry->ecx |= ECX_X2APIC | ECX_TSC_DEADLINE | ECX_HYPERVISOR;
	entry->ecx &= ~ECX_VMX;
	entry->edx = n > 1 ? entry->edx | EDX_HTT : entry->edx & ~EDX_HTT;
}

static void patch_extended(struct kvm_cpuid_entry2 *entry, bool amd, const struct ids *ids)
{
	entry->ecx &= ~(ECX_SVM | ECX_CMP_LEGACY);
	if (!amd)
		return;
	entry->ecx |= ECX_TOPOEXT;
	if (ids->cores * ids->threads > 1)
		entry->ecx |= ECX_CMP_LEGACY;
}

static void patch(struct kvm_cpuid_entry2 *entry, bool amd, const struct ids *ids)
{
	switch (entry->function) {
	case 0:
		entry->eax = KT_MAX(entry->eax, LEAF_TOPOLOGY);
		break;
	case LEAF_FEATURES:
		patch_features(entry, amd, ids);
		break;
	case LEAF_EXT_MAX:
		if (amd)
			entry->eax = KT_MAX(entry->eax, LEAF_AMD_TOPOLOGY);
		break;
	case LEAF_EXT_FEATURES:
		patch_extended(entry, amd, ids);
		break;
	case LEAF_EXT_SIZES:
		if (amd)
			entry->ecx = (entry->ecx & ~0xf0ffu) | ids->llc_bits << 12 |
				     ((ids->cores * ids->threads - 1) & 0xff);
		break;
	default:
		break;
	}
}

static void put_host_leaves(struct table *table, const struct kvm_cpuid2 *supported, bool amd,
			    const struct ids *ids)
{
	for (uint32_t i = 0; i < supported->nent; i++) {
		struct kvm_cpuid_entry2 entry = supported->entries[i];

		if (is_dropped(entry.function))
			continue;
		patch(&entry, amd, ids);
		put(table, entry);
	}
}

/* A cache as leaf 4 describes it; the sizes are stored as what they are less one. */
static struct kvm_cpuid_entry2 make_cache(unsigned int type, unsigned int level, unsigned int ways,
					  unsigned int sets)
{
	return (struct kvm_cpuid_entry2){
		.eax = type | level << 5 | 1u << 8,
		.ebx = 63u | (ways - 1) << 22, /* lines of 64 bytes */
		.ecx = sets - 1,
	};
}

/* The caches of the host, and those that are usual where it does not describe them. */
static unsigned int list_caches(const struct kvm_cpuid2 *supported, uint32_t leaf,
				struct kvm_cpuid_entry2 *caches)
{
	unsigned int n = 0;
	bool has_llc = false;

	for (uint32_t i = 0; i < supported->nent && n < CACHES_MAX - 1; i++) {
		const struct kvm_cpuid_entry2 *entry = &supported->entries[i];

		if (entry->function != leaf || !(entry->eax & CACHE_TYPE_MASK))
			continue;
		has_llc |= (entry->eax >> 5 & 7) >= 3;
		caches[n++] = *entry;
	}
	if (!n) {
		caches[n++] = make_cache(1, 1, 8, 64);   /* data, 32 KiB */
		caches[n++] = make_cache(2, 1, 8, 64);   /* instructions */
		caches[n++] = make_cache(3, 2, 8, 1024); /* 512 KiB */
	}
	if (!has_llc)
		caches[n++] = make_cache(3, 3, 16, 16384); /* 16 MiB */
	return n;
}

/* Threads of a core share its caches; only the LLC belongs to several cores. */
static void put_caches(struct table *table, const struct kvm_cpuid2 *supported, bool amd,
		       const struct ids *ids)
{
	uint32_t leaf = amd ? LEAF_AMD_CACHES : LEAF_CACHES;
	struct kvm_cpuid_entry2 caches[CACHES_MAX];
	unsigned int n = list_caches(supported, leaf, caches);
	uint32_t cores = (1u << (ids->llc_bits - ids->smt_bits)) - 1;

	for (unsigned int i = 0; i < n; i++) {
		bool llc = (caches[i].eax >> 5 & 7) >= 3;
		uint32_t sharing = (1u << (llc ? ids->llc_bits : ids->smt_bits)) - 1;
		uint32_t eax = (caches[i].eax & ~CACHE_SHARING_MASK) | (sharing & 0xfff) << 14;

		if (!amd)
			eax |= KT_MIN(cores, 63u) << 26;
		put_indexed(table, leaf, i, eax, caches[i].ebx, caches[i].ecx, caches[i].edx);
	}
	put_indexed(table, leaf, n, 0, 0, 0, 0);
}

/* Subleaf 0 describes threads (type 1), subleaf 1 cores (type 2); each has the APIC id. */
static void put_levels(struct table *table, uint32_t leaf, const struct ids *ids)
{
	put_indexed(table, leaf, 0, ids->smt_bits, ids->threads, 1u << 8, ids->apic);
	put_indexed(table, leaf, 1, ids->llc_bits, ids->cores * ids->threads, 2u << 8 | 1,
		    ids->apic);
	put_indexed(table, leaf, 2, 0, 0, 2, ids->apic);
}

/* A package is a node of its own: before family 0x17 Linux takes the node for the LLC. */
static void put_amd_topology(struct table *table, const struct ids *ids)
{
	put(table, (struct kvm_cpuid_entry2){
			   .function = LEAF_AMD_TOPOLOGY,
			   .eax = ids->apic,
			   .ebx = (ids->apic >> ids->smt_bits & 0xff) | (ids->threads - 1) << 8,
			   .ecx = ids->llc & 0xff,
		   });
}

int kt_kvm_cpuid(const struct kvm_cpuid2 *supported, const struct kt_machine_topology *topology,
		 unsigned int vcpu, struct kvm_cpuid2 *ret, size_t max)
{
	const struct kvm_cpuid_entry2 *first = find(supported, 0);
	struct ids ids = ids_of(topology, vcpu);
	struct table table = { .cpuid = ret, .max = max };
	bool amd = is_amd(supported);

	ret->nent = 0;
	put_host_leaves(&table, supported, amd, &ids);
	put_caches(&table, supported, amd, &ids);
	put_levels(&table, LEAF_TOPOLOGY, &ids);
	if (first && first->eax >= LEAF_TOPOLOGY_2)
		put_levels(&table, LEAF_TOPOLOGY_2, &ids);
	if (amd)
		put_amd_topology(&table, &ids);
	return table.full ? -E2BIG : 0;
}
