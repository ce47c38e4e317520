/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * KVM's virtual machine: its memory slots, the interrupt controllers that KVM has (PIC, IOAPIC and
 * PIT), and which message an interrupt is.
 */

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/kvm/msi.h"
#include "vmm/kvm/ram.h"

#define KT_KVM_PINS    24u /* of the IOAPIC: the GSIs from 0 on */
#define KT_KVM_MSI_MAX 64u /* the GSIs from KT_KVM_GSI_MSI on */

struct kt_kvm_vm {
	int kvm_fd, fd;
	size_t run_len;               /* bytes of struct kvm_run and what follows it */
	size_t xsave_len;             /* bytes of an XSAVE area */
	bool has_xsave2;              /* KVM_GET_XSAVE2 exists (Linux 5.17) */
	struct kvm_cpuid2 *supported; /* what the host's CPU and KVM have; owned */
	struct kt_kvm_msi msis[KT_KVM_MSI_MAX];
	int irqfds[KT_KVM_MSI_MAX]; /* -1: this GSI is not routed */
};

#define KT_KVM_CPUID_MAX 256u /* entries of a table */

/* Makes a machine without memory and vCPUs. Either way the caller ends it with _deinit(). */
int kt_kvm_vm_init(struct kt_kvm_vm *vm, struct kt_err *reterr);
void kt_kvm_vm_deinit(struct kt_kvm_vm *vm);

/* Gives the machine its RAM. */
int kt_kvm_vm_set_ram(const struct kt_kvm_vm *vm, const struct kt_kvm_ram *ram,
		      struct kt_err *reterr);

/* The functions of struct kt_kvm_host_ops with the same names; 0 or a negative errno. */
int kt_kvm_vm_route(struct kt_kvm_vm *vm, unsigned int gsi, const struct kt_kvm_msi *msi);
int kt_kvm_vm_raise(const struct kt_kvm_vm *vm, unsigned int gsi);
int kt_kvm_vm_notify(const struct kt_kvm_vm *vm, uint64_t gpa, int eventfd, bool on);

/* Raises a pin of the IOAPIC, and lowers it again: an edge. */
void kt_kvm_vm_pulse(const struct kt_kvm_vm *vm, unsigned int pin);
