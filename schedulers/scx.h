/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The state of sched_ext as the kernel shows it: /sys/kernel/sched_ext (kernel/sched/ext.c), and
 * the uevents that announce a scheduler's kobject (add) and its end (remove). Waiting for the
 * uevents replaces polling.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define KT_SCX_OPS_NAME_LEN 128 /* SCX_OPS_NAME_LEN, include/linux/sched/ext.h; with the NUL */

enum kt_scx_state {
	KT_SCX_NONE, /* the kernel has no sched_ext */
	KT_SCX_DISABLED,
	KT_SCX_ENABLED,
	KT_SCX_CHANGING, /* the kernel is enabling or disabling a scheduler */
};

/* The present state. An unreadable state counts as KT_SCX_NONE. */
enum kt_scx_state kt_scx_state(void);

/* Writes the name of the enabled scheduler to @name, "" when there is none. */
void kt_scx_ops(char *name, size_t room);

/*
 * Opens a descriptor, to be closed, that becomes readable when a scheduler is enabled or disabled.
 * Returns it or a negative errno.
 */
int kt_scx_watch(struct kt_err *reterr);

/* Discards the uevents that have arrived. */
void kt_scx_watch_drain(int fd);

/* Returns whether the scheduler is being disabled or is disabled. */
static inline bool kt_scx_has_gone(void)
{
	return kt_scx_state() != KT_SCX_ENABLED;
}
