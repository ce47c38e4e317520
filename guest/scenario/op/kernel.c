/* SPDX-License-Identifier: MIT */
/*
 * Operations on the memory of the guest's kernel, which the host makes (guest/test/kernel.h). Cold
 * ones that follow each other become one, so that the vCPUs stand still once for all of them. The
 * host knows tasks only, so PID 1 finds the task of a worker that a test names.
 */

#include "guest/scenario/op.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/scenario/state.h"
#include "guest/test/kernel.h"
#include "util/cleanup.h"
#include "util/clock.h"

#define LOOK_EVERY_NS KT_NSEC_PER_MSEC /* whether a worker sleeps */

static bool is_write(enum kt_op_kind kind)
{
	return kind == KT_OP_WRITE_KERNEL_HOT || kind == KT_OP_WRITE_KERNEL_COLD;
}

static bool is_cold(enum kt_op_kind kind)
{
	return kind == KT_OP_WRITE_KERNEL_COLD || kind == KT_OP_READ_KERNEL_COLD;
}

/* ---- Workers ---- */

/* The task of worker @number of the cgroup, whose workers may be of several groups. */
static int find_worker(struct kt_scenario *scenario, const char *name, unsigned int number,
		       pid_t *ret_tid, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;
	unsigned int n = 0;
	int r = kt_live_get(&scenario->live, name, &cgroup, reterr);

	if (r < 0)
		return r;
	for (size_t i = 0; i < cgroup->n_groups; i++) {
		unsigned int count = kt_worker_group_count(cgroup->groups[i]);

		if (number - n < count) {
			*ret_tid = kt_worker_group_tid(cgroup->groups[i], number - n);
			return 0;
		}
		n += count;
	}
	return kt_err_set(reterr, -ENOENT, "there is no worker %u in '%s', which has %u", number,
			  name, n);
}

/* Puts tasks in the place of workers. */
static int resolve_workers(struct kt_scenario *scenario, struct kt_kernel_pair *pairs,
			   struct kt_err *reterr)
{
	int r = 0;

	for (struct kt_kernel_pair *pair = pairs; r == 0 && !pair->end; pair++) {
		struct kt_kernel_target *target = &pair->target;
		pid_t tid = 0;

		if (target->kind != KT_KERNEL_TARGET_WORKER_FIELD)
			continue;
		r = find_worker(scenario, target->name, target->worker, &tid, reterr)
			    ?: kt_kernel_identify(scenario->ctx, tid, &target->task, reterr);
		target->kind = KT_KERNEL_TARGET_TASK_FIELD;
	}
	return r;
}

/* Nothing is written while one of the workers does not sleep, so the whole batch is tried again. */
static int access_workers(struct kt_scenario *scenario, const struct kt_op *op, size_t n,
			  struct kt_err *reterr)
{
	uint64_t deadline_ns = kt_ctx_deadline_ns(scenario->ctx, KT_OP_TIMEOUT_MS);
	KT_FREE struct kt_kernel_pair *pairs = calloc(n + 1, sizeof(*pairs));
	int r;

	if (!pairs)
		return kt_err_oom(reterr);
	memcpy(pairs, op->kernel, (n + 1) * sizeof(*pairs));
	r = resolve_workers(scenario, pairs, reterr);
	if (r < 0)
		return r;
	for (;;) {
		int r_hold;

		r = kt_kernel_pairs_apply(scenario->ctx, pairs, is_write(op->kind),
					  is_cold(op->kind), reterr);
		if (r != -EBUSY || !kt_left_ns(deadline_ns))
			return r;
		r_hold = kt_scenario_hold(scenario, LOOK_EVERY_NS, reterr);
		if (r_hold < 0)
			return r_hold;
	}
}

/* ---- The operations ---- */

static bool has_workers(const struct kt_kernel_pair *pairs)
{
	while (!pairs->end && pairs->target.kind != KT_KERNEL_TARGET_WORKER_FIELD)
		pairs++;
	return !pairs->end;
}

static int access_kernel(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	if (has_workers(op->kernel))
		return access_workers(scenario, op, kt_kernel_pairs_count(op->kernel), reterr);
	return kt_kernel_pairs_apply(scenario->ctx, op->kernel, is_write(op->kind),
				     is_cold(op->kind), reterr);
}

static int check_pairs(const struct kt_op *op, const struct kt_topology *topology,
		       struct kt_err *reterr)
{
	unsigned int n_cpus = kt_topology_cpus(topology);

	for (const struct kt_kernel_pair *pair = op->kernel; pair && !pair->end; pair++) {
		if (pair->target.kind == KT_KERNEL_TARGET_PER_CPU_FIELD &&
		    pair->target.cpu >= n_cpus)
			return kt_err_set(reterr, -EINVAL,
					  "there is no CPU %u: the CPUs are 0 to %u",
					  pair->target.cpu, n_cpus - 1);
	}
	return kt_kernel_pairs_check(op->kernel, is_write(op->kind), reterr);
}

unsigned int kt_op_count_merged(const struct kt_op *ops)
{
	size_t n_pairs = kt_kernel_pairs_count(ops->kernel);
	unsigned int n = 1;

	if (!is_cold(ops->kind))
		return 1;
	while (!ops[n].end && ops[n].kind == ops->kind) {
		n_pairs += kt_kernel_pairs_count(ops[n].kernel);
		if (n_pairs > KT_KERNEL_PAIRS_MAX)
			break;
		n++;
	}
	return n;
}

int kt_op_apply_merged(struct kt_scenario *scenario, const struct kt_op *ops, unsigned int n,
		       int index, struct kt_err *reterr)
{
	KT_FREE struct kt_kernel_pair *pairs =
		calloc(KT_KERNEL_PAIRS_MAX + 1, sizeof(struct kt_kernel_pair));
	struct kt_op merged = *ops;
	size_t at = 0;

	if (!pairs)
		return kt_err_oom(reterr);
	for (unsigned int i = 0; i < n; i++) {
		size_t more = kt_kernel_pairs_count(ops[i].kernel);

		for (size_t j = 0; j < more; j++)
			pairs[at++] = ops[i].kernel[j];
	}
	pairs[at].end = true;
	merged.kernel = pairs;
	return kt_op_apply(scenario, &merged, index, reterr);
}

#define ROW(name)                                                                                  \
	{                                                                                          \
		name, KT_OP_NAMES_NONE, .apply = access_kernel, .check = check_pairs               \
	}

const struct kt_op_ops kt_kernel_ops[KT_N_OP_KINDS] = {
	[KT_OP_WRITE_KERNEL_HOT] = ROW("KT_WRITE_KERNEL_HOT"),
	[KT_OP_WRITE_KERNEL_COLD] = ROW("KT_WRITE_KERNEL_COLD"),
	[KT_OP_READ_KERNEL_HOT] = ROW("KT_READ_KERNEL_HOT"),
	[KT_OP_READ_KERNEL_COLD] = ROW("KT_READ_KERNEL_COLD"),
};
