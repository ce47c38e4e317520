/* SPDX-License-Identifier: MIT */
#pragma once
/* How a machine of QEMU is stopped, stops by itself, and goes on. */

#include "vmm/machine.h"

struct qemu;

/* As kt_machine_pause(), kt_machine_resume() and kt_machine_guard(). */
int kt_qemu_pause(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);
int kt_qemu_resume(struct kt_machine *machine, uint64_t deadline_ns, struct kt_err *reterr);
int kt_qemu_guard(struct kt_machine *machine, const struct kt_hello *hello, uint64_t deadline_ns,
		  struct kt_err *reterr);

/*
 * Handles stops that the owner did not ask for. It loops because the next STOP may arrive together
 * with an answer that on_stop() waits for.
 */
void kt_qemu_look_after(struct qemu *qemu);

/* Sets the first stop of stale.c if that is possible and useful. The machine must not run. */
int kt_qemu_begin_guard(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr);

/*
 * Removes the stops before a save. A machine that is saved while it stands at a breakpoint would be
 * restored standing at it, and QEMU does not survive that.
 */
int kt_qemu_end_guard(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr);
