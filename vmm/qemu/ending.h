/* SPDX-License-Identifier: MIT */
#pragma once
/* Why a machine of QEMU has ended. */

#include <stdbool.h>

#include "vmm/machine.h"

struct qemu;

/* True for errors that mean only that QEMU is gone: the end of the process will be reported. */
bool kt_qemu_is_gone(int r);

/* Says why the machine has ended; @status: of the process, which was reaped. */
void kt_qemu_explain_exit(const struct qemu *qemu, int status, struct kt_machine_exit *exit);

/*
 * Explains an error @r of a channel. If QEMU is gone, the broken channel is only the consequence:
 * the error text then describes the end of QEMU, and the error is -ECHILD if QEMU was killed.
 */
int kt_qemu_explain_loss(struct qemu *qemu, int r, struct kt_err *reterr);
