/* SPDX-License-Identifier: MIT */
#pragma once
/* The operations of a step: one row each. */

#include <ktest/scenario.h>

#include "util/err.h"

struct kt_scenario;

/* What an operation does to the cgroup it names; validation follows names by it. */
enum kt_op_effect {
	KT_OP_CREATES,
	KT_OP_USES,
	KT_OP_REMOVES,
};

struct kt_op_ops {
	const char *name; /* the macro's */
	enum kt_op_effect effect;
	int (*apply)(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr);
};

/* NULL for a kind that does not exist. */
const struct kt_op_ops *kt_op_ops(enum kt_op_kind kind);
