/* SPDX-License-Identifier: MIT */
/* Operations on payloads: the programs that run in cgroups. */

#include "guest/scenario/op.h"

#include <errno.h>

#include "guest/scenario/state.h"

static int run_payload(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;

	return kt_scenario_place(scenario, op->cgroup, &cgroup, reterr)
		       ?: kt_payload_set_start(&scenario->payloads, op->payload, op->args,
					       op->cgroup, reterr);
}

static int wait_payload(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_payload *live;

	return kt_payload_set_find(&scenario->payloads, op->payload, op->cgroup, &live, reterr)
		       ?: kt_payload_set_wait(&scenario->payloads, live, op->timeout_ms, reterr);
}

static int kill_payload(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_payload *live;

	return kt_payload_set_find(&scenario->payloads, op->payload, op->cgroup, &live, reterr)
		       ?: kt_payload_set_kill(&scenario->payloads, live, reterr);
}

static int check_payload(const struct kt_op *op, const struct kt_topology *topology,
			 struct kt_err *reterr)
{
	(void)topology;
	if (!op->payload)
		return kt_err_set(reterr, -EINVAL, "it names no payload");
	if (op->kind == KT_OP_WAIT_PAYLOAD && !op->timeout_ms)
		return kt_err_set(reterr, -EINVAL, "it waits for 0 ms");
	return 0;
}

const struct kt_op_ops kt_payload_ops[KT_N_OP_KINDS] = {
	[KT_OP_RUN_PAYLOAD] = { "KT_RUN_PAYLOAD", KT_OP_USES, .takes_init = true,
				.apply = run_payload, .check = check_payload },
	[KT_OP_WAIT_PAYLOAD] = { "KT_WAIT_PAYLOAD", KT_OP_USES, .takes_init = true,
				 .takes_any = true, .apply = wait_payload, .check = check_payload },
	[KT_OP_KILL_PAYLOAD] = { "KT_KILL_PAYLOAD", KT_OP_USES, .takes_init = true,
				 .takes_any = true, .apply = kill_payload, .check = check_payload },
};
