/* SPDX-License-Identifier: MIT */
/* Operations that remember which tasks a cgroup has, for kt_captured(). */

#include "guest/scenario/op.h"

#include <errno.h>

#include "guest/scenario/state.h"

static int capture(struct kt_scenario *scenario, const struct kt_op *op, const char *file,
		   struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;
	pid_t *pids;
	size_t n;
	int r = kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr)
			?: kt_cgroup_list(op->cgroup, file, &pids, &n, reterr);

	if (r == 0 && kt_pid_list_add(&scenario->captures, op->tag, pids, n) < 0)
		r = kt_err_oom(reterr);
	return r;
}

static int capture_procs(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	return capture(scenario, op, "cgroup.procs", reterr);
}

static int capture_threads(struct kt_scenario *scenario, const struct kt_op *op,
			   struct kt_err *reterr)
{
	return capture(scenario, op, "cgroup.threads", reterr);
}

static int check_tag(const struct kt_op *op, const struct kt_topology *topology,
		     struct kt_err *reterr)
{
	(void)topology;
	return op->tag && *op->tag ? 0 : kt_err_set(reterr, -EINVAL, "its tag is empty");
}

const struct kt_op_ops kt_capture_ops[KT_N_OP_KINDS] = {
	[KT_OP_CAPTURE_CGROUP_PROCS] = { "KT_CAPTURE_CGROUP_PROCS", KT_OP_USES,
					 .apply = capture_procs, .check = check_tag },
	[KT_OP_CAPTURE_CGROUP_THREADS] = { "KT_CAPTURE_CGROUP_THREADS", KT_OP_USES,
					   .apply = capture_threads, .check = check_tag },
};
