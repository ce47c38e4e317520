/* SPDX-License-Identifier: MIT */
#include "guest/scenario/urgent.h"

#include <sched.h>

/*
 * A failure is ignored in both: init then runs at its ordinary priority, which delays operations on
 * a loaded machine and does not change what they do.
 */
void kt_urgent_begin(void)
{
	struct sched_param param = { .sched_priority = 99 };

	(void)sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param);
}

void kt_urgent_end(void)
{
	struct sched_param param = { .sched_priority = 0 };

	(void)sched_setscheduler(0, SCHED_OTHER, &param);
}
