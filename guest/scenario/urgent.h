/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The priority of init while it runs steps. Its operations must not wait for a CPU behind the
 * workers that it has started, or behind a scheduler that does not run it.
 */

/*
 * Makes the calling thread SCHED_FIFO with the highest priority. It runs before workers of all
 * policies but SCHED_DEADLINE, and no sched_ext scheduler schedules it. Its children are
 * SCHED_OTHER again (SCHED_RESET_ON_FORK).
 */
void kt_urgent_begin(void);

/* Makes the calling thread SCHED_OTHER again. */
void kt_urgent_end(void);
