/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The state of one running scenario. Operations (op.h) change it, the executor (scenario.h) drives
 * it, and the functions that tests call (api.c) query it; none of these calls another.
 */

#include "guest/payload/set.h"
#include "guest/port/port.h"
#include "guest/scenario/live.h"
#include "guest/scenario/periodic.h"
#include "guest/scenario/pidlist.h"
#include "guest/scenario/record.h"
#include "guest/scheduler/set.h"
#include "guest/test/ctx.h"

struct kt_scenario {
	struct kt_ctx *ctx;          /* borrowed */
	struct kt_port *port;        /* borrowed; NULL: no step frames are sent */
	const struct kt_step *steps; /* of the test; NULL while no step runs */
	bool in_backdrop;            /* cgroups that are created now live to the end of the test */
	uint64_t hold_ns;            /* when the first hold began; 0: not yet */
	struct kt_periodic periodic;
	struct kt_live live;
	struct kt_payload_set payloads;
	struct kt_scheduler_set schedulers;
	struct kt_records records;
	struct kt_pid_list *captures; /* owned; the latest first */
	uint64_t applied;             /* operations so far: one bit for each enum kt_op_kind */
};

/* Makes the scenario of @ctx. Returns 0 or -ENOMEM. */
int kt_scenario_new(struct kt_ctx *ctx, struct kt_port *port, struct kt_scenario **ret_scenario);

/* Everything must have been torn down. NULL is allowed. */
struct kt_scenario *kt_scenario_free(struct kt_scenario *scenario);

/*
 * Returns the index of the step at whose end a cgroup @name goes that is created now, or
 * KT_LIVES_ON when it lives to the end of the test.
 */
unsigned int kt_scenario_last_step(const struct kt_scenario *scenario, const char *name);

/*
 * Finds the cgroup @name, in which the caller is about to start something; "" is init's own. Init's
 * workers then live at least until the last step that names "". Returns 0, or -ENOENT with a
 * message when there is no such cgroup.
 */
int kt_scenario_place(struct kt_scenario *scenario, const char *name,
		      struct kt_live_cgroup **ret_cgroup, struct kt_err *reterr);

/*
 * Lets time pass until @end_ns, or for @ns. Returns early with -ECHILD when a worker ends, and with
 * KT_FAILED when a scheduler ends that was not expected to.
 */
int kt_scenario_hold_until(struct kt_scenario *scenario, uint64_t end_ns, struct kt_err *reterr);
int kt_scenario_hold(struct kt_scenario *scenario, uint64_t ns, struct kt_err *reterr);

/*
 * Records a failure that no assertion of the test reports, as "@what: @err" at the test's own
 * place. Returns KT_FAILED.
 */
int kt_scenario_fail(struct kt_scenario *scenario, const struct kt_err *err, const char *what);
