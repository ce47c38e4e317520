/* SPDX-License-Identifier: MIT */
#pragma once
/* Images of a machine of QEMU: see kt_machine_save() and kt_machine_restore(). */

#include "vmm/machine.h"

struct qemu;

/* As kt_machine_save(). */
int kt_qemu_save(struct kt_machine *machine, int state_fd, uint64_t deadline_ns,
		 struct kt_err *reterr);

/*
 * Sends all commands without waiting for the answer to each, which would add a scheduling delay per
 * command. QEMU was started without -S, so it lets the guest run when it has restored the state.
 * Only the stops of stale.c are set, and waited for, before that.
 */
int kt_qemu_ask_restore(struct qemu *qemu, int state_fd, uint64_t deadline_ns,
			struct kt_err *reterr);
