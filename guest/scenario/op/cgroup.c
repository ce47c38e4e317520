/* SPDX-License-Identifier: MIT */
/* Operations that create, remove, stop and freeze cgroups. */

#include "guest/scenario/op.h"

#include <string.h>

#include "guest/scenario/definition.h"
#include "guest/scenario/state.h"

/* For kt_payload_set_end(): the payloads of one cgroup. */
static bool is_in(void *data, const char *cgroup)
{
	return !strcmp(data, cgroup);
}

static int add_cgroup(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	const struct kt_cgroup_def def = { .name = op->cgroup };

	return kt_definition_set_up(scenario, &def, reterr);
}

static int add_cgroup_def(struct kt_scenario *scenario, const struct kt_op *op,
			  struct kt_err *reterr)
{
	return kt_definition_set_up(scenario, op->def, reterr);
}

/* Ends the payloads first: only that reports them. Removing the cgroup would just kill them. */
static int remove_cgroup(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	kt_payload_set_end(&scenario->payloads, is_in, (void *)op->cgroup);
	return kt_live_remove(&scenario->live, op->cgroup, reterr);
}

static int stop_cgroup(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;
	int r = kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr);

	if (r < 0)
		return r;
	kt_payload_set_end(&scenario->payloads, is_in, (void *)op->cgroup);
	return kt_live_stop(&scenario->live, cgroup, reterr);
}

/* Returns when the kernel says that all tasks of the cgroup are frozen, or thawed. */
static int freeze(struct kt_scenario *scenario, const struct kt_op *op, bool frozen,
		  struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;

	return kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr)
		       ?: kt_cgroup_freeze(op->cgroup, frozen,
					   kt_ctx_deadline_ns(scenario->ctx, KT_OP_TIMEOUT_MS),
					   reterr);
}

static int freeze_cgroup(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	return freeze(scenario, op, true, reterr);
}

static int unfreeze_cgroup(struct kt_scenario *scenario, const struct kt_op *op,
			   struct kt_err *reterr)
{
	return freeze(scenario, op, false, reterr);
}

const struct kt_op_ops kt_cgroup_ops[KT_N_OP_KINDS] = {
	[KT_OP_ADD_CGROUP] = { "KT_ADD_CGROUP", KT_OP_CREATES, .apply = add_cgroup },
	[KT_OP_ADD_CGROUP_DEF] = { "KT_ADD_CGROUP_DEF", KT_OP_CREATES, .apply = add_cgroup_def },
	[KT_OP_REMOVE_CGROUP] = { "KT_REMOVE_CGROUP", KT_OP_REMOVES, .apply = remove_cgroup },
	[KT_OP_STOP_CGROUP] = { "KT_STOP_CGROUP", KT_OP_USES, .takes_init = true,
				.apply = stop_cgroup },
	[KT_OP_FREEZE_CGROUP] = { "KT_FREEZE_CGROUP", KT_OP_USES, .apply = freeze_cgroup },
	[KT_OP_UNFREEZE_CGROUP] = { "KT_UNFREEZE_CGROUP", KT_OP_USES, .apply = unfreeze_cgroup },
};
