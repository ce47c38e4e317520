/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What this host can run machines with: a QEMU of some version, and KVM if it runs at hardware
 * speed.
 */

#include <stdbool.h>

#include "util/err.h"
#include "vmm/machine.h"
#include "vmm/qemu/qemu.h"

/* Which accelerator the user asked for. */
enum kt_accel_choice {
	KT_ACCEL_CHOICE_AUTO, /* KVM if it runs at hardware speed, else TCG; the default */
	KT_ACCEL_CHOICE_TCG,
	KT_ACCEL_CHOICE_KVM, /* with a note if it does not run at hardware speed */
};

/* Which virtual machine monitor the user asked for. */
enum kt_vmm_choice {
	KT_VMM_CHOICE_AUTO, /* the native machine with KVM, QEMU otherwise; the default */
	KT_VMM_CHOICE_QEMU,
	KT_VMM_CHOICE_KVM, /* the native machine, and so KVM */
};

struct kt_host {
	struct kt_qemu_program qemu; /* found, with its version; its path is "" if there is none */
	enum kt_accel accel;         /* the accelerator to use */
	enum kt_vmm vmm;             /* the virtual machine monitor to use */
	/*
	 * Its version: QEMU's, or that of the native machine's state and of the host's processor
	 * and kernel. Another one may not understand a state.
	 */
	unsigned int vmm_major, vmm_minor;
	unsigned int tsc_mhz;        /* of the host's TSC, which TCG shows to guests; 0 with KVM */
	bool repeatable;             /* machines with virtual time can serve host calls */
	bool tcg_single_thread;      /* this QEMU is safe only with one thread for all vCPUs */
	char accel_text[384];        /* for people: "tcg (kvm present but emulated, 1.7 MIPS)" */
	char note[512];              /* a warning to be printed once a run; "": none */
};

/*
 * Finds QEMU and chooses the accelerator. @qemu is a path or a name in PATH; NULL: KT_QEMU_DEFAULT.
 * What is slow to measure (KVM's and the TSC's speed, QEMU's version) is kept in the cache until
 * kt_host_hash() or the program changes. Returns 0, -ENOENT when QEMU is needed and not there,
 * -EINVAL when the choices contradict each other, -ENODEV when @choice is KVM and /dev/kvm cannot
 * be opened, or another negative errno. The native machine needs no QEMU.
 */
int kt_host_probe(enum kt_accel_choice choice, enum kt_vmm_choice vmm, const char *qemu,
		  struct kt_host *ret_host, struct kt_err *reterr);

#define KT_HOST_HASH_LEN 32u /* hexadecimal digits */

/*
 * A hash of what measurements of a host depend on: its boot, its kernel (release and version), and
 * in the text of /proc/cpuinfo the first processor's model, microcode and flags, one of which
 * says that there is a hypervisor.
 */
void kt_host_hash(const char *boot_id, const char *kernel, const char *cpuinfo,
		  char ret_hex[static KT_HOST_HASH_LEN + 1]);
