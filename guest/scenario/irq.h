/* SPDX-License-Identifier: MIT */
#pragma once
/* Steering interrupts to CPUs. */

#include "util/err.h"

/*
 * Steers an interrupt to @cpu, which must be online: the interrupt that has an action called
 * @label, or number @irq when @label is NULL. Returns 0, -EINVAL for a CPU that is not online,
 * -ENOENT for an interrupt that does not exist, or the errno of the kernel's refusal.
 */
int kt_irq_steer(const char *label, unsigned int irq, unsigned int cpu, struct kt_err *reterr);
