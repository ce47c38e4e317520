/* SPDX-License-Identifier: MIT */
#include "vmm/snapshot/snapshot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/maps.h"
#include "vmm/inspect/programs.h"
#include "vmm/inspect/record.h"
#include "vmm/inspect/runqueues.h"
#include "vmm/inspect/scx.h"
#include "vmm/inspect/tasks.h"
#include "vmm/inspect/walk.h"
#include "vmm/snapshot/cpu_time.h"
#include "vmm/snapshot/nodes.h"
#include "vmm/snapshot/owners.h"
#include "vmm/snapshot/stack.h"
#include "vmm/snapshot/story.h"

/*
 * The parts of a report are made in the order of importance, each by a function of its own: most by
 * those of vmm/inspect/, to which stacks, owners of maps, and times are added. A part that fails is
 * an error in its place.
 *
 * Limits on counts bound the time, too, so that they decide what is left out, and not the speed of
 * the host: the limit on CPU time is there for a guest whose memory is hostile.
 */

#define CPU_NS UINT64_C(2000000000)

struct taking {
	struct kt_walk walk;
	const struct kt_snapshot_moment *moment;
	struct kt_stacks *stacks; /* NULL: there are none, because of @no_stacks */
	struct kt_err no_stacks;
	uint64_t jiffies;
};

static const struct kt_walk_limits LIMITS = {
	.tasks = 1024,
	.queues = 512,
	.queued = 64,
	.maps = 128,
	.entries = 64,
	.programs = 256,
	.cpu_ns = CPU_NS,
	.value = { .depth = 6,
		   .elements = 64,
		   .text_len = 256,
		   .bytes = 64u << 10,
		   .memory = 1u << 20,
		   .cpu_ns = CPU_NS },
};

/* ---- CPUs ---- */

static json_t *registers_json(const struct kt_registers *r)
{
	const struct {
		const char *name;
		uint64_t value;
	} values[] = {
		{ "rip", r->rip },         { "rsp", r->rsp }, { "rbp", r->rbp },
		{ "rax", r->rax },         { "rbx", r->rbx }, { "rcx", r->rcx },
		{ "rdx", r->rdx },         { "rsi", r->rsi }, { "rdi", r->rdi },
		{ "r8", r->r8 },           { "r9", r->r9 },   { "r10", r->r10 },
		{ "r11", r->r11 },         { "r12", r->r12 }, { "r13", r->r13 },
		{ "r14", r->r14 },         { "r15", r->r15 }, { "rflags", r->rflags },
		{ "cs", r->cs },           { "ss", r->ss },   { "fs_base", r->fs_base },
		{ "gs_base", r->gs_base }, { "cr0", r->cr0 }, { "cr2", r->cr2 },
		{ "cr3", r->cr3 },         { "cr4", r->cr4 },
	};
	json_t *json = json_object();

	for (size_t i = 0; json && i < KT_ARRAY_LEN(values); i++)
		(void)json_object_set_new(json, values[i].name, kt_tree_address(values[i].value));
	return json;
}

static json_t *error_json(const char *why)
{
	return json_pack("{s:o}", "error", kt_tree_text(why));
}

static json_t *cpu_stack_json(struct taking *taking, const struct kt_registers *registers,
			      uint64_t task)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_stack stack;

	if (!taking->stacks)
		return kt_tree_error(&taking->no_stacks);
	if (kt_stack_of_cpu(taking->stacks, registers, task, &stack, &err) < 0)
		return kt_tree_error(&err);
	return kt_stack_json(taking->walk.inspect, &stack);
}

static json_t *cpu_task_json(struct kt_tasks *tasks, uint64_t kva)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_task task;

	if (kt_tasks_read(tasks, kva, &task, &err) < 0)
		return kt_tree_error(&err);
	return json_pack("{s:I, s:o, s:s}", "pid", (json_int_t)task.pid, "comm",
			 kt_tree_text(task.comm), "class", task.class);
}

static json_t *cpu_json(struct taking *taking, struct kt_runqueues *rqs, struct kt_tasks *tasks,
			unsigned int cpu)
{
	const struct kt_snapshot_moment *moment = taking->moment;
	const struct kt_registers *registers =
		moment->registers && cpu < moment->n_registers ? &moment->registers[cpu] : NULL;
	const char *why = moment->no_registers ?: "the registers are not known";
	json_t *json = json_pack("{s:I}", "cpu", (json_int_t)cpu);
	struct kt_err err = KT_ERR_NULL;
	struct kt_runqueue rq = { .curr = 0 };

	if (!json)
		return NULL;
	(void)json_object_set_new(json, "task",
				  kt_runqueues_read(rqs, cpu, &rq, &err) < 0
					  ? kt_tree_error(&err)
					  : cpu_task_json(tasks, rq.curr));
	if (registers)
		(void)json_object_set_new(
			json, "mode",
			json_string(kt_registers_are_user(registers) ? "user" : "kernel"));
	(void)json_object_set_new(json, "stack",
				  registers ? cpu_stack_json(taking, registers, rq.curr)
					    : error_json(why));
	(void)json_object_set_new(json, "registers",
				  registers ? registers_json(registers) : error_json(why));
	return json;
}

static int cpus_json(struct taking *taking, json_t **ret_json, struct kt_err *reterr)
{
	unsigned int n_cpus = kt_inspect_facts(taking->walk.inspect)->n_cpus;
	struct kt_tasks *tasks = NULL;
	struct kt_runqueues rqs;
	json_t *array = NULL;
	int r = kt_runqueues_init(&rqs, taking->walk.inspect, reterr)
			?: kt_tasks_open(taking->walk.inspect, &tasks, reterr);

	if (r == 0)
		array = json_array();
	for (unsigned int cpu = 0; array && cpu < n_cpus; cpu++)
		(void)json_array_append_new(array, cpu_json(taking, &rqs, tasks, cpu));
	kt_tasks_close(tasks);
	kt_runqueues_deinit(&rqs);
	if (r == 0 && !array)
		r = kt_err_oom(reterr);
	*ret_json = array;
	return r;
}

/* ---- Tasks ---- */

/* The stack of one that runs is that of its CPU. */
static json_t *task_stack_json(struct taking *taking, const struct kt_task *task)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_stack stack;

	if (task->on_cpu)
		return json_null();
	if (!taking->stacks)
		return kt_tree_error(&taking->no_stacks);
	if (kt_stack_of_task(taking->stacks, task->kva, &stack, &err) < 0)
		return kt_tree_error(&err);
	return kt_stack_json(taking->walk.inspect, &stack);
}

static json_t *task_json(struct taking *taking, const struct kt_task *task)
{
	json_t *json = kt_task_json(taking->walk.inspect, task);
	bool waits = task->on_rq && !task->on_cpu && task->has_scx && !strcmp(task->class, "ext");

	if (!json)
		return NULL;
	(void)json_object_set_new(
		json, "runnable_for",
		waits ? json_integer((json_int_t)(taking->jiffies - task->scx.runnable_at))
		      : json_null());
	(void)json_object_set_new(json, "stack", task_stack_json(taking, task));
	return json;
}

static int tasks_json(struct taking *taking, json_t **ret_json, struct kt_err *reterr)
{
	struct kt_tasks *tasks;
	struct kt_task task;
	json_t *array;
	int r = kt_tasks_open(taking->walk.inspect, &tasks, reterr);

	if (r < 0)
		return r;
	array = json_array();
	for (unsigned int n = 0; array; n++) {
		struct kt_err err = KT_ERR_NULL;

		r = kt_tasks_next(tasks, &task, &err);
		if (!r)
			break;
		if (n == taking->walk.limits.tasks || kt_walk_is_late(&taking->walk)) {
			kt_walk_cut(array, 0);
			break;
		}
		(void)json_array_append_new(array,
					    r > 0 ? task_json(taking, &task) : kt_tree_error(&err));
	}
	kt_tasks_close(tasks);
	*ret_json = array;
	return array ? 0 : kt_err_oom(reterr);
}

/* ---- Parts of vmm/inspect/ ---- */

static int kernel_json(struct taking *taking, json_t **ret_json, struct kt_err *reterr)
{
	const struct kt_walk_word *word = kt_walk_word("kernel");

	return word->json(&taking->walk, NULL, ret_json, reterr);
}

static int runqueues_json(struct taking *taking, json_t **ret_json, struct kt_err *reterr)
{
	return kt_runqueues_json(&taking->walk, NULL, ret_json, reterr);
}

static int scx_json(struct taking *taking, json_t **ret_json, struct kt_err *reterr)
{
	return kt_scx_json(&taking->walk, NULL, ret_json, reterr);
}

static int maps_json(struct taking *taking, json_t **ret_json, struct kt_err *reterr)
{
	int r = kt_maps_json(&taking->walk, NULL, ret_json, reterr);

	if (r == 0)
		kt_snapshot_mark_maps(taking->walk.inspect, *ret_json);
	return r;
}

static int programs_json(struct taking *taking, json_t **ret_json, struct kt_err *reterr)
{
	return kt_programs_json(&taking->walk, NULL, ret_json, reterr);
}

static int cpu_time_json(struct taking *taking, json_t **ret_json, struct kt_err *reterr)
{
	return kt_cpu_time_json(&taking->walk, ret_json, reterr);
}

static int nodes_json(struct taking *taking, json_t **ret_json, struct kt_err *reterr)
{
	return kt_nodes_json(&taking->walk, ret_json, reterr);
}

/* ---- All ---- */

static const struct {
	const char *name;
	int (*json)(struct taking *taking, json_t **ret_json, struct kt_err *reterr);
} PARTS[] = {
	{ "kernel", kernel_json }, { "cpus", cpus_json },         { "runqueues", runqueues_json },
	{ "scx", scx_json },       { "tasks", tasks_json },       { "maps", maps_json },
	{ "nodes", nodes_json },   { "cpu_time", cpu_time_json }, { "programs", programs_json },
};

static json_t *begin_report(const struct kt_snapshot_moment *moment)
{
	return json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:o}", "schema", KT_SNAPSHOT_SCHEMA,
			 "version", KT_SNAPSHOT_VERSION, "name", kt_tree_text(moment->name),
			 "reason", kt_tree_text(moment->reason), "elapsed_ns",
			 moment->elapsed_ns >= 0 ? json_integer(moment->elapsed_ns) : json_null(),
			 "step", moment->step >= 0 ? json_integer(moment->step) : json_null(),
			 "vcpu", moment->vcpu >= 0 ? json_integer(moment->vcpu) : json_null());
}

static int add_part(struct taking *taking, size_t i, json_t *report)
{
	struct kt_err err = KT_ERR_NULL;
	json_t *json = NULL;

	if (PARTS[i].json(taking, &json, &err) < 0) {
		json_decref(json);
		json = kt_tree_error(&err);
	}
	return json_object_set_new(report, PARTS[i].name, json);
}

/* It is made of all other parts, so that it is there even if they are left out. */
static int add_story(json_t *report)
{
	const struct kt_story_reports reports = { .at = report };

	return json_object_set_new(report, "story", kt_story_make(&reports));
}

int kt_snapshot_fit(json_t *report, size_t len_max)
{
	size_t len = json_dumpb(report, NULL, 0, JSON_COMPACT);

	for (size_t i = KT_ARRAY_LEN(PARTS); len > len_max && i-- > 1;) {
		if (json_object_set_new(report, PARTS[i].name,
					error_json("left out: the report would be too long")) < 0)
			return -ENOMEM;
		len = json_dumpb(report, NULL, 0, JSON_COMPACT);
	}
	return 0;
}

int kt_snapshot_take(struct kt_inspect *inspect, const struct kt_snapshot_moment *moment,
		     json_t **ret_json, struct kt_err *reterr)
{
	struct taking taking = { .moment = moment, .no_stacks = KT_ERR_NULL };
	json_t *report = begin_report(moment);
	uint64_t symbol;
	int r = report ? 0 : -ENOMEM;

	kt_walk_init(&taking.walk, inspect, &LIMITS);
	if (kt_inspect_has_symbol(inspect, "jiffies_64", &symbol))
		(void)kt_inspect_read_uint(inspect, symbol, 8, &taking.jiffies, NULL);
	(void)kt_stacks_open(inspect, &taking.stacks, &taking.no_stacks);
	for (size_t i = 0; r == 0 && i < KT_ARRAY_LEN(PARTS); i++)
		r = add_part(&taking, i, report);
	kt_stacks_close(taking.stacks);
	r = r ?: add_story(report);
	if (r < 0 || kt_snapshot_fit(report, KT_SNAPSHOT_LEN_MAX) < 0) {
		json_decref(report);
		return kt_err_oom(reterr);
	}
	*ret_json = report;
	return 0;
}

json_t *kt_snapshot_placeholder(const struct kt_snapshot_moment *moment, const char *why)
{
	json_t *report = begin_report(moment);

	if (report)
		(void)json_object_set_new(report, "error", kt_tree_text(why));
	return report;
}
