/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a KVM guest finds when it begins: the kernel, the initramfs, the command line and the memory
 * map in its RAM, and the first vCPU's registers.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/kvm/ram.h"
#include "vmm/kvm/vcpu.h"

/* Where and how the first vCPU begins. */
struct kt_kvm_entry {
	bool is_64bit; /* long mode with identity page tables; else 32 bits without */
	uint64_t rip;
	uint64_t rbx; /* PVH: the address of struct hvm_start_info */
	uint64_t rsi; /* 64-bit boot protocol: the address of struct boot_params */
};

struct kt_kvm_boot {
	const char *kernel; /* path of a vmlinux with a PVH entry, or of a bzImage */
	int initramfs_fd;   /* open for reading */
	const char *cmdline;
	uint64_t rsdp; /* guest-physical address of ACPI's first table */
};

/* Loads everything into @ram. Returns 0 or a negative errno with a text that names the file. */
int kt_kvm_boot_load(const struct kt_kvm_boot *boot, const struct kt_kvm_ram *ram,
		     struct kt_kvm_entry *ret_entry, struct kt_err *reterr);

/*
 * Sets what vCPUs begin with: the local APICs, and the registers of the first one, as the boot
 * protocol of the kernel asks for. The others wait for INIT and SIPI.
 */
int kt_kvm_boot_set_vcpus(const struct kt_kvm_crew *crew, const struct kt_kvm_entry *entry,
			  const struct kt_kvm_ram *ram, struct kt_err *reterr);
