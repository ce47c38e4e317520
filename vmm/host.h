/* SPDX-License-Identifier: MIT */
#pragma once
/* What this host can run machines with: QEMU and its version, KVM if it is real. */

#include <stdbool.h>

#include "util/err.h"
#include "vmm/machine.h"
#include "vmm/qemu/qemu.h"

/* What the user asked for. */
enum kt_accel_choice {
	KT_ACCEL_CHOICE_AUTO,
	KT_ACCEL_CHOICE_TCG,
	KT_ACCEL_CHOICE_KVM,
};

struct kt_host {
	struct kt_qemu_program qemu;
	enum kt_accel accel;
	bool tcg_single_thread;
	char accel_text[384]; /* "tcg (kvm present but emulated, 1.7 MIPS)" */
	char note[512];       /* a warning to be said once; may be empty */
};

/*
 * Finds out. What is slow to measure (KVM's speed, QEMU's version) is cached until the host boots
 * or the program changes. @qemu may be NULL for the default.
 */
int kt_host_probe(enum kt_accel_choice choice, const char *qemu, struct kt_host *ret_host,
		  struct kt_err *reterr);
