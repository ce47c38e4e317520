/* SPDX-License-Identifier: MIT */
#pragma once
/* What a machine of QEMU does by its gdbstub for its owner. */

#include "vmm/machine.h"

/* As kt_machine_registers(). */
int kt_qemu_registers(struct kt_machine *machine, unsigned int vcpu,
		      struct kt_registers *ret_registers, uint64_t deadline_ns,
		      struct kt_err *reterr);

/* As kt_machine_watch() and kt_machine_unwatch(). */
int kt_qemu_watch(struct kt_machine *machine, const struct kt_watch *watch,
		  unsigned int *ret_number, uint64_t deadline_ns, struct kt_err *reterr);
int kt_qemu_unwatch(struct kt_machine *machine, unsigned int number, uint64_t deadline_ns,
		    struct kt_err *reterr);

struct qemu;

/* Removes all watches; the machine must not run. */
int kt_qemu_unwatch_all(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr);

/*
 * Handles a stop that the gdbstub has made: tells the owner of a hit, or lets stale.c look at it.
 * The stub has been asked to let the machine run then. Returns 1 when stale.c has undone a death,
 * 0, or a negative errno.
 */
int kt_qemu_on_debug_stop(struct qemu *qemu, uint64_t deadline_ns, struct kt_err *reterr);
