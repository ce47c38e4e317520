/* SPDX-License-Identifier: MIT */
#pragma once
/* Why the kernel has let go of a scheduler, in its own words. */

#include <ktest/scheduler.h>

struct kt_scx_exit_info {
	enum kt_scx_exit kind;
	char *reason; /* all owned; never NULL */
	char *message;
	char *backtrace;
};

void kt_scx_exit_deinit(struct kt_scx_exit_info *info);

/*
 * Finds the last such report in kernel log text as kt_kmsg_read() gives it (kernel/sched/ext.c,
 * scx_disable_workfn). -ENODATA when there is none.
 */
int kt_scx_exit_parse(const char *log, struct kt_scx_exit_info *ret_info);
