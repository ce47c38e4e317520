/* SPDX-License-Identifier: MIT */
/*
 * A definition is judged before it is set up, by the host and for every test at once. The judgement
 * therefore depends on nothing but the definition and the topology.
 */

#include "guest/scenario/definition.h"

#include <errno.h>
#include <stddef.h>

#include "guest/cgroup/cgroup.h"
#include "guest/cgroup/cpuset.h"
#include "guest/scenario/state.h"
#include "guest/worker/type.h"
#include "util/cleanup.h"

int kt_definition_check_name(const char *name, struct kt_err *reterr)
{
	const char *why = kt_cgroup_name_fault(name);

	return why ? kt_err_set(reterr, -EINVAL, "cgroup name \"%s\": %s", name ?: "", why) : 0;
}

static int check_work(const struct kt_cgroup_def *def, const struct kt_work *work,
		      const struct kt_topology *topology, struct kt_err *reterr)
{
	const char *why = kt_work_fault(work, topology);

	return why ? kt_err_set(reterr, -EINVAL, "work of cgroup \"%s\": %s", def->name ?: "", why)
		   : 0;
}

static int check_limits(const struct kt_cgroup_def *def, const struct kt_topology *topology,
			struct kt_err *reterr)
{
	const char *why = kt_cgroup_limits_fault(def);

	(void)topology;
	return why ? kt_err_set(reterr, -EINVAL, "cgroup \"%s\": %s", def->name ?: "", why) : 0;
}

static int check_cpus(const struct kt_cgroup_def *def, const struct kt_topology *topology,
		      struct kt_err *reterr)
{
	cpu_set_t cpus;
	int r = kt_cpuset_resolve(&def->cpuset, topology, &cpus, reterr);

	return r < 0 ? kt_err_prefix(reterr, r, "cgroup \"%s\"", def->name ?: "") : 0;
}

static int check_mems(const struct kt_cgroup_def *def, const struct kt_topology *topology,
		      struct kt_err *reterr)
{
	cpu_set_t nodes;
	int r = def->mems ? kt_cpuset_parse(def->mems, kt_topology_nodes(topology), "node", &nodes,
					    reterr)
			  : 0;

	return r < 0 ? kt_err_prefix(reterr, r, "cgroup \"%s\": .mems", def->name ?: "") : 0;
}

/* One message for each fault, so that an author sees all of them in one run. */
int kt_definition_judge(const struct kt_cgroup_def *def, const struct kt_topology *topology,
			int (*found)(void *data, const char *fault), void *data)
{
	static int (*const checks[])(const struct kt_cgroup_def *def,
				     const struct kt_topology *topology, struct kt_err *reterr) = {
		check_limits,
		check_cpus,
		check_mems,
	};
	struct kt_err err = KT_ERR_NULL;
	int r = 0;

	if (kt_definition_check_name(def->name, &err) < 0)
		r = found(data, err.text);
	for (const struct kt_work *work = def->work; r == 0 && work && !work->end; work++) {
		if (check_work(def, work, topology, &err) < 0)
			r = found(data, err.text);
	}
	for (size_t i = 0; r == 0 && i < KT_ARRAY_LEN(checks); i++) {
		if (checks[i](def, topology, &err) < 0)
			r = found(data, err.text);
	}
	return r;
}

static int keep_first(void *data, const char *fault)
{
	return kt_err_set(data, -EINVAL, "%s", fault);
}

/*
 * Definitions of functions were not judged before the run, so that all are judged again here. The
 * payload comes last: it runs in the cgroup, and is subject to the limits from its start.
 */
int kt_definition_set_up(struct kt_scenario *scenario, const struct kt_cgroup_def *def,
			 struct kt_err *reterr)
{
	struct kt_err err = KT_ERR_NULL;
	int r = kt_definition_judge(def, &scenario->ctx->topology, keep_first, &err);

	if (r < 0)
		return kt_err_set(reterr, r, "%s", err.text);
	r = kt_live_add(&scenario->live, def, kt_scenario_last_step(scenario, def->name), reterr);
	if (r == 0 && def->payload)
		r = kt_payload_set_start(&scenario->payloads, def->payload, def->payload_args,
					 def->name, reterr);
	return r;
}
