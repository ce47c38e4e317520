/* SPDX-License-Identifier: MIT */
#pragma once
/* Serves accesses to the memory of a guest's kernel: the batches of wire/kernel_op.h. */

#include "vmm/inspect/inspect.h"
#include "wire/kernel_op.h"

/*
 * Makes the accesses of @request in their order, and answers each in @reply, which
 * kt_kop_reply_new() has made for it. All are resolved before the first is made; if one cannot be,
 * none is made, and the others are answered by -ECANCELED.
 *
 * @stands: no vCPU runs meanwhile. While vCPUs run, bits are set (OR) by compare-and-swap, which
 * needs RAM that this process shares with the guest; -EOPNOTSUPP elsewhere.
 *
 * Errors of a task's field, beside those of vmm/inspect/inspect.h:
 *	-ESTALE      another task has that pid now: it began at another time
 *	-EOWNERDEAD  the task is dead, or about to be
 *	-EBUSY       the task runs, or is queued to run; writes only
 *	-EPERM       the task is not of sched_ext's class; writes only, unless any class will do
 */
void kt_kernel_access_serve(struct kt_inspect *inspect, bool stands,
			    const struct kt_kop_request *request, struct kt_kop_reply *reply);
