/* SPDX-License-Identifier: MIT */
#include "guest/op.h"

#include "guest/cgroup.h"
#include "guest/scenario.h"

static int add_cgroup(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	const struct kt_cgroup_def def = { .name = op->cgroup };

	return kt_scenario_add_cgroup(scenario, &def, reterr);
}

static int remove_cgroup(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	return kt_scenario_remove_cgroup(scenario, op->cgroup, reterr);
}

static int stop_cgroup(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	return kt_scenario_stop_cgroup(scenario, op->cgroup, reterr);
}

static int freeze_cgroup(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	return kt_cgroup_freeze(op->cgroup, true, kt_scenario_op_deadline_ns(scenario), reterr);
}

static int unfreeze_cgroup(struct kt_scenario *scenario, const struct kt_op *op,
			   struct kt_err *reterr)
{
	return kt_cgroup_freeze(op->cgroup, false, kt_scenario_op_deadline_ns(scenario), reterr);
}

static const struct kt_op_ops op_table[KT_N_OP_KINDS] = {
	[KT_OP_ADD_CGROUP] = { "KT_ADD_CGROUP", KT_OP_CREATES, add_cgroup },
	[KT_OP_REMOVE_CGROUP] = { "KT_REMOVE_CGROUP", KT_OP_REMOVES, remove_cgroup },
	[KT_OP_STOP_CGROUP] = { "KT_STOP_CGROUP", KT_OP_USES, stop_cgroup },
	[KT_OP_FREEZE_CGROUP] = { "KT_FREEZE_CGROUP", KT_OP_USES, freeze_cgroup },
	[KT_OP_UNFREEZE_CGROUP] = { "KT_UNFREEZE_CGROUP", KT_OP_USES, unfreeze_cgroup },
};

const struct kt_op_ops *kt_op_ops(enum kt_op_kind kind)
{
	if (kind <= KT_OP_NONE || kind >= KT_N_OP_KINDS)
		return NULL;
	return &op_table[kind];
}
