/* SPDX-License-Identifier: MIT */
/* Operations on workers: start them, give them an affinity, move them. */

#include "guest/scenario/op.h"

#include <errno.h>

#include "guest/cgroup/cpuset.h"
#include "guest/scenario/state.h"
#include "guest/worker/type.h"

static int spawn(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;

	return kt_scenario_place(scenario, op->cgroup, &cgroup, reterr)
		       ?: kt_live_spawn(&scenario->live, cgroup, op->work, reterr);
}

static int check_spawn(const struct kt_op *op, const struct kt_topology *topology,
		       struct kt_err *reterr)
{
	const char *why = op->work ? kt_work_fault(op->work, topology) : "it has no work";

	if (!why && op->work->workers_pct > 0 && op->cgroup && !*op->cgroup)
		why = ".workers_pct needs a cgroup: it is a percentage of its CPUs";
	return why ? kt_err_set(reterr, -EINVAL, "%s", why) : 0;
}

struct set_affinity {
	const struct kt_op *op;
	const struct kt_live_cgroup *only; /* the cgroup whose workers get it */
	struct kt_worker_place place;
	struct kt_err *reterr;
};

static int set_group_affinity(void *data, struct kt_live_cgroup *cgroup,
			      struct kt_worker_group *group)
{
	struct set_affinity *set = data;

	if (cgroup != set->only)
		return 0;
	return kt_worker_group_set_affinity(group, &set->op->affinity, &set->place, set->reterr);
}

static int set_affinity(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup = NULL;
	int r = kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr);
	struct set_affinity set = {
		.op = op,
		.only = cgroup,
		.place = { .topology = &scenario->ctx->topology, .seed = scenario->ctx->seed },
		.reterr = reterr,
	};

	if (r < 0)
		return r;
	if (!cgroup->n_groups)
		return kt_err_set(reterr, -ESRCH, "cgroup '%s' has no workers", op->cgroup);
	set.place.cpus = cgroup->cpus;
	return kt_live_for_each_group(&scenario->live, set_group_affinity, &set);
}

/* An affinity is judged as part of a work; any work type does. */
static int check_affinity(const struct kt_op *op, const struct kt_topology *topology,
			  struct kt_err *reterr)
{
	const struct kt_affinity *affinity = &op->affinity;
	cpu_set_t cpus;
	const char *why = kt_work_fault(
		&(const struct kt_work){ .type = KT_SPIN_WAIT, .affinity = *affinity }, topology);

	if (why)
		return kt_err_set(reterr, -EINVAL, "%s", why);
	return kt_cpuset_resolve(&affinity->cpus, topology, &cpus, reterr);
}

/*
 * Workers of the backdrop live until the end of the test, so they cannot move to a cgroup that goes
 * with a step. Workers of a step may move to a cgroup of the backdrop, and then live as long as it
 * does.
 */
static int move_all_tasks(struct kt_scenario *scenario, const struct kt_op *op,
			  struct kt_err *reterr)
{
	struct kt_live_cgroup *from, *to;
	int r = kt_live_get(&scenario->live, op->cgroup, &from, reterr)
			?: kt_live_get(&scenario->live, op->to, &to, reterr);

	if (r < 0)
		return r;
	if (from == to)
		return kt_err_set(reterr, -EINVAL, "they are in '%s' already", op->to);
	if (from->last_step == KT_LIVES_ON && to->last_step != KT_LIVES_ON)
		return kt_err_set(
			reterr, -EINVAL,
			"'%s' is the backdrop's, and '%s' goes with a step: its tasks would "
			"be left without a cgroup; declare '%s' in the backdrop too",
			op->cgroup, op->to, op->to);
	r = kt_live_move(from, to, reterr);
	if (r == 0 && *op->cgroup &&
	    kt_payload_set_move(&scenario->payloads, op->cgroup, op->to) < 0)
		r = kt_err_oom(reterr);
	return r;
}

const struct kt_op_ops kt_worker_ops[KT_N_OP_KINDS] = {
	[KT_OP_SPAWN] = { "KT_SPAWN", KT_OP_USES, .takes_init = true, .apply = spawn,
			  .check = check_spawn },
	[KT_OP_SET_AFFINITY] = { "KT_SET_AFFINITY", KT_OP_USES, .takes_init = true,
				 .apply = set_affinity, .check = check_affinity },
	[KT_OP_MOVE_ALL_TASKS] = { "KT_MOVE_ALL_TASKS", KT_OP_USES, .takes_init = true,
				   .uses_to = true, .apply = move_all_tasks,
				   .check = kt_op_check_two },
};
