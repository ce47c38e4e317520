/* SPDX-License-Identifier: MIT */
#pragma once
/* What a machine of QEMU does by its gdbstub for its owner. */

#include "vmm/machine.h"

/* As kt_machine_registers(). */
int kt_qemu_registers(struct kt_machine *machine, unsigned int vcpu,
		      struct kt_registers *ret_registers, uint64_t deadline_ns,
		      struct kt_err *reterr);
