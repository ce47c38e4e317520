/* SPDX-License-Identifier: MIT */
#pragma once
/* The registers of ACPI by which a KVM guest powers off or reboots (vmm/kvm/map.h). */

#include "vmm/kvm/bus.h"

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

/* The caller sets the function and data. 0 or -ENOSPC. */
int kt_kvm_power_init(struct kt_kvm_power_port *port, struct kt_kvm_bus *ports);
