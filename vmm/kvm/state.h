/* SPDX-License-Identifier: MIT */
#pragma once
/* A machine of KVM; only the files of this folder look into it. */

#include <pthread.h>
#include <stdbool.h>

#include "util/loop.h"
#include "util/steal.h"
#include "vmm/kvm/blk.h"
#include "vmm/kvm/bus.h"
#include "vmm/kvm/clock.h"
#include "vmm/kvm/console.h"
#include "vmm/kvm/figures.h"
#include "vmm/kvm/msi.h"
#include "vmm/kvm/net.h"
#include "vmm/kvm/pci.h"
#include "vmm/kvm/power.h"
#include "vmm/kvm/serial.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/kvm/watch.h"
#include "vmm/machine.h"

#define KVM_CARDS       2u
#define KVM_VIRTIOS_MAX (2 + KVM_CARDS) /* console, disk, cards */

struct kvm {
	struct kt_machine machine;
	struct kt_kvm_vm vm;
	bool has_vm;
	struct kt_kvm_crew crew;
	bool has_crew;
	struct kt_kvm_watches watches;
	struct kt_kvm_clock clock; /* while the machine stands */
	struct kt_steal steal;     /* at the last mark_steal() */
	struct kt_kvm_laps laps;   /* of its making */

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
	struct kt_kvm_blk disk;
	int disk_fd; /* the file of the disk; -1: none */
	bool has_disk;
	struct kt_kvm_net cards[KVM_CARDS]; /* the two ends of a cable */
	unsigned int n_cards;               /* that have begun: 0 or all */
	/* All of them, in the order in which they are on the bus and in a state. */
	struct kt_kvm_virtio *virtios[KVM_VIRTIOS_MAX];
	unsigned int n_virtios;
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
