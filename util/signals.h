/* SPDX-License-Identifier: MIT */
#pragma once
/* Signals of the process as events of a loop. */

#include <stddef.h>

#include "util/loop.h"

/*
 * Blocks the @n @signals and adds @source, whose fn and data the caller has set, to @loop: fn is
 * called when one of them is pending. Returns 0 or a negative errno. The signals stay blocked.
 */
int kt_signals_watch(struct kt_loop *loop, struct kt_source *source, const int *signals, size_t n);

/* Takes one pending signal. Returns its number, or 0 when none is pending. */
int kt_signals_take(const struct kt_source *source);

/* Removes @source and closes its descriptor; harmless when it was never added. */
void kt_signals_unwatch(struct kt_loop *loop, struct kt_source *source);
