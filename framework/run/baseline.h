/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A baseline: the results of an earlier run, against which the gates of tests (.perf) are judged.
 * It was written by -o DIR, and is not trusted.
 */

#include "framework/compare/samples.h"
#include "framework/outcome/outcome.h"

struct kt_baseline {
	struct kt_samples samples; /* sorted */
	const char *path;          /* borrowed; NULL: there is none, and no gate is judged */
};

#define KT_BASELINE_NULL ((struct kt_baseline){ .path = NULL })

/* Reads what @path names, as for kt_samples_read(). Returns 0 or a negative errno. */
int kt_baseline_read(struct kt_baseline *baseline, const char *path, struct kt_err *reterr);
void kt_baseline_deinit(struct kt_baseline *baseline);

/*
 * Judges the gates of a test that has passed. One that is worse than the baseline makes a failure;
 * one that cannot be judged, because a side has no value or was measured in another time, makes the
 * verdict INCONCLUSIVE with the reason. Returns 0 or -ENOMEM.
 */
int kt_baseline_judge(const struct kt_baseline *baseline, struct kt_outcome *outcome);
