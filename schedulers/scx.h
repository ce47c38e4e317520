/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The state of sched_ext in the kernel: read from /sys/kernel/sched_ext (kernel/sched/ext.c), and
 * watched by the uevents that the kernel sends when a scheduler is attached (add) or has gone
 * (remove). So no polling is needed.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* Bytes of the longest scheduler name with its NUL: SCX_OPS_NAME_LEN of kernel/sched/ext.c. */
#define KT_SCX_NAME_LEN 128u

enum kt_scx_state {
	KT_SCX_NONE,     /* the kernel has no sched_ext */
	KT_SCX_DISABLED, /* no BPF scheduler is attached */
	KT_SCX_ENABLED,  /* a BPF scheduler is attached */
	KT_SCX_CHANGING, /* one is being enabled or disabled */
};

/* The present state. An unreadable state counts as KT_SCX_NONE. */
enum kt_scx_state kt_scx_state(void);

/*
 * Copies the name of the attached scheduler to @name, "" when none is attached. A name longer than
 * @room - 1 characters is cut off; KT_SCX_NAME_LEN is room for every name.
 */
void kt_scx_ops(char *name, size_t room);

/*
 * Returns a descriptor that becomes readable at each uevent, among them those of sched_ext. The
 * caller closes it, and drains it before it reads the state. A negative errno on failure.
 */
int kt_scx_watch(struct kt_err *reterr);

/* Discards all pending events, so that the next event makes @fd readable again. */
void kt_scx_watch_drain(int fd);

/* For a scheduler that was enabled: whether it is being disabled, or is gone. */
static inline bool kt_scx_has_gone(void)
{
	return kt_scx_state() != KT_SCX_ENABLED;
}
