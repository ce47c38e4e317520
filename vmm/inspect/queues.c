/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/queues.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "util/cleanup.h"
#include "vmm/inspect/chain.h"
#include "vmm/inspect/record.h"
#include "vmm/inspect/scx.h"
#include "vmm/inspect/tasks.h"

/*
 * A queue is a list, also where it is in the order of virtual time: the kernel keeps the list of
 * such a queue in that order, beside a tree. Nodes in the list that are no tasks are cursors of
 * BPF programs that iterate over it.
 */

#define NODES_MAX 1024u /* NUMA nodes */
#define LIST_MAX  65536u
#define NAME_LEN  64u

enum { ID, NR, SEQ, LIST, N_FIELDS };

static const struct kt_record_field FIELDS[N_FIELDS] = {
	[ID] = { { "id" } },
	[NR] = { { "nr" } },
	[SEQ] = { { "seq" }, true },
	[LIST] = { { "list" } },
};

struct collection {
	const struct kt_walk *walk;
	struct kt_inspect *inspect; /* of @walk */
	struct kt_record record;
	struct kt_scx_queue *queues;
	size_t n, room;
};

const char *kt_scx_queue_kind(enum kt_scx_queue_kind kind)
{
	static const char *const NAMES[] = { [KT_SCX_LOCAL] = "local",
					     [KT_SCX_BYPASS] = "bypass",
					     [KT_SCX_REJECT] = "reject",
					     [KT_SCX_GLOBAL] = "global",
					     [KT_SCX_USER] = "user" };

	return NAMES[kind];
}

static int make_room(struct collection *to, struct kt_err *reterr)
{
	struct kt_scx_queue *queues;

	if (to->n < to->room)
		return 0;
	if (to->room >= KT_SCX_QUEUES_MAX)
		return kt_err_set(reterr, -ELOOP, "there are more than %u dispatch queues",
				  KT_SCX_QUEUES_MAX);
	to->room = to->room ? to->room * 2 : 64;
	queues = reallocarray(to->queues, to->room, sizeof(*queues));
	if (!queues)
		return kt_err_oom(reterr);
	to->queues = queues;
	return 0;
}

/* Adds the queue at template->kva. */
static int add_queue(struct collection *to, const struct kt_scx_queue *template,
		     struct kt_err *reterr)
{
	struct kt_scx_queue *queue;
	int r;

	if (kt_walk_is_late(to->walk))
		return kt_err_set(reterr, -ETIMEDOUT, "the time is up after %zu dispatch queues",
				  to->n);
	r = make_room(to, reterr) ?: kt_record_read(&to->record, template->kva, reterr);
	if (r < 0)
		return r;
	queue = &to->queues[to->n++];
	*queue = *template;
	queue->id = kt_record_get(&to->record, ID);
	queue->nr = (uint32_t)kt_record_get(&to->record, NR);
	queue->seq = (uint32_t)kt_record_get(&to->record, SEQ);
	return 0;
}

/* A queue that each struct rq has. */
static int add_of_cpus(struct collection *to, const char *member_name, enum kt_scx_queue_kind kind,
		       struct kt_err *reterr)
{
	unsigned int n_cpus = kt_inspect_facts(to->inspect)->n_cpus;
	struct kt_member member;
	uint64_t runqueues, kva;
	int r;

	if (!kt_inspect_has_member(to->inspect, "struct rq", member_name, &member))
		return 0;
	r = kt_inspect_symbol(to->inspect, "runqueues", &runqueues, reterr);
	for (unsigned int cpu = 0; r == 0 && cpu < n_cpus; cpu++) {
		struct kt_scx_queue queue = { .kind = kind, .cpu = (int)cpu, .node = -1 };

		r = kt_inspect_per_cpu(to->inspect, runqueues, cpu, &kva, reterr);
		queue.kva = kva + member.offset;
		if (r == 0)
			r = add_queue(to, &queue, reterr);
		if (r < 0)
			r = kt_err_prefix(reterr, r, "runqueues[cpu %u].%s", cpu, member_name);
	}
	return r;
}

/* Bypass queues that each scheduler has for each CPU, from Linux 7.1 on. */
static int add_bypass(struct collection *to, uint64_t sched, struct kt_err *reterr)
{
	unsigned int n_cpus = kt_inspect_facts(to->inspect)->n_cpus;
	struct kt_member pcpu, member;
	uint64_t pointer, kva;
	int r;

	if (!kt_inspect_has_member(to->inspect, "struct scx_sched", "pcpu", &pcpu) ||
	    !kt_inspect_has_member(to->inspect, "struct scx_sched_pcpu", "bypass_dsq", &member))
		return 0;
	r = kt_inspect_read_uint(to->inspect, sched + pcpu.offset, 8, &pointer, reterr);
	for (unsigned int cpu = 0; r == 0 && cpu < n_cpus; cpu++) {
		struct kt_scx_queue queue = {
			.kind = KT_SCX_BYPASS, .cpu = (int)cpu, .node = -1, .sched = sched
		};

		r = kt_inspect_per_cpu(to->inspect, pointer, cpu, &kva, reterr);
		queue.kva = kva + member.offset;
		if (r == 0)
			r = add_queue(to, &queue, reterr);
		if (r < 0)
			r = kt_err_prefix(reterr, r, "pcpu[cpu %u].bypass_dsq", cpu);
	}
	return r;
}

/* One queue for each NUMA node: by a pointer to it, or in a struct of the node. */
static int add_global(struct collection *to, uint64_t sched, struct kt_err *reterr)
{
	struct kt_member array, member = { .offset = 0 };
	uint64_t nodes = 1, symbol, pointers, pointer;
	int r;

	if (!kt_inspect_has_member(to->inspect, "struct scx_sched", "global_dsqs", &array) &&
	    (!kt_inspect_has_member(to->inspect, "struct scx_sched", "pnode", &array) ||
	     !kt_inspect_has_member(to->inspect, "struct scx_sched_pnode", "global_dsq", &member)))
		return 0;
	if (kt_inspect_has_symbol(to->inspect, "nr_node_ids", &symbol))
		(void)kt_inspect_read_uint(to->inspect, symbol, 4, &nodes, NULL);
	if (!nodes || nodes > NODES_MAX)
		return kt_err_set(reterr, -EPROTO, "nr_node_ids is %" PRIu64, nodes);
	r = kt_inspect_read_uint(to->inspect, sched + array.offset, 8, &pointers, reterr);
	for (unsigned int node = 0; r == 0 && node < nodes; node++) {
		struct kt_scx_queue queue = {
			.kind = KT_SCX_GLOBAL, .cpu = -1, .node = (int)node, .sched = sched
		};

		r = kt_inspect_read_uint(to->inspect, pointers + node * UINT64_C(8), 8, &pointer,
					 reterr);
		if (r == 0 && !pointer)
			continue;
		queue.kva = pointer + member.offset;
		if (r == 0)
			r = add_queue(to, &queue, reterr);
	}
	return r < 0 ? kt_err_prefix(reterr, r, "global queues") : 0;
}

static int add_user(struct collection *to, uint64_t sched, struct kt_err *reterr)
{
	struct kt_member hash_member, node;
	struct kt_rhash hash;
	uint64_t kva, at;
	int r;

	if (!kt_inspect_has_member(to->inspect, "struct scx_sched", "dsq_hash", &hash_member))
		return 0;
	r = kt_inspect_member(to->inspect, "struct scx_dispatch_q", "hash_node", &node, reterr);
	kva = sched + hash_member.offset;
	if (r == 0)
		r = kt_rhash_begin(&hash, to->inspect, kva, KT_SCX_QUEUES_MAX, "dsq_hash", reterr);
	while (r == 0 && (r = kt_rhash_next(&hash, &at, reterr)) > 0) {
		struct kt_scx_queue queue = { .kind = KT_SCX_USER,
					      .kva = at - node.offset,
					      .cpu = -1,
					      .node = -1,
					      .sched = sched };

		r = add_queue(to, &queue, reterr);
	}
	return r;
}

static int add_of_scheds(struct collection *to, struct kt_err *reterr)
{
	KT_FREE struct kt_scx_sched *scheds = NULL;
	size_t n = 0;
	int r = kt_scx_scheds(to->inspect, &scheds, &n, reterr);

	for (size_t i = 0; r == 0 && i < n; i++) {
		r = add_bypass(to, scheds[i].kva, reterr) ?:
			add_global(to, scheds[i].kva, reterr) ?:
			add_user(to, scheds[i].kva, reterr);
		if (r < 0)
			r = kt_err_prefix(reterr, r, "scheduler '%s'", scheds[i].name);
	}
	return r;
}

int kt_scx_queues(const struct kt_walk *walk, struct kt_scx_queue **ret_queues, size_t *ret_n,
		  struct kt_err *reterr)
{
	struct collection to = { .walk = walk, .inspect = walk->inspect, .record = KT_RECORD_NULL };
	int r = kt_record_init(&to.record, to.inspect, "struct scx_dispatch_q", FIELDS, N_FIELDS,
			       reterr) ?:
		add_of_cpus(&to, "scx.local_dsq", KT_SCX_LOCAL, reterr) ?:
		add_of_cpus(&to, "scx.bypass_dsq", KT_SCX_BYPASS, reterr) ?:
		add_of_cpus(&to, "scx.reject_dsq", KT_SCX_REJECT, reterr) ?:
		add_of_scheds(&to, reterr);

	kt_record_deinit(&to.record);
	*ret_queues = to.queues;
	*ret_n = to.n;
	return r;
}

/* ---- Tasks ---- */

struct node_offsets {
	struct kt_member list;  /* in struct scx_dispatch_q */
	struct kt_member node;  /* in struct task_struct */
	struct kt_member flags; /* from there on */
	int64_t cursor;         /* the flag of a node that is no task */
};

static int find_nodes(struct kt_inspect *inspect, struct node_offsets *ret, struct kt_err *reterr)
{
	struct kt_member node, flags;
	int r = kt_inspect_member(inspect, "struct scx_dispatch_q", "list", &ret->list, reterr) ?:
		kt_inspect_member(inspect, "struct task_struct", "scx.dsq_list.node", &ret->node,
				  reterr) ?:
		kt_inspect_member(inspect, "struct scx_dsq_list_node", "node", &node, reterr) ?:
		kt_inspect_member(inspect, "struct scx_dsq_list_node", "flags", &flags, reterr) ?:
		kt_inspect_enumerator(inspect, "SCX_DSQ_LNODE_ITER_CURSOR", &ret->cursor, reterr);

	if (r < 0)
		return r;
	ret->flags = flags;
	ret->flags.offset = flags.offset - node.offset;
	return 0;
}

int kt_scx_queue_tasks(struct kt_inspect *inspect, const struct kt_scx_queue *queue, size_t max,
		       kt_scx_task_fn fn, void *data, struct kt_err *reterr)
{
	struct node_offsets offsets;
	struct kt_chain chain;
	uint64_t node, flags;
	char name[NAME_LEN];
	size_t n = 0;
	int r;

	(void)snprintf(name, sizeof(name), "dispatch queue 0x%" PRIx64, queue->id);
	r = find_nodes(inspect, &offsets, reterr)
		    ?: kt_chain_begin(&chain, inspect, KT_CHAIN_LIST,
				      queue->kva + offsets.list.offset, LIST_MAX, name, reterr);
	while (r == 0 && n < max && (r = kt_chain_next(&chain, &node, reterr)) > 0) {
		r = kt_inspect_read_uint(inspect, node + offsets.flags.offset, 4, &flags, reterr);
		if (r < 0 || flags & (uint64_t)offsets.cursor)
			continue;
		n++;
		r = fn(data, node - offsets.node.offset, reterr);
	}
	return r;
}

/* ---- JSON ---- */

struct task_list {
	struct kt_tasks *tasks;
	json_t *array;
};

static int add_task(void *data, uint64_t kva, struct kt_err *reterr)
{
	struct task_list *list = data;
	struct kt_task task;
	int r = kt_tasks_read(list->tasks, kva, &task, reterr);

	if (r < 0)
		return r;
	return json_array_append_new(list->array,
				     json_pack("{s:I, s:o, s:o, s:o}", "pid", (json_int_t)task.pid,
					       "comm", kt_tree_text(task.comm), "dsq_vtime",
					       kt_tree_unsigned(task.scx.dsq_vtime), "slice",
					       kt_tree_unsigned(task.scx.slice))) < 0
		       ? kt_err_oom(reterr)
		       : 0;
}

static json_t *queue_tasks_json(struct kt_walk *walk, struct kt_tasks *tasks,
				const struct kt_scx_queue *queue)
{
	struct task_list list = { .tasks = tasks, .array = json_array() };
	struct kt_err err = KT_ERR_NULL;
	size_t max = walk->limits.queued;

	if (!list.array)
		return NULL;
	if (kt_scx_queue_tasks(walk->inspect, queue, max, add_task, &list, &err) < 0)
		(void)json_array_append_new(list.array, kt_tree_error(&err));
	else if (json_array_size(list.array) == max && queue->nr > max)
		kt_walk_cut(list.array, queue->nr - max);
	return list.array;
}

/* The enumerator of an id that is built in, or the id. */
static json_t *id_json(struct kt_inspect *inspect, const struct kt_scx_queue *queue)
{
	const char *name = queue->kind == KT_SCX_USER
				   ? NULL
				   : kt_inspect_enum_name(inspect, "enum scx_dsq_id_flags",
							  (int64_t)queue->id);

	/* SCX_DSQ_INVALID and SCX_DSQ_FLAG_BUILTIN are the same. */
	return name ? kt_tree_text(name) : kt_tree_unsigned(queue->id);
}

static json_t *queue_json(struct kt_walk *walk, struct kt_tasks *tasks,
			  const struct kt_scx_queue *queue)
{
	json_t *json =
		json_pack("{s:s, s:o, s:I, s:I, s:o}", "kind", kt_scx_queue_kind(queue->kind), "id",
			  id_json(walk->inspect, queue), "nr", (json_int_t)queue->nr, "seq",
			  (json_int_t)queue->seq, "address", kt_tree_address(queue->kva));

	if (!json)
		return NULL;
	if (queue->cpu >= 0)
		(void)json_object_set_new(json, "cpu", json_integer(queue->cpu));
	if (queue->node >= 0)
		(void)json_object_set_new(json, "node", json_integer(queue->node));
	if (queue->sched)
		(void)json_object_set_new(json, "sched", kt_tree_address(queue->sched));
	(void)json_object_set_new(json, "tasks", queue_tasks_json(walk, tasks, queue));
	return json;
}

static json_t *queues_json(struct kt_walk *walk, struct kt_tasks *tasks,
			   const struct kt_scx_queue *queues, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++) {
		if (i == walk->limits.queues || kt_walk_is_late(walk)) {
			kt_walk_cut(array, n - i);
			break;
		}
		(void)json_array_append_new(array, queue_json(walk, tasks, &queues[i]));
	}
	return array;
}

int kt_scx_queues_json(struct kt_walk *walk, json_t **ret_json, struct kt_err *reterr)
{
	KT_FREE struct kt_scx_queue *queues = NULL;
	struct kt_tasks *tasks = NULL;
	struct kt_err err = KT_ERR_NULL;
	json_t *array = NULL;
	size_t n = 0;
	int bad = kt_scx_queues(walk, &queues, &n, &err);
	int r = kt_tasks_open(walk->inspect, &tasks, reterr);

	if (r == 0) {
		/* When the time is up, none is shown, and how many there are is not known. */
		array = queues_json(walk, tasks, queues, bad == -ETIMEDOUT ? 0 : n);
		r = array ? 0 : kt_err_oom(reterr);
	}
	kt_tasks_close(tasks);
	if (r < 0)
		return r;
	if (bad == -ETIMEDOUT)
		kt_walk_cut(array, 0);
	else if (bad < 0)
		(void)json_array_append_new(array, kt_tree_error(&err));
	*ret_json = array;
	return 0;
}
