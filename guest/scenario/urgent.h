/* SPDX-License-Identifier: MIT */
#pragma once
/* The scheduling class of PID 1: its operations must not wait behind the workers it has started. */

/*
 * Makes the calling thread SCHED_FIFO with the highest priority, above every worker and every
 * sched_ext scheduler, until kt_urgent_end(). Its children start as SCHED_OTHER
 * (SCHED_RESET_ON_FORK).
 */
void kt_urgent_begin(void);

/* Makes the calling thread SCHED_OTHER again. */
void kt_urgent_end(void);
