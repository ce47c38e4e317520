/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The state of the scenario that runs: what is alive in the guest because of it, and what has been noted about it.
 *
 * There is one at a time, and only PID 1's main thread uses it. Operations and the executor change it;
 * neither owns it.
 */

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

/* Everything must have been torn down. */
struct kt_scenario *kt_scenario_free(struct kt_scenario *scenario);

/* At whose end a cgroup goes that is created now. */
unsigned int kt_scenario_last_step(const struct kt_scenario *scenario, const char *name);

/*
 * The cgroup @name, in which the caller is about to start something; "" is init's own. Init's workers then live
 * as long as the last step that starts or names any of them. -ENOENT with a message when there is none of that name.
 */
int kt_scenario_place(struct kt_scenario *scenario, const char *name,
		      struct kt_live_cgroup **ret_cgroup, struct kt_err *reterr);

/*
 * Records "@what: @err" as a failure of the test, at the place of the KTEST() itself, since no assertion
 * of the test's author stands for it. Returns KT_FAILED.
 */
int kt_scenario_fail(struct kt_scenario *scenario, const char *what, const struct kt_err *err);
