/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the kernel says of sched_ext: /sys/kernel/sched_ext (kernel/sched/ext.c), and the uevents by which it
 * tells that a scheduler has come (add) or gone (remove). Nobody has to look again and again.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* Bytes of the longest scheduler name with its NUL: SCX_OPS_NAME_LEN of kernel/sched/ext.c. */
#define KT_SCX_NAME_LEN 128u

enum kt_scx_state {
	KT_SCX_NONE, /* the kernel has no sched_ext */
	KT_SCX_DISABLED,
	KT_SCX_ENABLED,
	KT_SCX_CHANGING, /* enabling or disabling */
};

enum kt_scx_state kt_scx_state(void);

/*
 * Copies the name of the attached scheduler to @name, "" when none is attached. A name longer than
 * @room - 1 characters is cut off; KT_SCX_NAME_LEN is room for every name.
 */
void kt_scx_ops(char *name, size_t room);

/* Becomes readable when a scheduler has come or gone; to be closed. A negative errno on failure. */
int kt_scx_watch(struct kt_err *reterr);

/* Takes what is there to be read. */
void kt_scx_watch_drain(int fd);

/* Whether the scheduler is one that is on its way out, or gone. */
static inline bool kt_scx_has_gone(void)
{
	return kt_scx_state() != KT_SCX_ENABLED;
}
