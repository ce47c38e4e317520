/* SPDX-License-Identifier: MIT */
#include "guest/scenario/definition.h"

#include "guest/scenario/state.h"

int kt_definition_set_up(struct kt_scenario *scenario, const struct kt_cgroup_def *def,
			 struct kt_err *reterr)
{
	int r = kt_live_add(&scenario->live, def, kt_scenario_last_step(scenario, def->name),
			    reterr);

	if (r == 0 && def->payload)
		r = kt_payload_set_start(&scenario->payloads, def->payload, def->payload_args,
					 def->name, reterr);
	return r;
}
