/* SPDX-License-Identifier: MIT */
#pragma once
/* The executor of steps, and the cgroups and workers that are alive. */

#include <jansson.h>

#include "guest/ctx.h"
#include "guest/port.h"
#include "guest/report.h"

/* @port may be NULL: then no step frames are sent. */
int kt_scenario_new(struct kt_ctx *ctx, struct kt_port *port, struct kt_scenario **ret_scenario);

/* Tears down what is left, in reverse order of creation, and frees. */
struct kt_scenario *kt_scenario_free(struct kt_scenario *scenario);

/*
 * Runs the steps of the test. What goes wrong is recorded in the test's result; the return value
 * only says whether something did.
 */
int kt_scenario_run(struct kt_scenario *scenario, const struct kt_step *steps);

/* Lets time pass, watching that no worker is lost. */
int kt_scenario_hold(struct kt_scenario *scenario, uint64_t ns, struct kt_err *reterr);

/* Statistics of the steps that have run: a new JSON array. */
json_t *kt_scenario_report(const struct kt_scenario *scenario);

const struct kt_cgroup_usage *kt_scenario_usage(const struct kt_scenario *scenario,
						unsigned int step, const char *cgroup);

/* Of the workers that have ended. */
const struct kt_reports *kt_scenario_reports(const struct kt_scenario *scenario);

/* For the operations. */
int kt_scenario_add_cgroup(struct kt_scenario *scenario, const struct kt_cgroup_def *def,
			   struct kt_err *reterr);
int kt_scenario_remove_cgroup(struct kt_scenario *scenario, const char *name,
			      struct kt_err *reterr);
int kt_scenario_stop_cgroup(struct kt_scenario *scenario, const char *name, struct kt_err *reterr);
uint64_t kt_scenario_op_deadline_ns(const struct kt_scenario *scenario);
