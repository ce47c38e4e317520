/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What CPUID tells the vCPUs of a KVM guest: what the host supports, with the topology of the
 * machine in place of the host's. Each LLC is a package, as on the QEMU machine.
 */

#include <linux/kvm.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/machine.h"

/*
 * The APIC id of a vCPU. Kernels take apart APIC ids by shifts, so threads, cores and LLCs have
 * bits of their own, and ids have gaps where a number is not a power of two, and where an LLC has
 * fewer cores than another.
 */
uint32_t kt_kvm_apic_id(const struct kt_machine_topology *topology, unsigned int vcpu);

/* The highest APIC id of the machine. */
uint32_t kt_kvm_apic_id_max(const struct kt_machine_topology *topology);

/* More entries than kt_kvm_cpuid() adds to those of the host. */
#define KT_KVM_CPUID_MORE 24u

/*
 * Makes the table of one vCPU, numbered from 0, from @supported (KVM_GET_SUPPORTED_CPUID) in *@ret,
 * which has room for @max entries. Hosts of Intel and of AMD differ in the leaves that describe the
 * topology. Virtualisation in the guest and its performance counters are left out. The kernel's
 * local APIC is taken for granted. Returns 0, or -E2BIG if there is not enough room.
 */
int kt_kvm_cpuid(const struct kvm_cpuid2 *supported, const struct kt_machine_topology *topology,
		 unsigned int vcpu, struct kvm_cpuid2 *ret, size_t max);
