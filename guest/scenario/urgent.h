/* SPDX-License-Identifier: MIT */
#pragma once
/* PID 1's own scheduling: what it does to a scenario must not wait for what it has set loose. */

/*
 * Puts the calling thread above all that workers can be, whatever scheduler there is; what it forks is
 * ordinary again (SCHED_RESET_ON_FORK).
 */
void kt_urgent_begin(void);
void kt_urgent_end(void);
