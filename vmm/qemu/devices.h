/* SPDX-License-Identifier: MIT */
#pragma once
/* What capsules need of a machine of QEMU: see kt_machine_save_devices() and the one after it. */

#include "vmm/machine.h"

int kt_qemu_save_devices(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
			 struct kt_err *reterr);
int kt_qemu_serve_gdb(struct kt_machine *machine, const char *path, uint64_t deadline_ns,
		      struct kt_err *reterr);
