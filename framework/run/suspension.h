/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The stop of a run by SIGTSTP (^Z), and its way back after SIGCONT.
 *
 * While a run is stopped, its machines are paused, their clocks and all deadlines stand still, and
 * its vCPUs are lent to other runs. Its machines keep their memory, and so does the budget.
 */

#include "framework/run/run.h"

/* SIGTSTP has come: asks the jobs to pause. Nothing starts until the run has been continued. */
void kt_suspension_begin(struct kt_run *run);

/*
 * Does what is due now; called in place of kt_schedule() while run->suspended: after every change,
 * and by the timer run->stop. Stops this process once all jobs are paused; continues the jobs once
 * the budget has room again, or the run is ending, and calls kt_schedule() then.
 */
void kt_suspension_go_on(struct kt_run *run);

/* The timer run->stop: jobs that have not paused by themselves are stopped. @data is the run. */
void kt_suspension_on_late(void *data);
