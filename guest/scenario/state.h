/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The state of the running scenario: what is alive in the guest because of it, and what has been
 * noted about it.
 *
 * A test has one, from before its first step until its result is sent. Only the main thread of init
 * (PID 1) uses it. The executor (scenario.c), operations (op/) and the functions that test authors
 * call (api.c) work on it; this file knows none of them.
 */

#include "guest/payload/set.h"
#include "guest/port/port.h"
#include "guest/scenario/live.h"
#include "guest/scenario/pidlist.h"
#include "guest/scenario/record.h"
#include "guest/scheduler/set.h"
#include "guest/test/ctx.h"

struct kt_scenario {
	struct kt_ctx *ctx;          /* the running test; borrowed */
	struct kt_port *port;        /* for step frames; borrowed; NULL: none are sent */
	const struct kt_step *steps; /* while the executor runs them; NULL in .run and .check */
	bool in_backdrop;            /* the backdrop is being set up */
	uint64_t hold_ns;            /* CLOCK_MONOTONIC of the first hold's start; 0: none yet */
	struct kt_live live;         /* cgroups, and the workers in them */
	struct kt_payload_set payloads;
	struct kt_scheduler_set schedulers;
	struct kt_records records;    /* what each cgroup used in each step */
	struct kt_pid_list *captures; /* of KT_CAPTURE_CGROUP_PROCS() and _THREADS() */
	uint64_t applied;             /* bit enum kt_op_kind: an operation of that kind was tried */
};

/*
 * Creates an empty scenario for @ctx and sets ctx->scenario to it. @ctx and @port are borrowed
 * until kt_scenario_free(). Returns 0 or -ENOMEM.
 */
int kt_scenario_new(struct kt_ctx *ctx, struct kt_port *port, struct kt_scenario **ret_scenario);

/*
 * Frees the scenario and clears ctx->scenario; all reports, records and captures become invalid.
 * All cgroups must have been torn down (kt_scenario_tear_down()). NULL is allowed. Returns NULL.
 */
struct kt_scenario *kt_scenario_free(struct kt_scenario *scenario);

/*
 * The index of the step at whose end a cgroup @name goes if it is created now. KT_LIVES_ON in the
 * backdrop and outside the steps.
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
 * Records "@what: @err" as a failure of the test, at the line of its KTEST(), because no assertion
 * of the test's author stands for it. Returns KT_FAILED.
 */
int kt_scenario_fail(struct kt_scenario *scenario, const char *what, const struct kt_err *err);
