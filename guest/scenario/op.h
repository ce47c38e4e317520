/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The operations of a scenario: one row for each enum kt_op_kind, that is for each macro such as
 * KT_FREEZE_CGROUP(). The rows are in guest/scenario/op/, a file for each noun. The host reads the
 * rows to validate a test; the guest applies them.
 */

#include <ktest/scenario.h>
#include <ktest/topology.h>

#include "util/err.h"

struct kt_scenario; /* guest/scenario/state.h */

/* What an operation does to the cgroup in op->cgroup. Validation tracks by it which names exist. */
enum kt_op_effect {
	KT_OP_CREATES,    /* the name must be free, and exists afterwards */
	KT_OP_USES,       /* the name must exist */
	KT_OP_REMOVES,    /* the name must exist, and is free afterwards */
	KT_OP_NAMES_NONE, /* op->cgroup is not used */
};

struct kt_op_ops {
	const char *name;         /* of the macro, for messages and reports: "KT_FREEZE_CGROUP" */
	enum kt_op_effect effect; /* on op->cgroup */
	bool takes_init;          /* op->cgroup may be "", the cgroup of init */
	bool takes_any;           /* op->cgroup may be NULL: the operation finds the cgroup */
	bool uses_to;             /* op->to is a second cgroup, which must exist */

	/*
	 * Does it, in the guest. Returns 0, a negative errno with a message, or KT_FAILED when the
	 * failure is recorded already. @op has passed @check.
	 */
	int (*apply)(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr);

	/*
	 * Judges the operation by itself, on a machine of @topology, without a guest. Returns 0 or
	 * -EINVAL with a message. NULL: nothing can be wrong with it.
	 */
	int (*check)(const struct kt_op *op, const struct kt_topology *topology,
		     struct kt_err *reterr);
};

/* The rows of the files in guest/scenario/op/. Each array has rows for its own kinds only. */
extern const struct kt_op_ops kt_cgroup_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_cpuset_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_worker_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_payload_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_capture_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_irq_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_scheduler_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_bpf_map_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_kernel_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_watch_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_snapshot_ops[KT_N_OP_KINDS];

/* The row of @kind, or NULL when there is no such kind. */
const struct kt_op_ops *kt_op_ops(enum kt_op_kind kind);

/*
 * Checks @op, then applies it. @index: in its list, -1 without one. Returns 0, a negative errno
 * with a message, or KT_FAILED when the failure is recorded already.
 */
int kt_op_apply(struct kt_scenario *scenario, const struct kt_op *op, int index,
		struct kt_err *reterr);

/*
 * How many of the operations from @ops on, the first of which is not the end of the list, are made
 * as one: cold ones on the kernel's memory (op/kernel.c). kt_op_apply_merged() makes them.
 */
unsigned int kt_op_count_merged(const struct kt_op *ops);
int kt_op_apply_merged(struct kt_scenario *scenario, const struct kt_op *ops, unsigned int n,
		       int index, struct kt_err *reterr);

/*
 * @op as its macro is written: KT_MOVE_ALL_TASKS("a", "b"). The caller frees it. NULL: out of
 * memory.
 */
char *kt_op_text(const struct kt_op *op);

/* A .check for operations with two cgroups: -EINVAL with a message when both are the same. */
int kt_op_check_two(const struct kt_op *op, const struct kt_topology *topology,
		    struct kt_err *reterr);
