/* SPDX-License-Identifier: MIT */
#pragma once
/* The running test: what its .run, .check and .post_vm functions can ask and report. */

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

/* The running test. The framework owns it; it is valid until the function that got it returns. */
struct kt_ctx;

/*
 * An assertion that fails records the failure, and then returns this value from the function that
 * contains the assertion. The callers of that function return it as well.
 */
#define KT_FAILED (-ECANCELED)

/**
 * struct kt_where - a place in the source, for messages
 * @file: __FILE__; must exist as long as the test.
 * @line: __LINE__.
 */
struct kt_where {
	const char *file;
	unsigned int line;
};

/**
 * kt_topology() - the topology of the test's machine, with the defaults filled in
 *
 * Never NULL; valid as long as @ctx.
 */
const struct kt_topology *kt_topology(const struct kt_ctx *ctx);

/**
 * kt_seed() - the seed of everything that is random in the test
 *
 * It derives from the seed of the run, which the runner prints and --seed sets, and from the
 * test's name. Guest only; 0 in .post_vm.
 */
uint64_t kt_seed(const struct kt_ctx *ctx);

/** kt_elapsed_ns() - nanoseconds since the test began; in .post_vm, since that began */
uint64_t kt_elapsed_ns(const struct kt_ctx *ctx);

/**
 * kt_hold_ms() - lets the scenario run for @ms milliseconds of guest time
 *
 * Sleeps while the workers run, and watches the workers and the scheduler meanwhile. Returns 0, or
 * KT_FAILED with the failure recorded: a worker or the scheduler has ended by itself. Guest only;
 * -ENOTSUP on the host.
 */
int kt_hold_ms(struct kt_ctx *ctx, unsigned int ms);

/**
 * struct kt_cgroup_usage - CPU time of a cgroup during the hold of a step (cpu.stat)
 * @usage_us:  CPU time in microseconds (usage_usec).
 * @user_us:   the part of @usage_us in user mode (user_usec).
 * @system_us: the part of @usage_us in the kernel (system_usec).
 */
struct kt_cgroup_usage {
	uint64_t usage_us;
	uint64_t user_us;
	uint64_t system_us;
};

/**
 * kt_step_usage() - the CPU time that a cgroup used during the hold of a step
 * @step:   index of the step, from 0
 * @cgroup: name of the cgroup
 *
 * Measured from the end of the step's operations to the end of its hold. Returns NULL if the step
 * has not run, or if the cgroup did not exist in it. A cgroup that a step creates exists until the
 * end of the last step that names it; a cgroup of the .backdrop exists in all steps. Valid until
 * the end of the test. Guest only, for .check; NULL on the host and in tests without steps.
 */
const struct kt_cgroup_usage *kt_step_usage(const struct kt_ctx *ctx, unsigned int step,
					    const char *cgroup);

/**
 * kt_apply() - applies one operation now: kt_apply(ctx, KT_FREEZE_CGROUP("w"))
 * @...: one of the operation macros of ktest/scenario.h
 *
 * For .run functions, whose scenarios depend on what they observe. What the operation creates
 * lives until the end of the test. Returns 0, or KT_FAILED with the failure recorded. Guest only;
 * on the host it is a failure.
 */
#define kt_apply(ctx, ...)                                                                         \
	kt_apply_op((ctx), (struct kt_where){ __FILE__, __LINE__ },                                \
		    &(const struct kt_op)__VA_ARGS__)
/* What kt_apply() calls. @where is the place that a failure is reported at; @op is not kept. */
int kt_apply_op(struct kt_ctx *ctx, struct kt_where where, const struct kt_op *op);

/**
 * kt_captured() - the IDs that KT_CAPTURE_CGROUP_PROCS() or _THREADS() stored under @tag
 * @ret_n: number of IDs; 0 if nothing is stored under @tag.
 *
 * Returns the IDs of the latest capture under that tag, in the kernel's order, or NULL if there
 * is none. Valid until the end of the test. Guest only.
 */
const pid_t *kt_captured(const struct kt_ctx *ctx, const char *tag, size_t *ret_n);

/**
 * kt_vm_stdout(), kt_vm_stderr() - what the guest's programs wrote to standard output and error
 *
 * A string, "" if nothing was written; valid until .post_vm returns. .post_vm only; NULL elsewhere.
 */
const char *kt_vm_stdout(const struct kt_ctx *ctx);
const char *kt_vm_stderr(const struct kt_ctx *ctx);

/**
 * kt_vm_console() - the text of the guest's console, which is mostly the kernel's
 *
 * A string as for kt_vm_stdout(). .post_vm only; NULL elsewhere.
 */
const char *kt_vm_console(const struct kt_ctx *ctx);

/**
 * kt_vm_failed() - whether the verdict is FAIL, ERROR or INCONCLUSIVE when .post_vm is called
 *
 * .post_vm only; false elsewhere.
 */
bool kt_vm_failed(const struct kt_ctx *ctx);

/**
 * kt_fail() - records a failure with a message (printf format); KT_FAIL() calls it
 * @where: the place that the failure is reported at.
 *
 * Returns KT_FAILED. May be called from several threads at once.
 */
int kt_fail(struct kt_ctx *ctx, struct kt_where where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * kt_fail_values() - records a failed assertion
 * @what:     the expression, or a sentence.
 * @expected: what it should have been; NULL if that is not known.
 * @got:      what it was; NULL if that is not known.
 *
 * The texts are copied. Returns KT_FAILED. May be called from several threads at once.
 */
int kt_fail_values(struct kt_ctx *ctx, struct kt_where where, const char *what,
		   const char *expected, const char *got);

/**
 * kt_skip(), kt_inconclusive() - record the verdict SKIP or INCONCLUSIVE, with a reason
 *
 * The macros KT_SKIP() and KT_INCONCLUSIVE() call them; the reason is a printf format. If a test
 * records several verdicts, the most severe one counts: FAIL, ERROR, INCONCLUSIVE, SKIP.
 * Return KT_FAILED.
 */
int kt_skip(struct kt_ctx *ctx, const char *format, ...) __attribute__((format(printf, 2, 3)));
int kt_inconclusive(struct kt_ctx *ctx, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
