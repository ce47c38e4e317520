/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The priority of init while it runs steps. Its operations must not wait for a CPU behind the
 * workers that it has started, or behind a scheduler that does not run it.
 */

/*
 * Makes the calling thread SCHED_FIFO with the highest priority, which no worker and no sched_ext
 * scheduler comes before. Its children are SCHED_OTHER again (SCHED_RESET_ON_FORK).
 */
void kt_urgent_begin(void);

/* Makes the calling thread SCHED_OTHER again. */
void kt_urgent_end(void);
