/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The tables of ACPI in a KVM guest's RAM: processors, interrupts, NUMA nodes, the PCI bus, and the
 * registers for power-off and reset (vmm/kvm/map.h).
 */

#include <stdint.h>

#include "util/err.h"
#include "vmm/kvm/ram.h"
#include "vmm/machine.h"

/*
 * Writes the tables to KT_KVM_ACPI_GPA. The nodes of the memory are those of the slots of @ram.
 * *@ret_rsdp is the guest-physical address of the first table. Returns 0, -E2BIG if the machine has
 * more vCPUs or nodes than there is room for, or -EFAULT if the RAM ends below the tables.
 */
int kt_kvm_acpi_build(const struct kt_kvm_ram *ram, const struct kt_machine_topology *topology,
		      uint64_t *ret_rsdp, struct kt_err *reterr);
