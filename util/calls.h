/* SPDX-License-Identifier: MIT */
#pragma once
/* System calls that are refused to a process and to all that it starts (seccomp). */

#include <stdbool.h>

#include "util/err.h"

/* Whether this kernel has filters of system calls. */
bool kt_calls_can_refuse(void);

/*
 * From now on, system calls that change the host or look into other processes fail with EPERM. So
 * do sockets that are not UNIX ones, unless @network. The caller has no new privileges.
 */
int kt_calls_refuse_host(bool network, struct kt_err *reterr);

/* From now on, starting a process or executing a program fails with EPERM. Threads may start. */
int kt_calls_refuse_programs(struct kt_err *reterr);
