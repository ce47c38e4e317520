/* SPDX-License-Identifier: MIT */
/* The operation that takes a snapshot of the machine; the host does it (guest/test/snapshot.h). */

#include "guest/scenario/op.h"

#include "guest/scenario/state.h"
#include "guest/test/snapshot.h"

static int capture(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	return kt_snapshot_capture(scenario->ctx, op->tag, false, reterr);
}

static int check_name(const struct kt_op *op, const struct kt_topology *topology,
		      struct kt_err *reterr)
{
	(void)topology;
	return kt_snapshot_check_name(op->tag, reterr);
}

const struct kt_op_ops kt_snapshot_ops[KT_N_OP_KINDS] = {
	[KT_OP_CAPTURE_SNAPSHOT] = { "KT_CAPTURE_SNAPSHOT", KT_OP_NAMES_NONE, .apply = capture,
				     .check = check_name },
};
