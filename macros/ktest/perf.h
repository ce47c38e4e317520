/* SPDX-License-Identifier: MIT */
#pragma once
/* KT_PERF(): metrics of a test that must not become worse than they were. */

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * enum kt_better - in which direction a metric improves
 * @KT_BETTER_UNKNOWN: it is not stated.
 * @KT_LOWER:          a lower value is better.
 * @KT_HIGHER:         a higher value is better.
 */
enum kt_better {
	KT_BETTER_UNKNOWN,
	KT_LOWER,
	KT_HIGHER,
};

/**
 * struct kt_perf - a gate: how much worse than in the baseline a metric of the test may be
 * @metric:   its name, as "ktests compare" shows it: "iterations", "wake_p99_us", or PAYLOAD.METRIC
 *            of a payload.
 * @better:   in which direction it improves. KT_BETTER_UNKNOWN (the default): as ktest knows it of
 *            its own metrics, and as a payload declares it of its metrics.
 * @absolute: a smaller difference does not count; in the unit of the metric. 0 (the default): what
 *            "ktests compare" takes (docs/results.md).
 * @percent:  a difference that is a smaller share of the baseline's mean does not count either; at
 *            most 100 where higher is better. 0 (the default): as for @absolute.
 * @end:      terminates a list; set by the macros.
 */
struct kt_perf {
	const char *metric;
	enum kt_better better;
	double absolute;
	double percent;
	bool end; /* terminates a list; set by the macros */
};

/** KT_PERF() - the gates of a test: .perf = KT_PERF({ .metric = "iterations", .percent = 5 }) */
#define KT_PERF(...) ((const struct kt_perf[]){ __VA_ARGS__, { .end = true } })

#ifdef __cplusplus
}
#endif
