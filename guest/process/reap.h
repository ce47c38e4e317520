/* SPDX-License-Identifier: MIT */
#pragma once
/* The end of processes: all but PID 1, which a test has left behind or never knew of, or a group. */

#include <stdint.h>
#include <sys/types.h>

#include "util/err.h"

/* Kills and reaps them all; -ETIMEDOUT names one that has not died by @deadline_ns. */
int kt_reap_all(uint64_t deadline_ns, struct kt_err *reterr);

/*
 * Kills a process group and reaps all of it. *@ret_status is how its leader ended, as wait(2), which
 * may be long ago; NULL: nobody wants to know. -ETIMEDOUT likewise.
 */
int kt_reap_group(pid_t group, uint64_t deadline_ns, int *ret_status, struct kt_err *reterr);
