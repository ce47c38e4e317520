/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Series: how a value goes over the periodic snapshots of a test (.num_snapshots), and assertions
 * about it:
 *
 *	KT_ASSERT_SERIES(ctx, kt_view_variable(kt_periodic(ctx), "nr_dispatched"),
 *			 KT_STRICTLY_INCREASING);
 *
 * A snapshot in which the view cannot be read is left out, which standard error tells; in the
 * strict patterns it is a failure. If too few are left, the test is INCONCLUSIVE. A failure shows
 * the series as a plot.
 */

#include <ktest/snapshot.h>

#ifdef __cplusplus
extern "C" {
#endif

/** enum kt_pattern_kind - what is asserted; see the macros below */
enum kt_pattern_kind {
	KT_PATTERN_NONE,
	KT_PATTERN_NONDECREASING,
	KT_PATTERN_INCREASING,
	KT_PATTERN_RATE,
	KT_PATTERN_STEADY,
	KT_PATTERN_CONVERGES,
	KT_PATTERN_ALWAYS,
	KT_PATTERN_RATIO,
	KT_PATTERN_AT_LEAST,
	KT_PATTERN_AT_MOST,
	KT_PATTERN_BETWEEN,
};

/**
 * struct kt_pattern - an assertion about a series
 * @kind:      which of the following members count.
 * @low:       lower limit.
 * @high:      upper limit.
 * @target:    of KT_CONVERGES_TO().
 * @tolerance: of KT_CONVERGES_TO() absolute, of KT_STEADY_WITHIN() a fraction of the mean.
 * @ms:        milliseconds since the test began.
 * @other:     of KT_RATIO_WITHIN().
 */
struct kt_pattern {
	enum kt_pattern_kind kind;
	double low, high, target, tolerance;
	unsigned int ms;
	const struct kt_view *other;
};

/* Each value is at least the one before it; is greater than it. */
#define KT_NONDECREASING       ((struct kt_pattern){ .kind = KT_PATTERN_NONDECREASING })
#define KT_STRICTLY_INCREASING ((struct kt_pattern){ .kind = KT_PATTERN_INCREASING })
/* From each value to the next, it changes by @lo to @hi per millisecond. */
#define KT_RATE_WITHIN(lo, hi)                                                                     \
	((struct kt_pattern){ .kind = KT_PATTERN_RATE, .low = (lo), .high = (hi) })
/* All values from @warmup_ms on differ from their mean by at most the fraction @fraction of it. */
#define KT_STEADY_WITHIN(warmup_ms, fraction)                                                      \
	((struct kt_pattern){                                                                      \
		.kind = KT_PATTERN_STEADY, .tolerance = (fraction), .ms = (warmup_ms) })
/* Three values in a row are within @distance of @goal, the third by @deadline_ms. */
#define KT_CONVERGES_TO(goal, distance, deadline_ms)                                               \
	((struct kt_pattern){ .kind = KT_PATTERN_CONVERGES,                                        \
			      .target = (goal),                                                    \
			      .tolerance = (distance),                                             \
			      .ms = (deadline_ms) })
/* Each value divided by that of @view in the same snapshot is within @lo to @hi. */
#define KT_RATIO_WITHIN(view, lo, hi)                                                              \
	((struct kt_pattern){ .kind = KT_PATTERN_RATIO,                                            \
			      .low = (lo),                                                         \
			      .high = (hi),                                                        \
			      .other = (const struct kt_view[]){ (view) } })
/* Strict: each value is other than 0; is at least, at most, or between these, limits included. */
#define KT_ALWAYS_TRUE       ((struct kt_pattern){ .kind = KT_PATTERN_ALWAYS })
#define KT_EACH_AT_LEAST(lo) ((struct kt_pattern){ .kind = KT_PATTERN_AT_LEAST, .low = (lo) })
#define KT_EACH_AT_MOST(hi)  ((struct kt_pattern){ .kind = KT_PATTERN_AT_MOST, .high = (hi) })
#define KT_EACH_BETWEEN(lo, hi)                                                                    \
	((struct kt_pattern){ .kind = KT_PATTERN_BETWEEN, .low = (lo), .high = (hi) })

/**
 * KT_ASSERT_SERIES(), KT_EXPECT_SERIES() - the values of @view follow the pattern
 * @view: from kt_periodic() on.
 *
 * As other assertions of ktest/assert.h. For .check, .run and .post_vm.
 */
#define KT_ASSERT_SERIES(ctx, view, pattern)                                                       \
	do {                                                                                       \
		if (kt_series_check((ctx), (struct kt_where){ __FILE__, __LINE__ }, (view),        \
				    (pattern), #view) < 0)                                         \
			return KT_FAILED;                                                          \
	} while (0)
#define KT_EXPECT_SERIES(ctx, view, pattern)                                                       \
	(void)kt_series_check((ctx), (struct kt_where){ __FILE__, __LINE__ }, (view), (pattern),   \
			      #view)
/* What the macros call. Returns 0, or KT_FAILED with the failure or the verdict recorded. */
int kt_series_check(struct kt_ctx *ctx, struct kt_where where, struct kt_view view,
		    struct kt_pattern pattern, const char *text);

#ifdef __cplusplus
}
#endif
