/* SPDX-License-Identifier: MIT */
#pragma once
/* The running test: what a .run, .check or .post_vm function can ask and say. */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/scenario.h>
#include <ktest/topology.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_ctx;

/* What an assertion returns from the function that it stands in; the failure is recorded already.
 */
#define KT_FAILED (-ECANCELED)

/* A place in the source, for messages. */
struct kt_where {
	const char *file;
	unsigned int line;
};

/** kt_topology() - the topology of the test's machine, defaults filled in */
const struct kt_topology *kt_topology(const struct kt_ctx *ctx);

/** kt_seed() - the seed of everything random in the test; the runner prints it */
uint64_t kt_seed(const struct kt_ctx *ctx);

/** kt_elapsed_ns() - time since the test began */
uint64_t kt_elapsed_ns(const struct kt_ctx *ctx);

/**
 * kt_hold_ms() - lets the scenario run for a while
 *
 * Sleeps for @ms milliseconds of guest time while the workers run. Guest only.
 */
int kt_hold_ms(struct kt_ctx *ctx, unsigned int ms);

/**
 * struct kt_cgroup_usage - CPU time of a cgroup during one step's hold (cpu.stat)
 * @usage_us:  microseconds of CPU time
 * @user_us:   of that in user mode
 * @system_us: of that in the kernel
 */
struct kt_cgroup_usage {
	uint64_t usage_us;
	uint64_t user_us;
	uint64_t system_us;
};

/**
 * kt_step_usage() - what a cgroup used during the hold of a step
 * @step:   index of the step, from 0
 * @cgroup: its name
 *
 * Measured from the end of the step's operations to the end of its hold. NULL when there was no
 * such cgroup in that step, or the step has not run. Guest only, from .check and .run.
 */
const struct kt_cgroup_usage *kt_step_usage(const struct kt_ctx *ctx, unsigned int step,
					    const char *cgroup);

/**
 * kt_apply() - an operation, now: kt_apply(ctx, KT_FREEZE_CGROUP("w"))
 *
 * For .run functions, whose scenarios depend on what they observe. What it creates lives until the end
 * of the test. Returns 0, or KT_FAILED with the failure recorded. Guest only.
 */
#define kt_apply(ctx, ...)                                                                         \
	kt_apply_op((ctx), (struct kt_where){ __FILE__, __LINE__ },                                \
		    &(const struct kt_op)__VA_ARGS__)
int kt_apply_op(struct kt_ctx *ctx, struct kt_where where, const struct kt_op *op);

/**
 * kt_captured() - what KT_CAPTURE_CGROUP_PROCS() or _THREADS() has remembered as @tag
 * @ret_n: how many there are.
 *
 * The latest of that name; NULL when there is none. Valid until the end of the test. Guest only.
 */
const pid_t *kt_captured(const struct kt_ctx *ctx, const char *tag, size_t *ret_n);

/** kt_vm_stdout() and kt_vm_stderr() - what the test printed. .post_vm only; NULL elsewhere. */
const char *kt_vm_stdout(const struct kt_ctx *ctx);
const char *kt_vm_stderr(const struct kt_ctx *ctx);

/** kt_vm_console() - the kernel's console text. .post_vm only; NULL elsewhere. */
const char *kt_vm_console(const struct kt_ctx *ctx);

/** kt_vm_failed() - whether the test has failed before .post_vm. .post_vm only; false elsewhere. */
bool kt_vm_failed(const struct kt_ctx *ctx);

/* Records a failure with a message; used by KT_FAIL(). Returns KT_FAILED. */
int kt_fail(struct kt_ctx *ctx, struct kt_where where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Records a failed assertion: the expression, what it should have been and what it was. */
int kt_fail_values(struct kt_ctx *ctx, struct kt_where where, const char *what,
		   const char *expected, const char *got);

/* Ends the test as SKIP or INCONCLUSIVE with a reason; used by the macros. Return KT_FAILED. */
int kt_skip(struct kt_ctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
int kt_inconclusive(struct kt_ctx *ctx, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
