/* SPDX-License-Identifier: MIT */
#pragma once
/* The operations of a scenario: one row each. */

#include <ktest/scenario.h>
#include <ktest/topology.h>

#include "util/err.h"

struct kt_scenario;

/* What an operation does to the cgroup it names; validation follows names by it. */
enum kt_op_effect {
	KT_OP_CREATES,
	KT_OP_USES,
	KT_OP_REMOVES,
	KT_OP_NAMES_NONE,
};

struct kt_op_ops {
	const char *name; /* the macro's */
	enum kt_op_effect effect;
	bool takes_init; /* "" may stand for where PID 1 is */
	bool takes_any;  /* NULL may stand for wherever it is */
	bool uses_to;    /* it names a second cgroup, which must exist */
	int (*apply)(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr);
	/* What is wrong with it by itself; for validation, on the host. NULL: nothing can be. */
	int (*check)(const struct kt_op *op, const struct kt_topology *topology,
		     struct kt_err *reterr);
};

/* The rows of the families in guest/scenario/op/, by enum kt_op_kind; a family has rows for its own kinds only. */
extern const struct kt_op_ops kt_cgroup_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_cpuset_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_worker_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_payload_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_capture_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_irq_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_scheduler_ops[KT_N_OP_KINDS];
extern const struct kt_op_ops kt_bpf_map_ops[KT_N_OP_KINDS];

/* NULL for a kind that does not exist. */
const struct kt_op_ops *kt_op_ops(enum kt_op_kind kind);

int kt_op_apply(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr);

/* As it is written: KT_MOVE_ALL_TASKS("a", "b"). To be freed. */
char *kt_op_text(const struct kt_op *op);

/* For families: -EINVAL when both cgroups of @op are the same one. A .check of struct kt_op_ops. */
int kt_op_check_two(const struct kt_op *op, const struct kt_topology *topology,
		    struct kt_err *reterr);
