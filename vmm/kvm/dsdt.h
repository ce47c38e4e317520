/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The part of ACPI that is a program: which devices a KVM guest has, and what it writes to power
 * off.
 */

#include <stddef.h>
#include <stdint.h>

#include "vmm/kvm/ram.h"

#define KT_KVM_DSDT_MAX 1024u /* bytes; about 300 are used */

/*
 * Writes the AML of the table, without a header, for a guest with this RAM. @aml has room for
 * KT_KVM_DSDT_MAX bytes. Returns their number.
 */
size_t kt_kvm_dsdt(const struct kt_kvm_ram *ram, uint8_t *aml);

/* Where the window of PCI devices behind the RAM begins. */
uint64_t kt_kvm_pci_high_gpa(const struct kt_kvm_ram *ram);
