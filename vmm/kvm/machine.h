/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The machine of KVM (vmm/machine.h): this process is the virtual machine monitor, with a thread
 * for each vCPU.
 */

#include "vmm/machine.h"

/* Makes a machine; nothing runs yet. As kt_machine_new(). */
int kt_kvm_new(struct kt_loop *loop, const struct kt_machine_events *events, void *data,
	       struct kt_machine **ret_machine, struct kt_err *reterr);
