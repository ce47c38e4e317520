/* SPDX-License-Identifier: MIT */
#include "tests/walk_kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * The types first, which tiny_kernel.c writes into the image; the objects when it is there. What
 * symbols lead to is written into the variables that tiny_kernel.c makes.
 */

#define NODE_LEN (8u + 64u * 8u)
#define SLOTS    8u /* offset of the slots of a node */
#define XA_HEAD  8u
#define PER_CPU  512u /* of data behind the run queue in the memory of a CPU */

static const char *const VARIABLES[] = {
	"map_idr",
	"prog_idr",
	"scx_sched_all",
	"nr_node_ids",
	"ext_sched_class",
	"fair_sched_class",
	"scx_enable_state_var",
	"scx_watchdog_timestamp",
	"scx_watchdog_work",
	NULL,
};

#define AT(type, member) offsetof(struct walk_##type, member)

/* ---- Types ---- */

struct field {
	const char *name;
	int type;
	size_t offset;
	size_t size; /* 0: that of the type */
};

struct types {
	struct btf *btf;
	int u8, u32, u64, text16, text32, pointer, list, links, array;
};

static int add_struct(struct types *types, const char *name, size_t size,
		      const struct field *fields, size_t n)
{
	int id = btf__add_struct(types->btf, name, (uint32_t)size);

	for (size_t i = 0; i < n; i++)
		(void)btf__add_field(types->btf, fields[i].name, fields[i].type,
				     (uint32_t)fields[i].offset * 8, 0);
	return id;
}

#define STRUCT(types, name, size, ...)                                                             \
	add_struct(types, name, size, (const struct field[]){ __VA_ARGS__ },                       \
		   sizeof((const struct field[]){ __VA_ARGS__ }) / sizeof(struct field))

static void add_enum(struct types *types, const char *name, const char *const *names,
		     const int64_t *values, size_t n)
{
	(void)btf__add_enum(types->btf, name, 4);
	for (size_t i = 0; i < n; i++)
		(void)btf__add_enum_value(types->btf, names[i], values[i]);
}

#define ENUM(types, name, n, values, ...)                                                          \
	add_enum(types, name, (const char *const[]){ __VA_ARGS__ }, (const int64_t[])values, n)
#define LIST(...)                                                                                  \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}

static void add_base(struct types *types)
{
	struct btf *btf = types->btf;
	int node;

	types->u8 = btf__add_int(btf, "unsigned char", 1, 0);
	types->u32 = btf__add_int(btf, "unsigned int", 4, 0);
	types->u64 = btf__add_int(btf, "long unsigned int", 8, 0);
	(void)btf__add_typedef(btf, "u64", types->u64); /* that of jiffies_64 */
	types->pointer = btf__add_ptr(btf, 0);
	types->text16 =
		btf__add_array(btf, types->u32, btf__add_int(btf, "char", 1, BTF_INT_SIGNED), 16);
	types->text32 = btf__add_array(btf, types->u32, btf__find_by_name(btf, "char"), 32);
	types->array = btf__add_array(btf, types->u32, types->u64, 0);
	types->list = STRUCT(types, "list_head", 16, { "next", types->pointer, 0 },
			     { "prev", types->pointer, 8 });
	node = STRUCT(types, "hlist_node", 16, { "next", types->pointer, 0 });
	types->links = btf__add_array(btf, types->u32, node, 2);
}

/* Until Linux 7.0, the states of a task have an enum of their own, of numbers from 0 on. */
static void add_states(struct types *types, enum walk_form form)
{
	if (form == WALK_OLD) {
		ENUM(types, "scx_ent_flags", 4, LIST(1, 8, 8, 0x300), "SCX_TASK_QUEUED",
		     "SCX_TASK_DEQD_FOR_SLEEP", "SCX_TASK_STATE_SHIFT", "SCX_TASK_STATE_MASK");
		ENUM(types, "scx_task_state", 4, LIST(0, 1, 2, 3), "SCX_TASK_NONE", "SCX_TASK_INIT",
		     "SCX_TASK_READY", "SCX_TASK_ENABLED");
		return;
	}
	ENUM(types, "scx_ent_flags", 6, LIST(1, 8, 8, 0x700, 0, 0x400), "SCX_TASK_QUEUED",
	     "SCX_TASK_DEQD_FOR_SLEEP", "SCX_TASK_STATE_SHIFT", "SCX_TASK_STATE_MASK",
	     "SCX_TASK_NONE", "SCX_TASK_ENABLED");
}

static void add_enums(struct types *types)
{
	ENUM(types, "scx_exit_kind", 3, LIST(0, 1, 1024), "SCX_EXIT_NONE", "SCX_EXIT_DONE",
	     "SCX_EXIT_ERROR");
	ENUM(types, "work_flags", 2, LIST(1, 4), "WORK_STRUCT_PENDING", "WORK_STRUCT_PWQ");
	ENUM(types, "scx_ops_state", 3, LIST(0, 2, 2), "SCX_OPSS_NONE", "SCX_OPSS_QUEUED",
	     "SCX_OPSS_QSEQ_SHIFT");
	ENUM(types, "scx_dsq_lnode_flags", 1, LIST(1), "SCX_DSQ_LNODE_ITER_CURSOR");
	ENUM(types, "scx_rq_flags", 2, LIST(1, 32), "SCX_RQ_ONLINE", "SCX_RQ_CLK_VALID");
	ENUM(types, "scx_enable_state", 2, LIST(0, 1), "SCX_ENABLING", "SCX_ENABLED");
}

static void add_trees(struct types *types)
{
	int slots = btf__add_array(types->btf, types->u32, types->pointer, 64), xarray, idr, pids;

	xarray = STRUCT(types, "xarray", 16, { "xa_head", types->pointer, XA_HEAD });
	(void)STRUCT(types, "xa_node", NODE_LEN, { "shift", types->u8, 0 },
		     { "slots", slots, SLOTS });
	idr = STRUCT(types, "idr", 16, { "idr_rt", xarray, 0 });
	(void)STRUCT(types, "pid_namespace", 24, { "idr", idr, 8 });
	pids = STRUCT(types, "hlist_head", 8, { "first", types->pointer, 0 });
	(void)STRUCT(types, "pid", 24,
		     { "tasks", btf__add_array(types->btf, types->u32, pids, 2), 8 });
	(void)STRUCT(types, "rhashtable", 8, { "tbl", types->pointer, 0 });
	(void)STRUCT(types, "bucket_table", sizeof(struct walk_table),
		     { "size", types->u32, offsetof(struct walk_table, size) },
		     { "nest", types->u32, offsetof(struct walk_table, nest) },
		     { "future_tbl", types->pointer, offsetof(struct walk_table, future) },
		     { "buckets", types->array, offsetof(struct walk_table, buckets) });
}

static void add_tasks(struct types *types, enum walk_form form)
{
	int node, scx;

	node = STRUCT(types, "scx_dsq_list_node", 24, { "node", types->list, 0 },
		      { "flags", types->u32, 16 }, { "priv", types->u32, 20 });
	scx = STRUCT(types, "sched_ext_entity", sizeof(struct walk_scx_entity),
		     { "flags", types->u32, AT(scx_entity, flags) },
		     { "weight", types->u32, AT(scx_entity, weight) },
		     { "dsq", types->pointer, AT(scx_entity, dsq) },
		     { "slice", types->u64, AT(scx_entity, slice) },
		     { "dsq_vtime", types->u64, AT(scx_entity, dsq_vtime) },
		     { "ops_state", types->u64, AT(scx_entity, ops_state) },
		     { "dsq_list", node, AT(scx_entity, node) },
		     { "runnable_node", types->list, AT(scx_entity, runnable_node) },
		     { "runnable_at", types->u64, AT(scx_entity, runnable_at) });
	if (form != WALK_OLD)
		(void)btf__add_field(types->btf, "sched", types->pointer, AT(scx_entity, sched) * 8,
				     0);
	(void)STRUCT(types, "task_struct", sizeof(struct walk_task),
		     { "pid", types->u32, AT(task, pid) }, { "tgid", types->u32, AT(task, tgid) },
		     { "comm", types->text16, AT(task, comm) },
		     { "__state", types->u32, AT(task, state) },
		     { "exit_state", types->u32, AT(task, exit_state) },
		     { "policy", types->u32, AT(task, policy) },
		     { "cpu", types->u32, AT(task, cpu) },
		     { "sched_class", types->pointer, AT(task, sched_class) },
		     { "nvcsw", types->u64, AT(task, nvcsw) },
		     { "nivcsw", types->u64, AT(task, nivcsw) },
		     { "pid_links", types->links, AT(task, links) }, { "scx", scx, AT(task, scx) },
		     { "on_rq", types->u32, AT(task, on_rq) },
		     { "on_cpu", types->u32, AT(task, on_cpu) });
}

/* How a scheduler refers to its global queues: from Linux 7.1 on by a struct of each NUMA node. */
static const char *add_global(struct types *types, enum walk_form form, int dsq)
{
	if (form != WALK_NEW)
		return "global_dsqs";
	(void)STRUCT(types, "scx_sched_pnode", sizeof(struct walk_pnode),
		     { "global_dsq", dsq, AT(pnode, global_dsq) });
	return "pnode";
}

static void add_scx(struct types *types, enum walk_form form)
{
	int dsq, scx, rq, var, ops, stats;
	const char *global;

	dsq = STRUCT(types, "scx_dispatch_q", sizeof(struct walk_dsq),
		     { "list", types->list, AT(dsq, list) }, { "id", types->u64, AT(dsq, id) },
		     { "nr", types->u32, AT(dsq, nr) }, { "seq", types->u32, AT(dsq, seq) },
		     { "hash_node", types->pointer, AT(dsq, hash_node) });
	scx = STRUCT(
		types, "scx_rq", sizeof(struct walk_rq) - AT(rq, scx_nr_running),
		{ "nr_running", types->u32, 0 }, { "flags", types->u32, 4 },
		{ "local_dsq", dsq, AT(rq, local_dsq) - AT(rq, scx_nr_running) },
		{ "runnable_list", types->list, AT(rq, runnable_list) - AT(rq, scx_nr_running) });
	rq = STRUCT(types, "rq", sizeof(struct walk_rq),
		    { "nr_running", types->u32, AT(rq, nr_running) },
		    { "online", types->u32, AT(rq, online) },
		    { "curr", types->pointer, AT(rq, curr) },
		    { "idle", types->pointer, AT(rq, idle) },
		    { "clock", types->u64, AT(rq, clock) }, { "scx", scx, AT(rq, scx_nr_running) });
	var = btf__add_var(types->btf, "runqueues", BTF_VAR_GLOBAL_ALLOCATED, rq);
	(void)btf__add_datasec(types->btf, ".data..percpu", PER_CPU);
	(void)btf__add_datasec_var_info(types->btf, var, 0, sizeof(struct walk_rq));
	global = add_global(types, form, dsq);
	ops = STRUCT(types, "sched_ext_ops", 32, { "name", types->text32, 0 });
	(void)STRUCT(
		types, "scx_sched", sizeof(struct walk_sched), { "ops", ops, 0 },
		{ "exit_kind", types->u32, AT(sched, exit_kind) },
		{ "level", types->u32, AT(sched, level) },
		{ "dsq_hash", btf__find_by_name(types->btf, "rhashtable"), AT(sched, dsq_hash) },
		{ "all", types->list, AT(sched, all) }, { "pcpu", types->pointer, AT(sched, pcpu) },
		{ global, types->pointer, AT(sched, global_dsqs) },
		{ "watchdog_timeout", types->u64, AT(sched, watchdog_timeout) },
		{ "exit_info", types->pointer, AT(sched, exit_info) });
	(void)STRUCT(types, "scx_exit_info", sizeof(struct walk_exit_info),
		     { "kind", types->u32, 0 });
	stats = STRUCT(types, "scx_event_stats", 16, { "SCX_EV_ONE", types->u64, 0 },
		       { "SCX_EV_TWO", types->u64, 8 });
	(void)STRUCT(types, "scx_sched_pcpu", 24, { "event_stats", stats, 8 });
}

static void add_programs(struct types *types)
{
	ENUM(types, "bpf_prog_type", 2, LIST(0, 27), "BPF_PROG_TYPE_UNSPEC",
	     "BPF_PROG_TYPE_STRUCT_OPS");
	(void)STRUCT(types, "bpf_prog", sizeof(struct walk_program),
		     { "type", btf__find_by_name(types->btf, "bpf_prog_type"), 0 },
		     { "len", types->u32, AT(program, len) },
		     { "stats", types->pointer, AT(program, stats) },
		     { "aux", types->pointer, AT(program, aux) });
	(void)STRUCT(types, "bpf_prog_aux", sizeof(struct walk_program_aux),
		     { "id", types->u32, 0 }, { "name", types->text16, AT(program_aux, name) });
	(void)STRUCT(types, "bpf_prog_stats", 24, { "cnt", types->u64, 0 },
		     { "nsecs", types->u64, 8 }, { "misses", types->u64, 16 });
}

static void add_map(struct types *types)
{
	ENUM(types, "bpf_map_type", 4, LIST(1, 2, 6, 29), "BPF_MAP_TYPE_HASH", "BPF_MAP_TYPE_ARRAY",
	     "BPF_MAP_TYPE_PERCPU_ARRAY", "BPF_MAP_TYPE_TASK_STORAGE");
	(void)STRUCT(types, "bpf_map", AT(map, elem_size),
		     { "map_type", btf__find_by_name(types->btf, "bpf_map_type"), 0 },
		     { "key_size", types->u32, AT(map, key_size) },
		     { "value_size", types->u32, AT(map, value_size) },
		     { "max_entries", types->u32, AT(map, max_entries) },
		     { "map_flags", types->u32, AT(map, flags) }, { "id", types->u32, AT(map, id) },
		     { "btf_key_type_id", types->u32, AT(map, key_type) },
		     { "btf_value_type_id", types->u32, AT(map, value_type) },
		     { "btf", types->pointer, AT(map, btf) },
		     { "name", types->text16, AT(map, name) });
	(void)STRUCT(types, "btf", 16, { "data", types->pointer, 0 },
		     { "data_size", types->u32, 8 });
	(void)STRUCT(types, "bpf_array", sizeof(struct walk_map),
		     { "elem_size", types->u32, AT(map, elem_size) },
		     { "value", types->array, AT(map, value) },
		     { "pptrs", types->array, AT(map, value) });
}

static void add_map_contents(struct types *types)
{
	int bucket, data;

	bucket = STRUCT(types, "bucket", 16, { "head", types->pointer, 0 });
	(void)STRUCT(types, "bpf_htab", sizeof(struct walk_map),
		     { "buckets", btf__add_ptr(types->btf, bucket), AT(map, buckets) },
		     { "n_buckets", types->u32, AT(map, n_buckets) });
	(void)STRUCT(types, "htab_elem", sizeof(struct walk_element),
		     { "hash_node", types->pointer, 0 }, { "key", types->array, AT(element, key) });
	bucket = STRUCT(types, "bpf_local_storage_map_bucket", 16, { "list", types->pointer, 0 });
	(void)STRUCT(types, "bpf_local_storage_map", sizeof(struct walk_map),
		     { "buckets", btf__add_ptr(types->btf, bucket), AT(map, buckets) },
		     { "bucket_log", types->u32, AT(map, bucket_log) });
	data = STRUCT(types, "bpf_local_storage_data", 8, { "smap", types->pointer, 0 },
		      { "data", types->array, 8 });
	(void)STRUCT(types, "bpf_local_storage_elem", sizeof(struct walk_storage_element),
		     { "map_node", types->list, 0 },
		     { "local_storage", types->pointer, AT(storage_element, local_storage) },
		     { "sdata", data, AT(storage_element, smap) });
	(void)STRUCT(types, "bpf_local_storage", 16, { "owner", types->pointer, 8 });
}

static struct btf *make_btf(enum walk_form form)
{
	struct types types = { .btf = btf__new_empty() };

	add_base(&types);
	add_enums(&types);
	add_states(&types, form);
	add_trees(&types);
	add_tasks(&types, form);
	add_scx(&types, form);
	add_programs(&types);
	add_map(&types);
	add_map_contents(&types);
	return types.btf;
}

static struct btf *old_btf(void)
{
	return make_btf(WALK_OLD);
}

static struct btf *middle_btf(void)
{
	return make_btf(WALK_MIDDLE);
}

static struct btf *new_btf(void)
{
	return make_btf(WALK_NEW);
}

/* ---- Objects ---- */

uint64_t walk_alloc(struct walk_kernel *kernel, size_t len)
{
	return tiny_alloc(&kernel->tiny, len);
}

static uint64_t symbol(struct walk_kernel *kernel, const char *name)
{
	return tiny_symbol(&kernel->tiny, name);
}

static void set(struct walk_kernel *kernel, uint64_t kva, uint64_t value)
{
	tiny_set(&kernel->tiny, kva, value, 8);
}

void walk_list_init(struct walk_kernel *kernel, uint64_t head)
{
	set(kernel, head, head);
	set(kernel, head + 8, head);
}

/* At the end. */
void walk_list_add(struct walk_kernel *kernel, uint64_t node, uint64_t head)
{
	uint64_t last = walk_at(kernel, walk_list, head)->prev;

	set(kernel, last, node);
	set(kernel, node, head);
	set(kernel, node + 8, last);
	set(kernel, head + 8, node);
}

/* An xarray with one node, whose address it returns. */
static uint64_t add_ids(struct walk_kernel *kernel, uint64_t xarray)
{
	uint64_t node = walk_alloc(kernel, NODE_LEN);

	set(kernel, xarray + XA_HEAD, node + 2);
	return node;
}

static void set_id(struct walk_kernel *kernel, uint64_t node, unsigned int id, uint64_t entry)
{
	set(kernel, node + SLOTS + id * 8, entry);
}

static void write_tasks(struct walk_kernel *kernel)
{
	static const uint32_t STATES[] = { 0, 1, 2, 0x402 };

	kernel->task_ids = add_ids(kernel, symbol(kernel, "init_pid_ns") + 8);
	for (unsigned int i = 0; i < WALK_TASKS; i++) {
		uint64_t pid = walk_alloc(kernel, 24);
		struct walk_task *task;

		kernel->tasks[i] = walk_alloc(kernel, sizeof(struct walk_task));
		task = walk_at(kernel, walk_task, kernel->tasks[i]);
		task->pid = i + 1;
		task->tgid = 1;
		(void)snprintf(task->comm, sizeof(task->comm), "task-%u", i + 1);
		task->state = STATES[i];
		task->policy = 7;
		task->nvcsw = 10 * i;
		task->nivcsw = 5;
		task->sched_class = symbol(kernel, "ext_sched_class");
		task->scx.flags =
			(kernel->form == WALK_OLD ? WALK_OLD_STATE_ENABLED : WALK_STATE_ENABLED) |
			(i < 2);
		task->scx.dsq_vtime = 100 + i;
		task->scx.ops_state = 7 << 2 | 2;
		set(kernel, pid + 8, kernel->tasks[i] + AT(task, links));
		set_id(kernel, kernel->task_ids, i + 1, pid);
	}
}

static void write_runqueues(struct walk_kernel *kernel)
{
	for (unsigned int cpu = 0; cpu < TINY_CPUS; cpu++) {
		uint64_t kva = kernel->tiny.rqs[cpu];
		struct walk_rq *rq = walk_at(kernel, walk_rq, kva);

		memset(rq, 0, sizeof(*rq));
		rq->nr_running = 2 + cpu;
		rq->online = 1;
		rq->clock = 1000 + cpu;
		rq->curr = kernel->tasks[cpu];
		rq->idle = kernel->tasks[3];
		rq->scx_nr_running = 2 + cpu;
		rq->scx_flags = 33;
		rq->local_dsq.id = UINT64_C(1) << 63 | 2;
		walk_list_init(kernel, kva + AT(rq, local_dsq.list));
		walk_list_init(kernel, kva + AT(rq, runnable_list));
	}
	walk_list_add(kernel, kernel->tasks[2] + AT(task, scx.runnable_node),
		      kernel->tiny.rqs[0] + AT(rq, runnable_list));
}

/* In the queue: task 1, a cursor of an iterator, task 2. */
static void write_queue(struct walk_kernel *kernel)
{
	uint64_t list, cursor = walk_alloc(kernel, 24);
	struct walk_dsq *queue;

	kernel->queue = walk_alloc(kernel, sizeof(*queue));
	queue = walk_at(kernel, walk_dsq, kernel->queue);
	queue->id = 7;
	queue->nr = 2;
	queue->seq = 9;
	list = kernel->queue + AT(dsq, list);
	walk_list_init(kernel, list);
	walk_list_add(kernel, kernel->tasks[0] + AT(task, scx.node), list);
	walk_list_add(kernel, cursor, list);
	tiny_set(&kernel->tiny, cursor + 16, 1, 4);
	walk_list_add(kernel, kernel->tasks[1] + AT(task, scx.node), list);
	walk_at(kernel, walk_task, kernel->tasks[0])->scx.dsq = kernel->queue;
	walk_at(kernel, walk_task, kernel->tasks[1])->scx.dsq = kernel->queue;
}

static void write_table(struct walk_kernel *kernel)
{
	uint64_t bucket;

	kernel->table = walk_alloc(kernel, sizeof(struct walk_table));
	walk_at(kernel, walk_table, kernel->table)->size = WALK_BUCKETS;
	bucket = kernel->table + AT(table, buckets) + 2 * 8;
	/* The lowest bit of a bucket is a lock; the chain ends with the bucket's address + 1. */
	set(kernel, bucket, (kernel->queue + AT(dsq, hash_node)) | 1);
	walk_at(kernel, walk_dsq, kernel->queue)->hash_node = bucket | 1;
}

static void write_scheds(struct walk_kernel *kernel)
{
	uint64_t all = symbol(kernel, "scx_sched_all"), global = walk_alloc(kernel, 8);
	uint64_t pnode = walk_alloc(kernel, sizeof(struct walk_pnode));
	uint64_t dsq = pnode + AT(pnode, global_dsq);

	walk_list_init(kernel, all);
	walk_list_init(kernel, dsq + AT(dsq, list));
	walk_at(kernel, walk_dsq, dsq)->id = UINT64_C(1) << 63 | 1;
	set(kernel, global, kernel->form == WALK_NEW ? pnode : dsq);
	for (unsigned int i = 0; i < WALK_SCHEDS; i++) {
		uint64_t table = walk_alloc(kernel, sizeof(struct walk_table));
		struct walk_sched *sched;

		walk_at(kernel, walk_table, table)->size = WALK_BUCKETS;
		kernel->scheds[i] = walk_alloc(kernel, sizeof(*sched));
		sched = walk_at(kernel, walk_sched, kernel->scheds[i]);
		(void)snprintf(sched->name, sizeof(sched->name), "sched-%u", i);
		sched->level = i;
		sched->exit_kind = i ? 1024 : 0;
		sched->dsq_hash = i ? table : kernel->table;
		sched->pcpu = symbol(kernel, "runqueues") + PER_CPU + i * 64;
		sched->global_dsqs = global;
		walk_list_add(kernel, kernel->scheds[i] + AT(sched, all), all);
		for (unsigned int cpu = 0; cpu < TINY_CPUS; cpu++) {
			uint64_t stats = kernel->tiny.rqs[cpu] + PER_CPU + i * 64 + 8;

			set(kernel, stats, 10 + cpu);
			set(kernel, stats + 8, 100 * i);
		}
	}
	set(kernel, symbol(kernel, "scx_root"), kernel->scheds[0]);
	tiny_set(&kernel->tiny, symbol(kernel, "nr_node_ids"), 1, 4);
	tiny_set(&kernel->tiny, symbol(kernel, "scx_enable_state_var"), 1, 4);
}

static void write_programs(struct walk_kernel *kernel)
{
	uint64_t ids = add_ids(kernel, symbol(kernel, "prog_idr"));
	uint64_t kva = walk_alloc(kernel, sizeof(struct walk_program));
	uint64_t aux = walk_alloc(kernel, sizeof(struct walk_program_aux));

	*walk_at(kernel, walk_program, kva) = (struct walk_program){
		.type = 27,
		.len = 12,
		.aux = aux,
		.stats = symbol(kernel, "runqueues") + PER_CPU + 256,
	};
	walk_at(kernel, walk_program_aux, aux)->id = 5;
	strcpy(walk_at(kernel, walk_program_aux, aux)->name, "sched_enqueue");
	for (unsigned int cpu = 0; cpu < TINY_CPUS; cpu++) {
		set(kernel, kernel->tiny.rqs[cpu] + PER_CPU + 256, 3 + cpu);
		set(kernel, kernel->tiny.rqs[cpu] + PER_CPU + 264, 1000);
	}
	set_id(kernel, ids, 5, kva);
}

/* ---- Maps ---- */

/* The ids of the types of the maps' own BTF. */
enum { MAP_U32 = 1, MAP_U64, MAP_VAR, MAP_SECTION };

static void write_map_btf(struct walk_kernel *kernel)
{
	struct btf *btf = btf__new_empty();
	const void *data;
	uint32_t len;
	uint64_t kva;

	(void)btf__add_int(btf, "unsigned int", 4, 0);
	(void)btf__add_int(btf, "long unsigned int", 8, 0);
	(void)btf__add_var(btf, "nr_queued", BTF_VAR_GLOBAL_ALLOCATED, MAP_U64);
	(void)btf__add_datasec(btf, ".bss", 16);
	(void)btf__add_datasec_var_info(btf, MAP_VAR, 8, 8);
	data = btf__raw_data(btf, &len);
	kva = walk_alloc(kernel, len);
	memcpy(tiny_at(&kernel->tiny, kva), data, len);
	btf__free(btf);
	kernel->btf = walk_alloc(kernel, 16);
	set(kernel, kernel->btf, kva);
	set(kernel, kernel->btf + 8, len);
}

static struct walk_map *add_a_map(struct walk_kernel *kernel, unsigned int i, const char *name,
				  uint32_t type, uint32_t value_type, uint32_t value_size)
{
	struct walk_map *map;

	kernel->maps[i] = walk_alloc(kernel, sizeof(*map));
	map = walk_at(kernel, walk_map, kernel->maps[i]);
	map->type = type;
	map->key_size = 4;
	map->value_size = value_size;
	map->max_entries = 4;
	map->id = i + 1;
	map->key_type = MAP_U32;
	map->value_type = value_type;
	map->btf = kernel->btf;
	(void)snprintf(map->name, sizeof(map->name), "%s", name);
	set_id(kernel, kernel->map_ids, i + 1, kernel->maps[i]);
	return map;
}

static void write_arrays(struct walk_kernel *kernel)
{
	struct walk_map *map = add_a_map(kernel, WALK_ARRAY, "array", 2, MAP_U32, 4);

	map->elem_size = 8;
	for (unsigned int i = 0; i < 4; i++)
		map->value[i] = i * 11;
	map = add_a_map(kernel, WALK_PER_CPU, "per_cpu", 6, MAP_U64, 8);
	map->max_entries = 1;
	map->value[0] = symbol(kernel, "runqueues") + PER_CPU + 320;
	for (unsigned int cpu = 0; cpu < TINY_CPUS; cpu++)
		set(kernel, kernel->tiny.rqs[cpu] + PER_CPU + 320, 70 + cpu);
	map = add_a_map(kernel, WALK_SECTION, "tiny.bss", 2, MAP_SECTION, 16);
	map->max_entries = 1;
	map->elem_size = 16;
	map->value[1] = 4711;
}

/* Two elements in the bucket 1, one in the bucket 3. */
static void write_hash(struct walk_kernel *kernel)
{
	struct walk_map *map = add_a_map(kernel, WALK_HASH, "hash", 1, MAP_U32, 4);

	kernel->buckets = walk_alloc(kernel, WALK_BUCKETS * 16);
	map->buckets = kernel->buckets;
	map->n_buckets = WALK_BUCKETS;
	for (unsigned int i = 0; i < WALK_BUCKETS; i++)
		set(kernel, kernel->buckets + i * 16, i << 1 | 1);
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t bucket = kernel->buckets + (i < 2 ? 16 : 48), next;
		uint64_t kva = walk_alloc(kernel, sizeof(struct walk_element));

		memcpy(&next, tiny_at(&kernel->tiny, bucket), 8);
		walk_at(kernel, walk_element, kva)->hash_node = next;
		walk_at(kernel, walk_element, kva)->key[0] = (uint8_t)(i + 1);
		walk_at(kernel, walk_element, kva)->value[0] = (uint8_t)(10 * (i + 1));
		set(kernel, bucket, kva);
		kernel->elements[i] = kva;
	}
}

static void write_storage(struct walk_kernel *kernel)
{
	struct walk_map *map = add_a_map(kernel, WALK_STORAGE, "notes", 29, MAP_U64, 8);
	uint64_t kva = walk_alloc(kernel, sizeof(struct walk_storage_element));
	uint64_t storage = walk_alloc(kernel, 16);

	map->buckets = walk_alloc(kernel, 2 * 16);
	map->bucket_log = 1;
	set(kernel, map->buckets + 16, kva);
	set(kernel, storage + 8, kernel->tasks[1]);
	walk_at(kernel, walk_storage_element, kva)->local_storage = storage;
	walk_at(kernel, walk_storage_element, kva)->data = 2222;
}

void walk_kernel_init_as(struct walk_kernel *kernel, enum walk_form form)
{
	static struct btf *(*const BTF[])(
		void) = { [WALK_OLD] = old_btf, [WALK_MIDDLE] = middle_btf, [WALK_NEW] = new_btf };
	const struct tiny_options options = { .btf = BTF[form], .variables = VARIABLES };
	struct kt_err err = KT_ERR_NULL;

	*kernel = (struct walk_kernel){ .form = form };
	tiny_kernel_init(&kernel->tiny, &options);
	write_tasks(kernel);
	write_runqueues(kernel);
	write_queue(kernel);
	write_table(kernel);
	write_scheds(kernel);
	write_programs(kernel);
	kernel->map_ids = add_ids(kernel, symbol(kernel, "map_idr"));
	write_map_btf(kernel);
	write_arrays(kernel);
	write_hash(kernel);
	write_storage(kernel);
	if (kt_inspect_open(kernel->tiny.ram, NULL, &kernel->inspect, &err) < 0) {
		(void)fprintf(stderr, "walk kernel: %s\n", err.text);
		abort();
	}
}

void walk_kernel_init(struct walk_kernel *kernel)
{
	walk_kernel_init_as(kernel, WALK_MIDDLE);
}

void walk_kernel_deinit(struct walk_kernel *kernel)
{
	kernel->inspect = kt_inspect_close(kernel->inspect);
	tiny_kernel_deinit(&kernel->tiny);
}
