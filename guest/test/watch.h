/* SPDX-License-Identifier: MIT */
#pragma once
/* What the guest asks of the host's freeze coordinator: watches, and to look at schedulers. */

#include <ktest/watch.h>

#include "util/err.h"
#include "wire/watch_op.h"

struct kt_ctx;

struct kt_freeze_watch_view {
	const char *name;
	struct kt_watch_count count;
};

/* What .post_vm may read of it. Borrowed. */
struct kt_freeze_view {
	const struct kt_freeze_hit *hits;
	size_t n_hits;
	const struct kt_freeze_watch_view *watches;
	size_t n_watches;
};

/* Judges a watch by itself. -EINVAL with a message. */
int kt_kernel_watch_check(const struct kt_kernel_watch *watch, struct kt_err *reterr);

/* Arms a watch, or ends the one of that name. 0 or a negative errno with the host's message. */
int kt_kernel_watch_arm(struct kt_ctx *ctx, const struct kt_kernel_watch *watch,
			struct kt_err *reterr);
int kt_kernel_watch_end(struct kt_ctx *ctx, const char *name, struct kt_err *reterr);

/*
 * Tells the host that schedulers are about to come, have come or have gone. Nothing depends on it
 * here, so that a failure is the host's to report.
 */
void kt_freeze_look(struct kt_ctx *ctx);
