/* SPDX-License-Identifier: MIT */
#pragma once
/* Tasks of sched_ext that wait for a CPU. */

#include <stdint.h>

#include "vmm/inspect/inspect.h"

/*
 * Looks for a task of the scheduler @sched that has been runnable for half of the watchdog's time
 * or longer, but not for more than all of it: the kernel is about to report that itself. 1 with its
 * *@ret_pid, 0, or a negative errno.
 */
int kt_waiting_find(struct kt_inspect *inspect, uint64_t sched, uint32_t *ret_pid,
		    struct kt_err *reterr);

/*
 * The value of jiffies_64 at which a task that waits now, or is about to wait, will have been
 * runnable for half of the watchdog's time; later than now. 0, or a negative errno.
 */
int kt_waiting_until(struct kt_inspect *inspect, uint64_t sched, uint64_t *ret_jiffies,
		     struct kt_err *reterr);
