/* SPDX-License-Identifier: MIT */
/* What a scenario is made of, and the two questions that operations ask about it. */

#include "guest/scenario/state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest/scenario/hold.h"
#include "guest/scenario/lifetime.h"
#include "util/cleanup.h"
#include "util/clock.h"

int kt_scenario_new(struct kt_ctx *ctx, struct kt_port *port, struct kt_scenario **ret_scenario)
{
	struct kt_scenario *scenario = calloc(1, sizeof(*scenario));

	if (!scenario)
		return -ENOMEM;
	scenario->ctx = ctx;
	scenario->port = port;
	kt_periodic_init(&scenario->periodic, ctx->test);
	kt_live_init(&scenario->live, ctx);
	kt_payload_set_init(&scenario->payloads, ctx);
	kt_scheduler_set_init(&scenario->schedulers, ctx, port);
	kt_records_init(&scenario->records);
	kt_kernel_memory_use_port(ctx, port);
	kt_snapshots_use_port(ctx, port);
	ctx->scenario = scenario;
	*ret_scenario = scenario;
	return 0;
}

struct kt_scenario *kt_scenario_free(struct kt_scenario *scenario)
{
	if (!scenario)
		return NULL;
	kt_scheduler_set_deinit(&scenario->schedulers);
	kt_payload_set_deinit(&scenario->payloads);
	kt_records_deinit(&scenario->records);
	kt_pid_lists_free(scenario->captures);
	kt_live_deinit(&scenario->live);
	kt_kernel_memory_use_port(scenario->ctx, NULL);
	kt_snapshots_use_port(scenario->ctx, NULL);
	scenario->ctx->scenario = NULL; /* the functions in api.c look at it */
	free(scenario);
	return NULL;
}

unsigned int kt_scenario_last_step(const struct kt_scenario *scenario, const char *name)
{
	/* Outside the steps: kt_apply() in a .run function. */
	if (!scenario->steps || scenario->in_backdrop)
		return KT_LIVES_ON;
	return kt_lifetime_end(scenario->steps, (unsigned int)scenario->ctx->step, name);
}

int kt_scenario_place(struct kt_scenario *scenario, const char *name,
		      struct kt_live_cgroup **ret_cgroup, struct kt_err *reterr)
{
	int r = kt_live_get(&scenario->live, name, ret_cgroup, reterr);

	if (r == 0 && !*name)
		(*ret_cgroup)->last_step =
			KT_MAX((*ret_cgroup)->last_step, kt_scenario_last_step(scenario, name));
	return r;
}

int kt_scenario_fail(struct kt_scenario *scenario, const struct kt_err *err, const char *what)
{
	const struct kt_test *test = scenario->ctx->test;
	struct kt_where where = { test->file, test->line };

	return kt_fail(scenario->ctx, where, "%s: %s", what, err->text);
}

/* One that fails is told, and the scenario goes on: an assertion about it will notice. */
static void take_periodic(struct kt_scenario *scenario)
{
	int i = kt_periodic_take(&scenario->periodic, kt_now_ns());
	struct kt_err err = KT_ERR_NULL;
	char name[KT_SNAPSHOT_NAME_MAX + 1];

	if (i < 0)
		return;
	(void)snprintf(name, sizeof(name), KT_SNAPSHOT_PERIODIC "%03d", i);
	if (kt_snapshot_capture(scenario->ctx, name, true, &err) == 0) {
		scenario->periodic.n_taken++;
		return;
	}
	scenario->periodic.n_failed++;
	(void)fprintf(stderr, "ktest: snapshot '%s': %s\n", name, err.text);
}

int kt_scenario_hold_until(struct kt_scenario *scenario, uint64_t end_ns, struct kt_err *reterr)
{
	const struct kt_hold_watch watch = {
		.live = &scenario->live,
		.schedulers = &scenario->schedulers,
		/* A .run function waits for its own children. */
		.payloads = scenario->steps ? &scenario->payloads : NULL,
	};

	uint64_t due_ns;
	int r;

	while ((due_ns = kt_periodic_due_ns(&scenario->periodic)) < end_ns) {
		r = kt_hold_until(&watch, due_ns, reterr);
		if (r < 0)
			return r;
		take_periodic(scenario);
	}
	return kt_hold_until(&watch, end_ns, reterr);
}

int kt_scenario_hold(struct kt_scenario *scenario, uint64_t ns, struct kt_err *reterr)
{
	return kt_scenario_hold_until(scenario, kt_now_ns() + ns, reterr);
}
