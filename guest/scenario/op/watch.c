/* SPDX-License-Identifier: MIT */
/* Operations on watches, which the host arms (guest/test/watch.h). */

#include "guest/scenario/op.h"

#include <errno.h>

#include "guest/scenario/state.h"
#include "guest/test/watch.h"

static int arm(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_err err = KT_ERR_NULL;
	int r = kt_kernel_watch_arm(scenario->ctx, op->watch, &err);

	/* A machine that can never do it says nothing about the kernel. */
	if (r == -EOPNOTSUPP)
		return kt_skip(scenario->ctx, "KT_WATCH(\"%s\"): %s", op->watch->path, err.text);
	return r < 0 ? kt_err_set(reterr, r, "%s", err.text) : 0;
}

static int end(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	return kt_kernel_watch_end(scenario->ctx, op->tag, reterr);
}

static int check_watch(const struct kt_op *op, const struct kt_topology *topology,
		       struct kt_err *reterr)
{
	(void)topology;
	if (!op->watch)
		return kt_err_set(reterr, -EINVAL, "it watches nothing");
	return kt_kernel_watch_check(op->watch, reterr);
}

static int check_name(const struct kt_op *op, const struct kt_topology *topology,
		      struct kt_err *reterr)
{
	(void)topology;
	return op->tag && *op->tag ? 0 : kt_err_set(reterr, -EINVAL, "it names no watch");
}

const struct kt_op_ops kt_watch_ops[KT_N_OP_KINDS] = {
	[KT_OP_WATCH] = { "KT_WATCH", KT_OP_NAMES_NONE, .apply = arm, .check = check_watch },
	[KT_OP_UNWATCH] = { "KT_UNWATCH", KT_OP_NAMES_NONE, .apply = end, .check = check_name },
};
