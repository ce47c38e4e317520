/* SPDX-License-Identifier: MIT */
#pragma once
/* Scenarios as data: cgroups with workers, operations on them, and steps in time. */

#include <stdbool.h>

#include <ktest/work.h>

/**
 * struct kt_cgroup_def - a cgroup and what runs in it
 * @name: path below the scenario's root, without a leading slash: "workers", "a/b". Parents are
 *        created as needed.
 * @work: KT_WORK() or KT_WORKS(); NULL for an empty cgroup.
 */
struct kt_cgroup_def {
	const char *name;
	const struct kt_work *work;
	bool end; /* terminates a list; set by the macros */
};

/** enum kt_op_kind - the operations of a step */
enum kt_op_kind {
	KT_OP_NONE, /* not an operation: one that was never set */
	KT_OP_ADD_CGROUP,
	KT_OP_REMOVE_CGROUP,
	KT_OP_STOP_CGROUP,
	KT_OP_FREEZE_CGROUP,
	KT_OP_UNFREEZE_CGROUP,
	KT_N_OP_KINDS,
};

/**
 * struct kt_op - one operation; written with the macros below
 * @kind:   which.
 * @cgroup: the cgroup it is about.
 */
struct kt_op {
	enum kt_op_kind kind;
	const char *cgroup;
	bool end; /* terminates a list; set by the macros */
};

/* Creates an empty cgroup. It is an error if it exists. */
#define KT_ADD_CGROUP(name)                                                                        \
	{                                                                                          \
		.kind = KT_OP_ADD_CGROUP, .cgroup = (name)                                         \
	}
/* Stops the cgroup's workers and removes it. It is an error if it does not exist. */
#define KT_REMOVE_CGROUP(name)                                                                     \
	{                                                                                          \
		.kind = KT_OP_REMOVE_CGROUP, .cgroup = (name)                                      \
	}
/* Stops the cgroup's workers and keeps the cgroup. */
#define KT_STOP_CGROUP(name)                                                                       \
	{                                                                                          \
		.kind = KT_OP_STOP_CGROUP, .cgroup = (name)                                        \
	}
/* Freezes every task of the cgroup and waits until cgroup.events says so. Idempotent. */
#define KT_FREEZE_CGROUP(name)                                                                     \
	{                                                                                          \
		.kind = KT_OP_FREEZE_CGROUP, .cgroup = (name)                                      \
	}
/* Thaws the cgroup and waits until cgroup.events says so, unless one above is frozen. Idempotent.
 */
#define KT_UNFREEZE_CGROUP(name)                                                                   \
	{                                                                                          \
		.kind = KT_OP_UNFREEZE_CGROUP, .cgroup = (name)                                    \
	}

/** enum kt_hold_kind - how the length of a hold is given */
enum kt_hold_kind {
	KT_HOLD_NONE,     /* the step ends when its operations are done */
	KT_HOLD_FRACTION, /* of the test's duration */
	KT_HOLD_FIXED,    /* in milliseconds */
};

/**
 * struct kt_hold - how long a step lasts after its setup and operations
 * @kind:     which of the following counts.
 * @fraction: within (0, 1].
 * @ms:       milliseconds, 0 allowed.
 */
struct kt_hold {
	enum kt_hold_kind kind;
	double fraction;
	unsigned int ms;
};

#define KT_HOLD_FRAC(f)                                                                            \
	{                                                                                          \
		.kind = KT_HOLD_FRACTION, .fraction = (f)                                          \
	}
#define KT_HOLD_MS(n)                                                                              \
	{                                                                                          \
		.kind = KT_HOLD_FIXED, .ms = (n)                                                   \
	}
#define KT_HOLD_FULL KT_HOLD_FRAC(1.0)

/**
 * struct kt_step - one step of a scenario: setup, then operations, then the hold
 * @name:  for reports; optional.
 * @setup: KT_SETUP(): cgroups to create, with their workers.
 * @ops:   KT_OPS(): operations, in order.
 * @hold:  KT_HOLD_FRAC(), KT_HOLD_MS() or KT_HOLD_FULL.
 *
 * A cgroup that a step creates lives until the end of the last step that names it (or one above or
 * below it); with no later step naming it, until the end of its own. What is left at the end of a
 * step is torn down in the reverse order of creation, whatever happened before: workers are
 * stopped, the cgroup is thawed and removed.
 */
struct kt_step {
	const char *name;
	const struct kt_cgroup_def *setup;
	const struct kt_op *ops;
	struct kt_hold hold;
	bool end; /* terminates a list; set by the macros */
};

#define KT_SETUP(...)                                                                              \
	.setup = (const struct kt_cgroup_def[])                                                    \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			.end = true                                                                \
		}                                                                                  \
	}
#define KT_OPS(...)                                                                                \
	.ops = (const struct kt_op[])                                                              \
	{                                                                                          \
		__VA_ARGS__,                                                                       \
		{                                                                                  \
			.end = true                                                                \
		}                                                                                  \
	}
#define KT_STEPS(...) ((const struct kt_step[]){ __VA_ARGS__, { .end = true } })
