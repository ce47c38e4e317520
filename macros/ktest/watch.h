/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Watches: the machine stands still when the guest's kernel accesses certain memory, and its state
 * is captured. The operations KT_WATCH(), KT_WATCH_SNAPSHOT() and KT_UNWATCH() of ktest/scenario.h
 * take what is here. docs/freeze.md has examples.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* declared in ktest/ctx.h */
struct kt_ctx;

#ifdef __cplusplus
extern "C" {
#endif

/** enum kt_compare - comparisons of a condition; see the macros below */
enum kt_compare {
	KT_COMPARE_NONE,
	KT_COMPARE_EQ,
	KT_COMPARE_NE,
	KT_COMPARE_LT,
	KT_COMPARE_LE,
	KT_COMPARE_GT,
	KT_COMPARE_GE,
	KT_N_COMPARES,
};

/**
 * struct kt_when - a condition on the value that is in memory after an access; see the macros below
 * @compare: the comparison; of a signed type, a signed one.
 * @number:  what the value is compared with.
 */
struct kt_when {
	enum kt_compare compare;
	uint64_t number;
};

/* Conditions: KT_WATCH("scx_root->exit_kind", .when = KT_GE(1024)) */
#define KT_WHEN(compare_, number_)                                                                 \
	{                                                                                          \
		.compare = (compare_), .number = (uint64_t)(number_)                               \
	}
#define KT_EQ(n) KT_WHEN(KT_COMPARE_EQ, n)
#define KT_NE(n) KT_WHEN(KT_COMPARE_NE, n)
#define KT_LT(n) KT_WHEN(KT_COMPARE_LT, n)
#define KT_LE(n) KT_WHEN(KT_COMPARE_LE, n)
#define KT_GT(n) KT_WHEN(KT_COMPARE_GT, n)
#define KT_GE(n) KT_WHEN(KT_COMPARE_GE, n)

#define KT_WATCH_NAME_MAX 63u  /* bytes */
#define KT_WATCHES_ARMED  128u /* watches of a test at a time, at most; with KVM 3 */

/**
 * struct kt_kernel_watch - memory that is watched
 * @path:        a typed path, as in KT_KERNEL_PATH(). Where it points to is found when the watch is
 *               armed. A symbol whose type is not known needs a cast, or @len.
 * @name:        for reports and KT_UNWATCH(). NULL: the path, which must not be longer then than
 *               KT_WATCH_NAME_MAX.
 * @when:        only accesses after which this holds count as hits. Default: all.
 * @access:      reads are accesses, too. Default: writes only.
 * @len:         bytes, from where the path leads. 0: as its type says. With @when at most 8.
 * @interval_ms: between two captures, in milliseconds of the guest. 0: no limit of the rate.
 * @captures:    how many captures are taken in all. 0: 16. Further hits are counted.
 * @count_only:  no capture is taken: hits are counted.
 */
struct kt_kernel_watch {
	const char *path;
	const char *name;
	struct kt_when when;
	bool access;
	unsigned int len;
	unsigned int interval_ms;
	unsigned int captures;
	bool count_only;
};

/**
 * struct kt_freeze_hit - a moment at which the machine stood still
 * @reason:  "watch", or of a scheduler: "exit-claimed" (its error has just been claimed, and its
 *           state is untouched), "program-killed" (its program dies of a signal, and takes the
 *           scheduler along), "exit-told" (the message of the error is complete), "exit-missed"
 *           (it had erred before it was watched), "half-watchdog" (a task has waited for half of
 *           the watchdog's time).
 * @name:    of the watch or scheduler.
 * @kind:    of the exit, as the kernel names it: "SCX_EXIT_ERROR_STALL". "": none.
 * @value:   in memory after the access; "half-watchdog": the ID of the task.
 * @vcpu:    that made the access.
 * @step:    index of the step; -1 outside the steps.
 * @time_ns: of the guest's clock of runqueues, the time stamps of its log.
 */
struct kt_freeze_hit {
	const char *reason;
	const char *name;
	const char *kind;
	uint64_t value;
	unsigned int vcpu;
	int step;
	uint64_t time_ns;
};

/**
 * struct kt_watch_count - what has become of a watch
 * @hits:     accesses after which the condition held.
 * @unmet:    accesses before the last hit after which it did not.
 * @captures: of the hits, that were captured.
 * @left_out: of the hits, that were not.
 */
struct kt_watch_count {
	uint64_t hits, unmet, captures, left_out;
};

/**
 * kt_freeze_hits() - the hits that were captured, in their order; the first 1000 of them
 * @ret_n: their number.
 *
 * Valid until .post_vm returns. .post_vm only; NULL and 0 elsewhere.
 */
const struct kt_freeze_hit *kt_freeze_hits(const struct kt_ctx *ctx, size_t *ret_n);

/**
 * kt_watch_count() - counts of the watch @name, of which the latest one counts
 *
 * Returns false if there was no such watch. .post_vm only; false elsewhere.
 */
bool kt_watch_count(const struct kt_ctx *ctx, const char *name, struct kt_watch_count *ret_count);

#ifdef __cplusplus
}
#endif
