/* SPDX-License-Identifier: MIT */
#include "guest/scenario/definition.h"

#include <errno.h>

#include "guest/cgroup/cgroup.h"
#include "guest/cgroup/cpuset.h"
#include "guest/worker/type.h"
#include "util/cleanup.h"
#include "util/io.h"

struct judgement {
	const struct kt_cgroup_def *def;
	void (*fault)(void *data, const char *text);
	void *data;
};

/* Reports "@subject "NAME": @why"; without memory for the text, @why alone. */
static void report(const struct judgement *judgement, const char *subject, const char *why)
{
	KT_FREE char *text = kt_format("%s \"%s\": %s", subject, judgement->def->name ?: "", why);

	judgement->fault(judgement->data, text ?: why);
}

void kt_definition_judge(const struct kt_cgroup_def *def, const struct kt_topology *topology,
			 void (*fault)(void *data, const char *text), void *data)
{
	const struct judgement judgement = { def, fault, data };
	const char *limits = kt_cgroup_limits_fault(def);
	struct kt_err err = KT_ERR_NULL;
	cpu_set_t cpus;

	for (const struct kt_work *work = def->work; work && !work->end; work++) {
		const char *why = kt_work_fault(work, topology);

		if (why)
			report(&judgement, "work of cgroup", why);
	}
	if (limits)
		report(&judgement, "cgroup", limits);
	if (kt_cpuset_resolve(&def->cpuset, topology, &cpus, &err) < 0)
		report(&judgement, "cgroup", err.text);
	if (def->mems &&
	    kt_cpuset_parse(def->mems, topology->numa_nodes, "node", &cpus, &err) < 0) {
		(void)kt_err_prefix(&err, -EINVAL, ".mems");
		report(&judgement, "cgroup", err.text);
	}
}
