/* SPDX-License-Identifier: MIT */
#pragma once
/* A machine of KVM; only the files of this folder look into it. */

#include <pthread.h>
#include <stdbool.h>

#include "util/loop.h"
#include "util/steal.h"
#include "vmm/kvm/bus.h"
#include "vmm/kvm/clock.h"
#include "vmm/kvm/console.h"
#include "vmm/kvm/msi.h"
#include "vmm/kvm/pci.h"
#include "vmm/kvm/power.h"
#include "vmm/kvm/serial.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/kvm/watch.h"
#include "vmm/machine.h"

struct kvm {
	struct kt_machine machine;
	struct kt_kvm_vm vm;
	bool has_vm;
	struct kt_kvm_crew crew;
	bool has_crew;
	struct kt_kvm_watches watches;
	struct kt_kvm_clock clock; /* while the machine stands */
	struct kt_steal steal;     /* at the last mark_steal() */

	int ram_fd;         /* of the RAM file; a duplicate that is owned */
	void *map;          /* of the RAM in this process; NULL: none */
	uint64_t ram_len;   /* bytes */
	bool ram_is_shared; /* the guest writes to the file; else the map is private */
	struct kt_kvm_ram ram;

	/* The devices, and what is under their lock. */
	pthread_mutex_t lock;
	struct kt_kvm_host host;
	struct kt_kvm_bus ports, memory;
	struct kt_kvm_pci pci;
	struct kt_kvm_serial serial;
	struct kt_kvm_power_port power;
	struct kt_kvm_console console;
	bool has_console;
	bool has_exit;               /* the machine has ended, for the reason @exit */
	struct kt_machine_exit exit; /* the first reason counts */

	struct kt_source bell; /* an eventfd: a vCPU or a device has something for the loop */
	bool runs;             /* it was let go, and nobody has had it stand */
	bool paused;           /* the owner wants the machine to stand */
	bool at_watch;         /* stopped() is being called: the machine stands */
	bool is_stuck;         /* a vCPU did not park in time */
	bool has_ended;        /* and the owner was told */
};

static inline struct kvm *kt_kvm_of(struct kt_machine *machine)
{
	return (struct kvm *)machine;
}
