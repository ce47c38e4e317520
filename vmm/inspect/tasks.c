/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/tasks.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/record.h"
#include "vmm/inspect/types.h"

/*
 * The ids lead to the tasks: init_pid_ns, its IDR, struct pid, and the node by which the task hangs
 * on it. That reads each thread once and needs no list of the guest to end, unlike a walk along
 * init_task.tasks.
 */

enum {
	COMM,
	PID,
	TGID,
	STATE,
	EXIT_STATE,
	CPU,
	ON_CPU,
	ON_RQ,
	POLICY,
	PRIO,
	CLASS,
	EXEC,
	NVCSW,
	NIVCSW,
	CPUS,
	SCX_FLAGS,
	SCX_DSQ,
	SCX_SCHED,
	SCX_SLICE,
	SCX_VTIME,
	SCX_WEIGHT,
	SCX_STICKY,
	SCX_HOLDING,
	SCX_SELECTED,
	SCX_OPS_STATE,
	SCX_RUNNABLE_AT,
	N_FIELDS
};

static const struct kt_record_field FIELDS[N_FIELDS] = {
	[COMM] = { { "comm" } },
	[PID] = { { "pid" } },
	[TGID] = { { "tgid" }, true },
	[STATE] = { { "__state", "state" }, true },
	[EXIT_STATE] = { { "exit_state" }, true },
	[CPU] = { { "thread_info.cpu", "cpu" }, true },
	[ON_CPU] = { { "on_cpu" }, true },
	[ON_RQ] = { { "on_rq" }, true },
	[POLICY] = { { "policy" }, true },
	[PRIO] = { { "prio" }, true },
	[CLASS] = { { "sched_class" }, true },
	[EXEC] = { { "se.sum_exec_runtime" }, true },
	[NVCSW] = { { "nvcsw" }, true },
	[NIVCSW] = { { "nivcsw" }, true },
	[CPUS] = { { "cpus_mask.bits[0]" }, true },
	[SCX_FLAGS] = { { "scx.flags" }, true },
	[SCX_DSQ] = { { "scx.dsq" }, true },
	[SCX_SCHED] = { { "scx.sched" }, true },
	[SCX_SLICE] = { { "scx.slice" }, true },
	[SCX_VTIME] = { { "scx.dsq_vtime" }, true },
	[SCX_WEIGHT] = { { "scx.weight" }, true },
	[SCX_STICKY] = { { "scx.sticky_cpu" }, true },
	[SCX_HOLDING] = { { "scx.holding_cpu" }, true },
	[SCX_SELECTED] = { { "scx.selected_cpu" }, true },
	[SCX_OPS_STATE] = { { "scx.ops_state" }, true },
	[SCX_RUNNABLE_AT] = { { "scx.runnable_at" }, true },
};

/* Where sched_ext's state of a task is in its flags (research: it moved in Linux 7.1). */
struct scx_state {
	uint64_t mask;
	unsigned int shift;
	bool apart; /* the states have an enum of their own, of numbers from 0 on */
	uint64_t opss_mask;
};

struct kt_tasks {
	struct kt_inspect *inspect;
	struct kt_record record;
	struct scx_state scx;
	uint64_t ids;        /* the xarray */
	uint32_t pid_tasks;  /* offset of tasks[PIDTYPE_PID].first in struct pid */
	uint32_t task_links; /* offset of pid_links[PIDTYPE_PID] in struct task_struct */
	uint64_t next;       /* id */
	bool ended;
};

static void find_scx_state(struct kt_tasks *tasks)
{
	int64_t mask = 0, shift = 0, qseq = 2;
	uint32_t id;

	(void)kt_inspect_has_enumerator(tasks->inspect, "SCX_TASK_STATE_MASK", &mask);
	(void)kt_inspect_has_enumerator(tasks->inspect, "SCX_TASK_STATE_SHIFT", &shift);
	(void)kt_inspect_has_enumerator(tasks->inspect, "SCX_OPSS_QSEQ_SHIFT", &qseq);
	tasks->scx.mask = (uint64_t)mask;
	tasks->scx.shift = (unsigned int)shift & 63;
	tasks->scx.opss_mask = (UINT64_C(1) << (qseq & 63)) - 1;
	tasks->scx.apart = kt_inspect_type(tasks->inspect, "enum scx_task_state", &id, NULL) == 0;
}

static int find_ids(struct kt_tasks *tasks, struct kt_err *reterr)
{
	struct kt_inspect *inspect = tasks->inspect;
	struct kt_member idr, first, links;
	uint64_t ns;
	int r = kt_inspect_member(inspect, "struct pid_namespace", "idr.idr_rt", &idr, reterr) ?:
		kt_inspect_member(inspect, "struct pid", "tasks[0].first", &first, reterr) ?:
		kt_inspect_member(inspect, "struct task_struct", "pid_links[0]", &links, reterr) ?:
		kt_inspect_symbol(inspect, "init_pid_ns", &ns, reterr);

	if (r < 0)
		return r;
	tasks->ids = ns + idr.offset;
	tasks->pid_tasks = first.offset;
	tasks->task_links = links.offset;
	return 0;
}

int kt_tasks_open(struct kt_inspect *inspect, struct kt_tasks **ret_tasks, struct kt_err *reterr)
{
	struct kt_tasks *tasks = calloc(1, sizeof(*tasks));
	int r;

	if (!tasks)
		return kt_err_oom(reterr);
	tasks->inspect = inspect;
	r = kt_record_init(&tasks->record, inspect, "struct task_struct", FIELDS, N_FIELDS, reterr)
		    ?: find_ids(tasks, reterr);
	if (r < 0) {
		kt_tasks_close(tasks);
		return kt_err_prefix(reterr, r, "tasks");
	}
	find_scx_state(tasks);
	*ret_tasks = tasks;
	return 0;
}

struct kt_tasks *kt_tasks_close(struct kt_tasks *tasks)
{
	if (tasks)
		kt_record_deinit(&tasks->record);
	free(tasks);
	return NULL;
}

/*
 * The letter of a state. Bits and order are those of task_state_index() in include/linux/sched.h.
 */
static char state_letter(uint64_t state, uint64_t exit_state)
{
	static const char LETTERS[] = "RSDTtXZPI";
	const uint64_t IDLE = 0x402, RTLOCK_WAIT = 0x1000, FROZEN = 0x8000, REPORT = 0x7f;
	uint64_t bits = (state | exit_state) & REPORT;

	if ((state & IDLE) == IDLE)
		return 'I';
	if (state & (RTLOCK_WAIT | FROZEN))
		return 'D';
	return LETTERS[bits ? 64 - __builtin_clzll(bits) : 0];
}

/* "fair" of fair_sched_class. */
static void read_class(struct kt_tasks *tasks, uint64_t kva, char class[16])
{
	uint64_t offset = 0;
	const char *name = kva ? kt_inspect_symbol_at(tasks->inspect, kva, &offset) : NULL;
	const char *end = name ? strstr(name, "_sched_class") : NULL;

	class[0] = 0;
	if (end && !offset && end - name < 16) {
		memcpy(class, name, (size_t)(end - name));
		class[end - name] = 0;
	}
}

static const char *scx_state_name(struct kt_tasks *tasks, uint64_t flags)
{
	uint64_t state = flags & tasks->scx.mask;

	if (!tasks->scx.mask)
		return NULL;
	return tasks->scx.apart
		       ? kt_inspect_enum_name(tasks->inspect, "enum scx_task_state",
					      (int64_t)(state >> tasks->scx.shift))
		       : kt_inspect_enum_name(tasks->inspect, "enum scx_ent_flags", (int64_t)state);
}

static void fill_scx(struct kt_tasks *tasks, struct kt_task_scx *scx)
{
	const struct kt_record *record = &tasks->record;

	*scx = (struct kt_task_scx){
		.flags = (uint32_t)kt_record_get(record, SCX_FLAGS),
		.dsq = kt_record_get(record, SCX_DSQ),
		.sched = kt_record_get(record, SCX_SCHED),
		.slice = kt_record_get(record, SCX_SLICE),
		.dsq_vtime = kt_record_get(record, SCX_VTIME),
		.weight = (uint32_t)kt_record_get(record, SCX_WEIGHT),
		.sticky_cpu = (int32_t)kt_record_get(record, SCX_STICKY),
		.holding_cpu = (int32_t)kt_record_get(record, SCX_HOLDING),
		.selected_cpu = (int32_t)kt_record_get(record, SCX_SELECTED),
		.runnable_at = kt_record_get(record, SCX_RUNNABLE_AT),
	};
	scx->state = scx_state_name(tasks, scx->flags);
	scx->ops_state = kt_inspect_enum_name(
		tasks->inspect, "enum scx_ops_state",
		(int64_t)(kt_record_get(record, SCX_OPS_STATE) & tasks->scx.opss_mask));
}

int kt_tasks_read(struct kt_tasks *tasks, uint64_t kva, struct kt_task *ret_task,
		  struct kt_err *reterr)
{
	const struct kt_record *record = &tasks->record;
	int r = kt_record_read(&tasks->record, kva, reterr);

	if (r < 0)
		return r;
	*ret_task = (struct kt_task){
		.kva = kva,
		.pid = (uint32_t)kt_record_get(record, PID),
		.tgid = (uint32_t)kt_record_get(record, TGID),
		.state = state_letter(kt_record_get(record, STATE),
				      kt_record_get(record, EXIT_STATE)),
		.on_cpu = kt_record_get(record, ON_CPU),
		.on_rq = kt_record_get(record, ON_RQ),
		.cpu = (uint32_t)kt_record_get(record, CPU),
		.policy = (uint32_t)kt_record_get(record, POLICY),
		.prio = (int32_t)kt_record_get(record, PRIO),
		.exec_ns = kt_record_get(record, EXEC),
		.switches = kt_record_get(record, NVCSW) + kt_record_get(record, NIVCSW),
		.cpus = kt_record_get(record, CPUS),
		.has_scx = kt_record_has(record, SCX_FLAGS),
	};
	(void)kt_record_text(record, COMM, ret_task->comm, sizeof(ret_task->comm));
	read_class(tasks, kt_record_get(record, CLASS), ret_task->class);
	if (ret_task->has_scx)
		fill_scx(tasks, &ret_task->scx);
	return 0;
}

/* Reads the task of the id that *@kva, a struct pid, is of. 0: it has none, as one of a session. */
static int read_thread(struct kt_tasks *tasks, uint64_t kva, struct kt_task *ret_task,
		       struct kt_err *reterr)
{
	uint64_t node;
	int r = kt_inspect_read_uint(tasks->inspect, kva + tasks->pid_tasks, 8, &node, reterr);

	if (r < 0 || !node)
		return r;
	r = kt_tasks_read(tasks, node - tasks->task_links, ret_task, reterr);
	return r < 0 ? r : 1;
}

int kt_tasks_next(struct kt_tasks *tasks, struct kt_task *ret_task, struct kt_err *reterr)
{
	while (!tasks->ended) {
		uint64_t id = tasks->next, kva;
		int r = kt_inspect_xa_next(tasks->inspect, tasks->ids, &id, &kva, reterr);

		if (r < 0)
			tasks->ended = true;
		if (r == -ENXIO)
			return 0;
		if (r < 0)
			return kt_err_prefix(reterr, -ENODEV, "init_pid_ns.idr");
		tasks->next = id + 1;
		r = read_thread(tasks, kva, ret_task, reterr);
		if (r < 0)
			return kt_err_prefix(reterr, r == -ENODEV ? -EFAULT : r, "task %" PRIu64,
					     id);
		if (r > 0)
			return 1;
	}
	return 0;
}

/* ---- JSON ---- */

/*
 * Policies have names in the kernel's headers, but not in its types (include/uapi/linux/sched.h).
 */
static const char *policy_name(uint32_t policy)
{
	static const char *const NAMES[] = { "normal", "fifo", "rr",       "batch",
					     NULL,     "idle", "deadline", "ext" };

	return policy < KT_ARRAY_LEN(NAMES) ? NAMES[policy] : NULL;
}

static json_t *scx_json(struct kt_inspect *inspect, const struct kt_task_scx *scx)
{
	return json_pack("{s:s?, s:o, s:i, s:o, s:o, s:o, s:o, s:i, s:i, s:i, s:i, s:s?, s:o}",
			 "state", scx->state, "flags",
			 kt_tree_flags(inspect, "enum scx_ent_flags", scx->flags), "raw_flags",
			 (int)scx->flags, "dsq", scx->dsq ? kt_tree_address(scx->dsq) : json_null(),
			 "sched", scx->sched ? kt_tree_address(scx->sched) : json_null(), "slice",
			 kt_tree_unsigned(scx->slice), "dsq_vtime",
			 kt_tree_unsigned(scx->dsq_vtime), "weight", (int)scx->weight, "sticky_cpu",
			 scx->sticky_cpu, "holding_cpu", scx->holding_cpu, "selected_cpu",
			 scx->selected_cpu, "ops_state", scx->ops_state, "runnable_at",
			 kt_tree_unsigned(scx->runnable_at));
}

json_t *kt_task_json(struct kt_inspect *inspect, const struct kt_task *task)
{
	return json_pack(
		"{s:I, s:I, s:o, s:s%, s:I, s:b, s:b, s:o, s:s, s:i, s:o, s:o, s:o, s:o, "
		"s:o*}",
		"pid", (json_int_t)task->pid, "tgid", (json_int_t)task->tgid, "comm",
		kt_tree_text(task->comm), "state", &task->state, (size_t)1, "cpu",
		(json_int_t)task->cpu, "on_cpu", task->on_cpu, "on_rq", task->on_rq, "policy",
		policy_name(task->policy) ? json_string(policy_name(task->policy))
					  : json_integer(task->policy),
		"class", task->class, "prio", task->prio, "exec_ns",
		kt_tree_unsigned(task->exec_ns), "switches", kt_tree_unsigned(task->switches),
		"cpus", task->cpus ? kt_tree_address(task->cpus) : json_null(), "address",
		kt_tree_address(task->kva), "scx",
		task->has_scx ? scx_json(inspect, &task->scx) : NULL);
}

/* What is shown, and the one that it has come to. */
struct listing {
	struct kt_tasks *tasks;
	struct kt_task task;
};

static int next_task(void *data, struct kt_err *reterr)
{
	struct listing *listing = data;

	return kt_tasks_next(listing->tasks, &listing->task, reterr);
}

static json_t *listed_json(struct kt_walk *walk, void *data)
{
	return kt_task_json(walk->inspect, &((struct listing *)data)->task);
}

int kt_tasks_json(struct kt_walk *walk, const char *unused, json_t **ret_json,
		  struct kt_err *reterr)
{
	struct listing listing;
	const struct kt_walk_source source = { next_task, listed_json, &listing };
	json_t *array;
	int r = kt_tasks_open(walk->inspect, &listing.tasks, reterr);

	(void)unused;
	if (r < 0)
		return r;
	array = kt_walk_array(walk, &source, walk->limits.tasks);
	kt_tasks_close(listing.tasks);
	if (!array)
		return kt_err_oom(reterr);
	*ret_json = array;
	return 0;
}
