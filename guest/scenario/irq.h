/* SPDX-License-Identifier: MIT */
#pragma once
/* Which CPU an interrupt is delivered to. */

#include "util/err.h"

/*
 * Steers the interrupt that has an action called @label, or with @label NULL the one with the number
 * @irq, to @cpu, which must be online.
 */
int kt_irq_steer(const char *label, unsigned int irq, unsigned int cpu, struct kt_err *reterr);
