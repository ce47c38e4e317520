/* SPDX-License-Identifier: MIT */
#pragma once
/* The executor of steps. */

#include <jansson.h>
#include <stdint.h>

#include <ktest/test.h>

#include "util/err.h"

struct kt_scenario; /* guest/scenario/state.h */

/* Attaches the test's scheduler. What goes wrong is recorded in the test's result. */
int kt_scenario_begin(struct kt_scenario *scenario);

/* Tears down what is left, in reverse order of creation. Reports stay. */
void kt_scenario_tear_down(struct kt_scenario *scenario);

/*
 * Runs the backdrop and the steps of the test. What goes wrong is recorded in the test's result; the
 * return value only says whether something did.
 */
int kt_scenario_run(struct kt_scenario *scenario, const struct kt_test *test);

/* Lets time pass, watching that no worker is lost. */
int kt_scenario_hold(struct kt_scenario *scenario, uint64_t ns, struct kt_err *reterr);

/* Statistics of the scenario: a new JSON object, or NULL when there is nothing. */
json_t *kt_scenario_report(const struct kt_scenario *scenario);
