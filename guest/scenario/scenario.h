/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The executor of a scenario: attaches the test's scheduler, runs the backdrop and the steps, tears
 * everything down, and reports what happened. Init calls these functions in the order in which they
 * stand here.
 */

#include <jansson.h>
#include <stdint.h>

#include <ktest/test.h>

#include "util/err.h"

struct kt_scenario; /* guest/scenario/state.h */

/*
 * Attaches the scheduler that the test names in .scheduler, if any. Returns 0 or a negative errno;
 * the test's result is an ERROR then.
 */
int kt_scenario_begin(struct kt_scenario *scenario);

/*
 * Runs the backdrop and the steps of @test. Returns 0, or a negative errno at the first failure,
 * which is in the test's result by then; no later step runs.
 */
int kt_scenario_run(struct kt_scenario *scenario, const struct kt_test *test);

/*
 * Lets @ns nanoseconds pass while the workers run, and watches workers and scheduler
 * (kt_hold_until()). Returns 0 or a negative errno with a message; KT_FAILED when the failure is
 * recorded already.
 */
int kt_scenario_hold(struct kt_scenario *scenario, uint64_t ns, struct kt_err *reterr);

/*
 * Ends all payloads and workers and removes all cgroups, in reverse order of creation. Failures are
 * recorded in the test's result. The reports of the workers stay.
 */
void kt_scenario_tear_down(struct kt_scenario *scenario);

/*
 * The "scenario" object of the sidecar: operations, steps, workers, payloads and schedulers. The
 * caller owns it; NULL when there is nothing to say, or no memory.
 */
json_t *kt_scenario_report(const struct kt_scenario *scenario);
