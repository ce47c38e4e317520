/* SPDX-License-Identifier: MIT */
/*
 * Operations on cpuset.cpus. The isolation check allows a worker every CPU that one of its cgroups
 * ever had. The new CPUs are therefore allowed before the kernel is told: a worker may run on them
 * before the write returns.
 */

#include "guest/scenario/op.h"

#include <errno.h>

#include "guest/cgroup/cpuset.h"
#include "guest/scenario/state.h"
#include "util/cleanup.h"

static int set_cpuset(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;
	cpu_set_t cpus;
	int r = kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr)
			?: kt_cpuset_resolve(&op->cpus, &scenario->ctx->topology, &cpus, reterr);

	if (r < 0)
		return r;
	kt_live_set_cpus(cgroup, &cpus);
	return kt_cgroup_set_cpuset(op->cgroup, &cpus, reterr);
}

static int clear_cpuset(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;
	int r = kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr);

	if (r < 0)
		return r;
	kt_live_set_cpus(cgroup, kt_live_cpus_above(&scenario->live, op->cgroup));
	return kt_cgroup_clear_cpuset(op->cgroup, reterr);
}

/*
 * Reads the kernel's value, not that of the live entry: a cgroup without a cpuset has nothing to
 * swap.
 */
static int read_cpuset(const char *name, unsigned int n_cpus, cpu_set_t *ret_cpus,
		       struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	int r = kt_cgroup_read_cpuset(name, &text, reterr);

	if (r < 0)
		return r;
	if (!*text)
		return kt_err_set(reterr, -EINVAL, "cgroup '%s' has no cpuset to be swapped", name);
	return kt_cpuset_parse(text, n_cpus, "CPU", ret_cpus, reterr);
}

static int swap_cpusets(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	unsigned int n = kt_topology_cpus(&scenario->ctx->topology);
	struct kt_live_cgroup *a, *b;
	cpu_set_t of_a, of_b;
	int r = kt_live_get(&scenario->live, op->cgroup, &a, reterr) ?:
		kt_live_get(&scenario->live, op->to, &b, reterr) ?:
		read_cpuset(op->cgroup, n, &of_a, reterr) ?: read_cpuset(op->to, n, &of_b, reterr);

	if (r < 0)
		return r;
	kt_live_set_cpus(a, &of_b);
	kt_live_set_cpus(b, &of_a);
	return kt_cgroup_set_cpuset(op->cgroup, &of_b, reterr)
		       ?: kt_cgroup_set_cpuset(op->to, &of_a, reterr);
}

static int check_cpuset(const struct kt_op *op, const struct kt_topology *topology,
			struct kt_err *reterr)
{
	cpu_set_t cpus;

	if (op->cpus.kind == KT_CPUS_UNSET)
		return kt_err_set(reterr, -EINVAL,
				  "it has no set of CPUs; use the macros, as KT_CPUSET_LLC()");
	return kt_cpuset_resolve(&op->cpus, topology, &cpus, reterr);
}

const struct kt_op_ops kt_cpuset_ops[KT_N_OP_KINDS] = {
	[KT_OP_SET_CPUSET] = { "KT_SET_CPUSET", KT_OP_USES, .apply = set_cpuset,
			       .check = check_cpuset },
	[KT_OP_CLEAR_CPUSET] = { "KT_CLEAR_CPUSET", KT_OP_USES, .apply = clear_cpuset },
	[KT_OP_SWAP_CPUSETS] = { "KT_SWAP_CPUSETS", KT_OP_USES, .uses_to = true,
				 .apply = swap_cpusets, .check = kt_op_check_two },
};
