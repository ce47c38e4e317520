/* SPDX-License-Identifier: MIT */
/*
 * The table of all operations, made of the rows of the files in op/. A kind has exactly one row. A
 * new operation needs a kind in enum kt_op_kind, a macro, a row, and a case in kt_op_text() if its
 * arguments are of a new shape.
 */

#include "guest/scenario/op.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "guest/port/activity.h"
#include "guest/scenario/state.h"
#include "guest/test/kernel.h"
#include "util/cleanup.h"
#include "util/io.h"

static const struct kt_op_ops *const families[] = {
	kt_cgroup_ops, kt_cpuset_ops,    kt_worker_ops,  kt_payload_ops, kt_capture_ops,
	kt_irq_ops,    kt_scheduler_ops, kt_bpf_map_ops, kt_kernel_ops,  kt_snapshot_ops,
	kt_watch_ops,
};

const struct kt_op_ops *kt_op_ops(enum kt_op_kind kind)
{
	if (kind <= KT_OP_NONE || kind >= KT_N_OP_KINDS)
		return NULL;
	for (size_t i = 0; i < KT_ARRAY_LEN(families); i++) {
		if (families[i][kind].apply)
			return &families[i][kind];
	}
	return NULL;
}

int kt_op_check_two(const struct kt_op *op, const struct kt_topology *topology,
		    struct kt_err *reterr)
{
	(void)topology;
	if (strcmp(op->cgroup ?: "", op->to ?: ""))
		return 0;
	return kt_err_set(reterr, -EINVAL, "both cgroups are \"%s\"", op->cgroup ?: "");
}

/* Checks that an operation has the names that its kind needs. */
static int check_names(const struct kt_op *op, const struct kt_op_ops *ops, struct kt_err *reterr)
{
	if (ops->effect == KT_OP_NAMES_NONE || op->def)
		return 0;
	if (op->kind == KT_OP_ADD_CGROUP_DEF)
		return kt_err_set(reterr, -EINVAL, "it has no definition");
	if (!op->cgroup && !ops->takes_any)
		return kt_err_set(reterr, -EINVAL, "it names no cgroup");
	if (op->cgroup && !*op->cgroup && !ops->takes_init)
		return kt_err_set(reterr, -EINVAL,
				  "\"\" cannot be used here: it is the cgroup of PID 1");
	if (ops->uses_to && !(op->to && *op->to))
		return kt_err_set(reterr, -EINVAL, "it names no second cgroup");
	return 0;
}

/* The name that tells best what hangs. */
static const char *first_argument(const struct kt_op *op)
{
	return op->payload     ? op->payload->name
	       : op->scheduler ? op->scheduler->name
	       : op->def       ? op->def->name
			       : op->cgroup;
}

/*
 * Checks again what validation has checked, because operations of a .run function (kt_apply()) are
 * not known before they are applied. The kind counts as applied even when it fails.
 */
int kt_op_apply(struct kt_scenario *scenario, const struct kt_op *op, int index,
		struct kt_err *reterr)
{
	const struct kt_op_ops *ops = kt_op_ops(op->kind);
	int r;

	if (!ops)
		return kt_err_set(reterr, -EINVAL, "it has no kind; use the macros");
	r = check_names(op, ops, reterr);
	if (r == 0 && ops->check)
		r = ops->check(op, &scenario->ctx->topology, reterr);
	scenario->applied |= UINT64_C(1) << op->kind;
	kt_activity_operate(index, ops->name, first_argument(op));
	r = r ?: ops->apply(scenario, op, reterr);
	kt_activity_operate(-1, NULL, NULL);
	return r;
}

/* The place of the first access stands for all of them. */
static char *kernel_text(const char *name, const struct kt_kernel_pair *pairs)
{
	KT_FREE char *place = pairs->end ? NULL : kt_kernel_target_text(&pairs->target);

	return kt_format("%s(%s%s)", name, place ?: "", pairs->end || pairs[1].end ? "" : ", ...");
}

/*
 * Only the arguments that tell operations apart are written; a definition, a work and a set of CPUs
 * are left out. The order of the cases matters: an operation can have several of these members.
 */
char *kt_op_text(const struct kt_op *op)
{
	const struct kt_op_ops *ops = kt_op_ops(op->kind);
	const char *name = ops ? ops->name : "?";

	if (op->kind == KT_OP_STEER_IRQ)
		return op->irq_label
			       ? kt_format("%s_BY_LABEL(\"%s\", %u)", name, op->irq_label, op->cpu)
			       : kt_format("%s(%u, %u)", name, op->irq, op->cpu);
	if (op->kernel)
		return kernel_text(name, op->kernel);
	if (op->watch || op->kind == KT_OP_UNWATCH)
		return kt_format("%s(\"%s\")", name, (op->watch ? op->watch->path : op->tag) ?: "");
	if (op->scheduler)
		return kt_format("%s(%s)", name, op->scheduler->name);
	if (op->bpf.map && op->kind == KT_OP_WRITE_BPF_MAP)
		return kt_format("%s(\"%s\", \"%s\", %" PRId64 ")", name, op->bpf.map,
				 op->bpf.field ?: "", (int64_t)op->value);
	if (op->bpf.map && op->tag)
		return kt_format("%s(\"%s\", \"%s\", \"%s\")", name, op->tag, op->bpf.map,
				 op->bpf.field ?: "");
	if (op->bpf.map)
		return kt_format("%s(\"%s\")", name, op->bpf.map);
	if (op->kind == KT_OP_CAPTURE_SNAPSHOT)
		return kt_format("%s(\"%s\")", name, op->tag ?: "");
	if (op->kind == KT_OP_AWAIT_SCHEDULER_EXIT)
		return kt_format("%s(%u)", name, op->timeout_ms);
	if (ops && ops->effect == KT_OP_NAMES_NONE)
		return kt_format("%s()", name);
	if (op->payload)
		return op->cgroup ? kt_format("%s(%s, \"%s\")", name, op->payload->name, op->cgroup)
				  : kt_format("%s(%s, NULL)", name, op->payload->name);
	if (op->tag)
		return kt_format("%s(\"%s\", \"%s\")", name, op->tag, op->cgroup);
	if (op->to)
		return kt_format("%s(\"%s\", \"%s\")", name, op->cgroup, op->to);
	if (!op->cgroup)
		return kt_format("%s(NULL)", name);
	return kt_format("%s(\"%s\")", name, op->cgroup);
}
