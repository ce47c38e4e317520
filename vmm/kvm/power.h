/* SPDX-License-Identifier: MIT */
#pragma once
/* How a KVM guest powers off or reboots: registers of ACPI, and a reset vector (vmm/kvm/map.h). */

#include "vmm/kvm/bus.h"
#include "vmm/kvm/ram.h"

enum kt_kvm_power {
	KT_KVM_POWER_OFF,
	KT_KVM_POWER_RESET,
};

struct kt_kvm_power_port {
	struct kt_kvm_range sleep, reset;
	/* In the thread of a vCPU, with the device lock held. */
	void (*wanted)(void *data, enum kt_kvm_power power);
	void *data;
};

/*
 * Writes what is executed after a reset of the processor: it asks for a reset of the machine. Linux
 * jumps there when it reboots (machine_real_restart() of arch/x86/kernel/reboot.c) if ACPI is
 * hardware-reduced and there is no EFI, whatever the tables say of a reset register: reboot_init()
 * chooses EFI, which is not there, and the BIOS is next.
 */
void kt_kvm_power_put_vector(const struct kt_kvm_ram *ram);

/* The caller sets the function and data. 0 or -ENOSPC. */
int kt_kvm_power_init(struct kt_kvm_power_port *port, struct kt_kvm_bus *ports);
