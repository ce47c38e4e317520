/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/runqueues.h"

#include <errno.h>
#include <stdio.h>

#include "util/cleanup.h"
#include "vmm/inspect/chain.h"

/*
 * Members of struct rq that are shown are in a table, and left out where a kernel has none. Tasks
 * that are runnable, but wait, are in a list of sched_ext, in the order in which the watchdog looks
 * at them; the one that runs is not.
 */

#define RUNNABLE_MAX 65536u /* tasks of one CPU */

enum {
	NR_RUNNING,
	NR_SWITCHES,
	CLOCK,
	CLOCK_TASK,
	CURR,
	IDLE,
	ONLINE,
	CFS,
	RT,
	DL,
	SCX_NR_RUNNING,
	SCX_FLAGS,
	SCX_CLOCK,
	SCX_CPU_RELEASED,
	SCX_NR_IMMED,
	SCX_CPUPERF,
	SCX_RUNNABLE,
	SCX_LOCAL_NR,
	N_FIELDS
};

static const struct kt_record_field FIELDS[N_FIELDS] = {
	[NR_RUNNING] = { { "nr_running" } },
	[NR_SWITCHES] = { { "nr_switches" }, true },
	[CLOCK] = { { "clock" }, true },
	[CLOCK_TASK] = { { "clock_task" }, true },
	[CURR] = { { "curr" }, true },
	[IDLE] = { { "idle" }, true },
	[ONLINE] = { { "online" }, true },
	[CFS] = { { "cfs.h_nr_queued", "cfs.h_nr_running" }, true },
	[RT] = { { "rt.rt_nr_running" }, true },
	[DL] = { { "dl.dl_nr_running" }, true },
	[SCX_NR_RUNNING] = { { "scx.nr_running" }, true },
	[SCX_FLAGS] = { { "scx.flags" }, true },
	[SCX_CLOCK] = { { "scx.clock" }, true },
	[SCX_CPU_RELEASED] = { { "scx.cpu_released" }, true },
	[SCX_NR_IMMED] = { { "scx.nr_immed" }, true },
	[SCX_CPUPERF] = { { "scx.cpuperf_target" }, true },
	[SCX_RUNNABLE] = { { "scx.runnable_list" }, true },
	[SCX_LOCAL_NR] = { { "scx.local_dsq.nr" }, true },
};

/* What is shown as it is. */
static const struct {
	const char *name;
	unsigned int field;
} SHOWN[] = {
	{ "nr_running", NR_RUNNING }, { "nr_switches", NR_SWITCHES }, { "clock", CLOCK },
	{ "clock_task", CLOCK_TASK }, { "online", ONLINE },           { "cfs_nr", CFS },
	{ "rt_nr", RT },              { "dl_nr", DL },
}, SHOWN_SCX[] = {
	{ "nr_running", SCX_NR_RUNNING },
	{ "clock", SCX_CLOCK },
	{ "cpu_released", SCX_CPU_RELEASED },
	{ "nr_immed", SCX_NR_IMMED },
	{ "cpuperf_target", SCX_CPUPERF },
	{ "local_nr", SCX_LOCAL_NR },
};

int kt_runqueues_init(struct kt_runqueues *rqs, struct kt_inspect *inspect, struct kt_err *reterr)
{
	*rqs = (struct kt_runqueues){ .inspect = inspect, .record = KT_RECORD_NULL };
	return kt_record_init(&rqs->record, inspect, "struct rq", FIELDS, N_FIELDS, reterr)
		       ?: kt_inspect_symbol(inspect, "runqueues", &rqs->symbol, reterr);
}

void kt_runqueues_deinit(struct kt_runqueues *rqs)
{
	kt_record_deinit(&rqs->record);
}

int kt_runqueues_read(struct kt_runqueues *rqs, unsigned int cpu, struct kt_runqueue *ret_rq,
		      struct kt_err *reterr)
{
	const struct kt_record *record = &rqs->record;
	uint64_t kva;
	int r = kt_inspect_per_cpu(rqs->inspect, rqs->symbol, cpu, &kva, reterr)
			?: kt_record_read(&rqs->record, kva, reterr);

	if (r < 0)
		return kt_err_prefix(reterr, r, "run queue of CPU %u", cpu);
	*ret_rq = (struct kt_runqueue){
		.kva = kva,
		.cpu = cpu,
		.nr_running = (uint32_t)kt_record_get(record, NR_RUNNING),
		.nr_switches = kt_record_get(record, NR_SWITCHES),
		.clock = kt_record_get(record, CLOCK),
		.clock_task = kt_record_get(record, CLOCK_TASK),
		.curr = kt_record_get(record, CURR),
		.idle = kt_record_get(record, IDLE),
		.online = kt_record_get(record, ONLINE),
		.has_scx = kt_record_has(record, SCX_FLAGS),
		.scx_nr_running = (uint32_t)kt_record_get(record, SCX_NR_RUNNING),
		.scx_flags = (uint32_t)kt_record_get(record, SCX_FLAGS),
		.scx_clock = kt_record_get(record, SCX_CLOCK),
		.scx_runnable = kt_record_has(record, SCX_RUNNABLE)
					? kt_record_address(record, SCX_RUNNABLE)
					: 0,
	};
	return 0;
}

/* ---- JSON ---- */

/* A task that is named in another object: pid and comm. */
static json_t *task_json(struct kt_tasks *tasks, uint64_t kva)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_task task;

	if (!kva)
		return json_null();
	if (kt_tasks_read(tasks, kva, &task, &err) < 0)
		return kt_tree_error(&err);
	return json_pack("{s:I, s:o, s:s, s:o}", "pid", (json_int_t)task.pid, "comm",
			 kt_tree_text(task.comm), "class", task.class, "address",
			 kt_tree_address(kva));
}

/* Appends the runnable tasks; the watchdog looks at how long each has been so. */
static int add_runnable(struct kt_walk *walk, struct kt_tasks *tasks, const struct kt_runqueue *rq,
			uint32_t node_offset, uint64_t jiffies, json_t *array,
			struct kt_err *reterr)
{
	struct kt_chain chain;
	unsigned int n = 0;
	struct kt_task task;
	uint64_t node;
	char name[48];
	int r;

	(void)snprintf(name, sizeof(name), "runqueues[cpu %u].scx.runnable_list", rq->cpu);
	r = kt_chain_begin(&chain, walk->inspect, KT_CHAIN_LIST, rq->scx_runnable, RUNNABLE_MAX,
			   name, reterr);
	if (r < 0)
		return r;
	while ((r = kt_chain_next(&chain, &node, reterr)) > 0) {
		if (n++ == walk->limits.queued || kt_walk_is_late(walk)) {
			kt_walk_cut(array, 0);
			return 0;
		}
		r = kt_tasks_read(tasks, node - node_offset, &task, reterr);
		if (r < 0)
			return kt_err_prefix(reterr, r, "%s", name);
		(void)json_array_append_new(
			array, json_pack("{s:I, s:o, s:I}", "pid", (json_int_t)task.pid, "comm",
					 kt_tree_text(task.comm), "runnable_for",
					 (json_int_t)(jiffies - task.scx.runnable_at)));
	}
	return r;
}

static json_t *runnable_json(struct kt_walk *walk, struct kt_tasks *tasks,
			     const struct kt_runqueue *rq)
{
	struct kt_err err = KT_ERR_NULL;
	json_t *array = json_array();
	struct kt_member node;
	uint64_t symbol, jiffies = 0;

	/* jiffies is an alias of jiffies_64. */
	if (kt_inspect_has_symbol(walk->inspect, "jiffies_64", &symbol))
		(void)kt_inspect_read_uint(walk->inspect, symbol, 8, &jiffies, NULL);
	if (!array || !rq->scx_runnable ||
	    !kt_inspect_has_member(walk->inspect, "struct task_struct", "scx.runnable_node", &node))
		return array;
	if (add_runnable(walk, tasks, rq, node.offset, jiffies, array, &err) < 0)
		(void)json_array_append_new(array, kt_tree_error(&err));
	return array;
}

static json_t *scx_json(struct kt_walk *walk, const struct kt_runqueues *rqs,
			struct kt_tasks *tasks, const struct kt_runqueue *rq)
{
	json_t *scx = json_object();

	for (size_t i = 0; scx && i < KT_ARRAY_LEN(SHOWN_SCX); i++) {
		if (kt_record_has(&rqs->record, SHOWN_SCX[i].field))
			(void)json_object_set_new(scx, SHOWN_SCX[i].name,
						  kt_tree_member(&rqs->record, SHOWN_SCX[i].field));
	}
	(void)json_object_set_new(scx, "flags",
				  kt_tree_flags(walk->inspect, "enum scx_rq_flags", rq->scx_flags));
	(void)json_object_set_new(scx, "runnable", runnable_json(walk, tasks, rq));
	return scx;
}

static json_t *runqueue_json(struct kt_walk *walk, const struct kt_runqueues *rqs,
			     struct kt_tasks *tasks, const struct kt_runqueue *rq)
{
	json_t *json = json_pack("{s:I}", "cpu", (json_int_t)rq->cpu);

	for (size_t i = 0; json && i < KT_ARRAY_LEN(SHOWN); i++) {
		if (kt_record_has(&rqs->record, SHOWN[i].field))
			(void)json_object_set_new(json, SHOWN[i].name,
						  kt_tree_member(&rqs->record, SHOWN[i].field));
	}
	(void)json_object_set_new(json, "curr", task_json(tasks, rq->curr));
	(void)json_object_set_new(json, "idle", task_json(tasks, rq->idle));
	(void)json_object_set_new(json, "address", kt_tree_address(rq->kva));
	if (rq->has_scx)
		(void)json_object_set_new(json, "scx", scx_json(walk, rqs, tasks, rq));
	return json;
}

static int add_runqueues(struct kt_walk *walk, struct kt_runqueues *rqs, struct kt_tasks *tasks,
			 json_t *array)
{
	unsigned int n_cpus = kt_inspect_facts(walk->inspect)->n_cpus;

	for (unsigned int cpu = 0; cpu < n_cpus; cpu++) {
		struct kt_err err = KT_ERR_NULL;
		struct kt_runqueue rq;
		int r;

		if (kt_walk_is_late(walk)) {
			kt_walk_cut(array, n_cpus - cpu);
			return 0;
		}
		r = kt_runqueues_read(rqs, cpu, &rq, &err);
		if (json_array_append_new(array, r < 0 ? kt_tree_error(&err)
						       : runqueue_json(walk, rqs, tasks, &rq)) < 0)
			return -ENOMEM;
	}
	return 0;
}

int kt_runqueues_json(struct kt_walk *walk, const char *unused, json_t **ret_json,
		      struct kt_err *reterr)
{
	struct kt_tasks *tasks = NULL;
	struct kt_runqueues rqs;
	json_t *array = NULL;
	int r = kt_runqueues_init(&rqs, walk->inspect, reterr)
			?: kt_tasks_open(walk->inspect, &tasks, reterr);

	(void)unused;
	if (r == 0) {
		array = json_array();
		r = array ? add_runqueues(walk, &rqs, tasks, array) : -ENOMEM;
		if (r < 0)
			r = kt_err_oom(reterr);
	}
	kt_tasks_close(tasks);
	kt_runqueues_deinit(&rqs);
	if (r < 0) {
		json_decref(array);
		return r;
	}
	*ret_json = array;
	return 0;
}
