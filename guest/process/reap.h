/* SPDX-License-Identifier: MIT */
#pragma once
/* Kills and reaps processes: one process group, or all processes but PID 1. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* Whether PID 1 is the only process of user space; a zombie counts as one more. */
bool kt_reap_is_alone(void);

/*
 * Kills and reaps all processes but PID 1: whatever a test has started, directly or not, and left
 * behind. *@n_killed is increased by the number of those that were still running.
 *
 * 0, or -ETIMEDOUT when one has not died by @deadline_ns (CLOCK_MONOTONIC); the error text names
 * it.
 */
int kt_reap_all(uint64_t deadline_ns, unsigned int *n_killed, struct kt_err *reterr);

/*
 * Kills the process group @group and reaps all of it. *@ret_status is how its leader has ended, as
 * from wait(2); the leader may have ended by itself before. @ret_status may be NULL.
 *
 * -ETIMEDOUT when a process of the group has not died by @deadline_ns. -ECHILD when the status is
 * asked for, but the leader has been reaped elsewhere.
 */
int kt_reap_group(pid_t group, uint64_t deadline_ns, int *ret_status, struct kt_err *reterr);
