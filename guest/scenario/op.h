/* SPDX-License-Identifier: MIT */
#pragma once
/* The operations of a scenario: one row each. */

#include <ktest/scenario.h>
#include <ktest/topology.h>

#include "util/err.h"

struct kt_scenario;

/* What an operation does to the cgroup that it names. Validation keeps track of names by it. */
enum kt_op_effect {
	KT_OP_CREATES,
	KT_OP_USES,
	KT_OP_REMOVES,
	KT_OP_NAMES_NONE,
};

struct kt_op_ops {
	const char *name; /* the macro's */
	enum kt_op_effect effect;
	bool takes_init; /* the name may be "", the cgroup of PID 1 */
	bool takes_any;    /* the name may be NULL: the payload is found wherever it runs */
	bool uses_to;      /* op->to names a second cgroup, which must exist */
	int (*apply)(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr);
	/* Judges the arguments: 0 or -EINVAL with a message. NULL: every argument is valid. */
	int (*check)(const struct kt_op *op, const struct kt_topology *topology,
		     struct kt_err *reterr);
};

/* Returns the row of @kind, or NULL when there is no such kind. */
const struct kt_op_ops *kt_op_ops(enum kt_op_kind kind);

/*
 * Judges and applies @op. Returns 0, KT_FAILED when the failure is recorded, or a negative errno.
 */
int kt_op_apply(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr);

/* Creates what a definition describes: cgroup, limits, workers, payload. */
int kt_op_set_up(struct kt_scenario *scenario, const struct kt_cgroup_def *def,
		 struct kt_err *reterr);

/* Returns the operation as a test writes it, as KT_MOVE_ALL_TASKS("a", "b"); to be freed. */
char *kt_op_text(const struct kt_op *op);
