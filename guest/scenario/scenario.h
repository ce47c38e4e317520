/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The executor of a scenario: attaches the test's scheduler, runs the backdrop and the steps, tears
 * everything down, and reports what happened. Init calls these functions in the order in which they
 * stand here.
 */

#include <jansson.h>
#include <stdint.h>

#include "guest/scenario/state.h"

/*
 * Attaches the test's scheduler, if it names one. Returns 0 or a negative errno; the failure is
 * then recorded in the test's result.
 */
int kt_scenario_begin(struct kt_scenario *scenario);

/* Removes what is left, the newest first. The reports of workers stay. */
void kt_scenario_tear_down(struct kt_scenario *scenario);

/*
 * Runs the backdrop and the steps of the test. Returns 0 or a negative value; failures are recorded
 * in the test's result.
 */
int kt_scenario_run(struct kt_scenario *scenario, const struct kt_test *test);

/* Returns the statistics of the scenario as a new JSON object, or NULL when there are none. */
json_t *kt_scenario_report(const struct kt_scenario *scenario);
