/* SPDX-License-Identifier: MIT */
/*
 * Operations on the memory of the guest's kernel, which the host makes (guest/test/kernel.h). Cold
 * ones that follow each other become one, so that the vCPUs stand still once for all of them.
 */

#include "guest/scenario/op.h"

#include <errno.h>
#include <stdlib.h>

#include "guest/scenario/state.h"
#include "guest/test/kernel.h"
#include "util/cleanup.h"

static bool is_write(enum kt_op_kind kind)
{
	return kind == KT_OP_WRITE_KERNEL_HOT || kind == KT_OP_WRITE_KERNEL_COLD;
}

static bool is_cold(enum kt_op_kind kind)
{
	return kind == KT_OP_WRITE_KERNEL_COLD || kind == KT_OP_READ_KERNEL_COLD;
}

static int access_kernel(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	return kt_kernel_pairs_apply(scenario->ctx, op->kernel, is_write(op->kind),
				     is_cold(op->kind), reterr);
}

static int check_pairs(const struct kt_op *op, const struct kt_topology *topology,
		       struct kt_err *reterr)
{
	unsigned int n_cpus = topology->llcs * topology->cores * topology->threads;

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
