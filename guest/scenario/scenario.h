/* SPDX-License-Identifier: MIT */
#pragma once
/* The executor of steps. */

#include <jansson.h>

#include "guest/payload/set.h"
#include "guest/port/port.h"
#include "guest/scenario/live.h"
#include "guest/scenario/pidlist.h"
#include "guest/scenario/record.h"
#include "guest/scheduler/set.h"
#include "guest/test/ctx.h"

struct kt_scenario {
	struct kt_ctx *ctx;
	struct kt_port *port;
	const struct kt_step *steps; /* NULL outside them */
	bool in_backdrop;            /* what is created now lives on */
	uint64_t hold_ns;            /* when the first hold began; 0: none has */
	struct kt_live live;
	struct kt_payload_set payloads;
	struct kt_scheduler_set schedulers;
	struct kt_records records;
	struct kt_pid_list *captures;
	uint64_t applied; /* operations: bit enum kt_op_kind */
};

/* @port may be NULL: then no step frames are sent. */
int kt_scenario_new(struct kt_ctx *ctx, struct kt_port *port, struct kt_scenario **ret_scenario);

/* Attaches the test's scheduler. What goes wrong is recorded in the test's result. */
int kt_scenario_begin(struct kt_scenario *scenario);

/* Tears down what is left, in reverse order of creation. Reports stay. */
void kt_scenario_tear_down(struct kt_scenario *scenario);

/* Everything must have been torn down. */
struct kt_scenario *kt_scenario_free(struct kt_scenario *scenario);

/*
 * Runs the backdrop and the steps of the test. What goes wrong is recorded in the test's result; the
 * return value only says whether something did.
 */
int kt_scenario_run(struct kt_scenario *scenario, const struct kt_test *test);

/* Lets time pass, watching that no worker is lost. */
int kt_scenario_hold(struct kt_scenario *scenario, uint64_t ns, struct kt_err *reterr);

/* At whose end a cgroup goes that is created now. */
unsigned int kt_scenario_last_step(const struct kt_scenario *scenario, const char *name);

/* Statistics of the scenario: a new JSON object, or NULL when there is nothing. */
json_t *kt_scenario_report(const struct kt_scenario *scenario);
