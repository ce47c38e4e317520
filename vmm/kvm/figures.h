/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What a machine of KVM counts about itself: why its vCPUs have left KVM_RUN, and how long each
 * part of its making took.
 */

#include <jansson.h>
#include <linux/kvm.h>
#include <stdint.h>

/* Why KVM_RUN has returned. What KVM handles by itself, such as a halt, is not seen. */
enum kt_kvm_exit {
	KT_KVM_EXIT_PORT,   /* an access to a port */
	KT_KVM_EXIT_MEMORY, /* an access to a device's memory */
	KT_KVM_EXIT_DEBUG,  /* a watch */
	KT_KVM_EXIT_KICK,   /* the vCPU has to stand, or a signal */
	KT_KVM_EXIT_OTHER,
	KT_KVM_N_EXITS,
};

/* Of KVM_RUN: @r and @error are what the ioctl has returned, and errno. */
enum kt_kvm_exit kt_kvm_exit_of(int r, int error, const struct kvm_run *run);

/* The parts of a boot or a restore, in order. A machine has either LOAD or STATE. */
enum kt_kvm_part {
	KT_KVM_PART_RAM,     /* the RAM is mapped */
	KT_KVM_PART_VM,      /* KVM's machine and its interrupt controllers */
	KT_KVM_PART_VCPUS,   /* with their CPUID */
	KT_KVM_PART_DEVICES, /* of our own */
	KT_KVM_PART_LOAD,    /* kernel, initramfs and ACPI are copied */
	KT_KVM_PART_STATE,   /* the saved state is read and taken over */
	KT_KVM_PART_THREADS, /* the vCPUs' threads are started, and let go */
	KT_KVM_N_PARTS,
};

/* A watch that is stopped at the end of each part. */
struct kt_kvm_laps {
	uint64_t last_ns; /* when the last part ended, or the first began */
	uint64_t part_ns[KT_KVM_N_PARTS];
};

void kt_kvm_laps_begin(struct kt_kvm_laps *laps);

/* @part ends now. Returns @r, so that a chain of parts can be written as one expression. */
int kt_kvm_lap(struct kt_kvm_laps *laps, enum kt_kvm_part part, int r);

/*
 * {"exits": {"port": 3, ...}, "parts_us": {"ram": 20, ...}}, to be released; NULL when out of
 * memory. @exits are those of all vCPUs.
 */
json_t *kt_kvm_figures(const uint64_t exits[KT_KVM_N_EXITS], const struct kt_kvm_laps *laps);
