/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the kernel says of sched_ext: /sys/kernel/sched_ext (kernel/sched/ext.c), and the uevents by which it
 * tells that a scheduler has come (add) or gone (remove). Nobody has to look again and again.
 */

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

enum kt_scx_state {
	KT_SCX_NONE, /* the kernel has no sched_ext */
	KT_SCX_DISABLED,
	KT_SCX_ENABLED,
	KT_SCX_CHANGING, /* enabling or disabling */
};

enum kt_scx_state kt_scx_state(void);

/* The name of the scheduler that is there, "" when there is none. @name has room for 128 characters. */
void kt_scx_ops(char *name);

/* Becomes readable when a scheduler has come or gone; to be closed. A negative errno on failure. */
int kt_scx_watch(struct kt_err *reterr);

/* Takes what is there to be read. */
void kt_scx_watch_drain(int fd);

/* Whether the scheduler is one that is on its way out, or gone. */
static inline bool kt_scx_has_gone(void)
{
	return kt_scx_state() != KT_SCX_ENABLED;
}
