/* SPDX-License-Identifier: MIT */
#pragma once
/* Decides which items of the queue start, and when. */

#include "framework/run/run.h"

/*
 * Starts everything that can start now. To be called at the start and after every change: a job
 * ended or gave something back, the budget may have room, the run is stopping. Stops the loop
 * when nothing is left to wait for: no job is going on, and the queue is empty or the run is
 * stopping.
 */
void kt_schedule(struct kt_run *run);

/*
 * Makes sure that run->schedule() is called when another run gives something back, and that a run
 * which waits for that long says so. To be called after a request to the budget has failed.
 */
void kt_schedule_await_budget(struct kt_run *run);

/* The timer run->tell: says that the run waits, and for whom. @data is the run. */
void kt_schedule_tell(void *data);

/* The timer run->recheck: another run may have given something back. @data is the run. */
void kt_schedule_recheck(void *data);
