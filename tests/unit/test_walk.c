/* SPDX-License-Identifier: MIT */
/*
 * Walks over the lists, hash tables and trees of a kernel that is made byte by byte
 * (tests/walk_kernel.h): what is there is found, and what a hostile guest may make of it ends.
 */
#include <errno.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "tests/unit/walk_view.h"
#include "tests/walk_kernel.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/inspect/maps.h"
#include "vmm/inspect/maps_state.h"
#include "vmm/inspect/path.h"
#include "vmm/inspect/programs.h"
#include "vmm/inspect/queues.h"
#include "vmm/inspect/record.h"
#include "vmm/inspect/runqueues.h"
#include "vmm/inspect/scx.h"
#include "vmm/inspect/tasks.h"
#include "vmm/inspect/walk.h"
#include "wire/json.h"

UNIT_SUITE(walk_tasks);
UNIT_SUITE(walk_scx);
UNIT_SUITE(walk_maps);
UNIT_SUITE(walk_all);

static bool is(const json_t *json, json_type type)
{
	return json && json_typeof(json) == type;
}

/* The JSON of a word, within limits that may be NULL. */
static json_t *look(const char *words, const struct kt_walk_limits *limits)
{
	struct kt_err err = KT_ERR_NULL;
	json_t *json = NULL;

	cr_assert(zero(int, kt_inspect_walk(kernel.inspect, words, limits, &json, &err)), "%s",
		  err.text);
	return json;
}

/* A value in a tree by its path: "schedulers.0.name". */
static const json_t *at(const json_t *json, const char *path)
{
	while (json && *path) {
		size_t len = strcspn(path, ".");
		char name[64];

		cr_assert(lt(sz, len, sizeof(name)));
		memcpy(name, path, len);
		name[len] = 0;
		json = json_is_array(json) ? json_array_get(json, (size_t)atoi(name))
					   : json_object_get(json, name);
		path += len + (path[len] == '.');
	}
	return json;
}

static long long number(const json_t *json, const char *path)
{
	const json_t *value = at(json, path);

	cr_assert(is(value, JSON_INTEGER), "'%s' is not a number", path);
	return json_integer_value(value);
}

static void expect_string(const json_t *json, const char *path, const char *text)
{
	const json_t *value = at(json, path);

	cr_assert(is(value, JSON_STRING), "'%s' is not a text", path);
	cr_assert(eq(str, (char *)json_string_value(value), (char *)text), "%s", path);
}

static void expect_error(const json_t *json, const char *path, const char *text)
{
	const char *found = json_string_value(json_object_get(at(json, path), "error"));

	cr_assert(found && strstr(found, text), "'%s' has the error \"%s\", not \"%s\"", path,
		  found ?: "", text);
}

/* ---- Tasks and run queues ---- */

Test(walk_tasks, all_have_their_names_and_states, .init = begin, .fini = end)
{
	static const char *const STATES[] = { "R", "S", "D", "I" };
	json_t *tasks = look("tasks", NULL);

	cr_assert(eq(sz, json_array_size(tasks), WALK_TASKS));
	for (unsigned int i = 0; i < WALK_TASKS; i++) {
		const json_t *task = json_array_get(tasks, i);
		char name[16];

		(void)snprintf(name, sizeof(name), "task-%u", i + 1);
		cr_assert(eq(i64, number(task, "pid"), i + 1));
		cr_assert(eq(i64, number(task, "tgid"), 1));
		expect_string(task, "comm", name);
		expect_string(task, "state", STATES[i]);
		expect_string(task, "policy", "ext");
		expect_string(task, "class", "ext");
		expect_string(task, "scx.state", "SCX_TASK_ENABLED");
		expect_string(task, "scx.ops_state", "SCX_OPSS_QUEUED");
		cr_assert(eq(i64, number(task, "scx.dsq_vtime"), 100 + i));
		cr_assert(eq(i64, number(task, "switches"), 10 * i + 5));
		cr_assert(eq(sz, json_array_size(at(task, "scx.flags")), i < 2));
	}
	expect_string(tasks, "0.scx.flags.0", "SCX_TASK_QUEUED");
	json_decref(tasks);
}

Test(walk_tasks, a_wild_one_does_not_hide_the_others, .init = begin, .fini = end)
{
	json_t *tasks;

	set(kernel.task_ids + 8 + 2 * 8, WILD);
	tasks = look("tasks", NULL);
	cr_assert(eq(sz, json_array_size(tasks), WALK_TASKS));
	expect_error(tasks, "1", "task 2: ");
	cr_assert(eq(i64, number(tasks, "2.pid"), 3));
	json_decref(tasks);
	/* The tree of ids itself. */
	set(tiny_symbol(&kernel.tiny, "init_pid_ns") + 16, WILD + 2);
	tasks = look("tasks", NULL);
	cr_assert(eq(sz, json_array_size(tasks), 1));
	expect_error(tasks, "0", "init_pid_ns.idr: ");
	json_decref(tasks);
}

/* The enumerator of a shift, and the bits of a number, are no flags. */
Test(walk_tasks, flags_are_told_from_numbers, .init = begin, .fini = end)
{
	json_t *tasks;

	walk_at(&kernel, walk_task, kernel.tasks[3])->scx.flags = WALK_STATE_ENABLED | 8 | 1;
	tasks = look("tasks", NULL);
	cr_assert(eq(sz, json_array_size(at(tasks, "3.scx.flags")), 2));
	expect_string(tasks, "3.scx.flags.0", "SCX_TASK_QUEUED");
	expect_string(tasks, "3.scx.flags.1", "SCX_TASK_DEQD_FOR_SLEEP");
	expect_string(tasks, "3.scx.state", "SCX_TASK_ENABLED");
	json_decref(tasks);
}

static void begin_old(void)
{
	walk_kernel_init_as(&kernel, WALK_OLD);
}

/* Until Linux 7.0, a state is a number behind a shift, and has a name in an enum of its own. */
Test(walk_tasks, states_of_an_old_kernel_have_names, .init = begin_old, .fini = end)
{
	json_t *tasks;

	walk_at(&kernel, walk_task, kernel.tasks[2])->scx.flags = 2 << 8;
	walk_at(&kernel, walk_task, kernel.tasks[3])->scx.flags = 8;
	tasks = look("tasks", NULL);
	expect_string(tasks, "0.scx.state", "SCX_TASK_ENABLED");
	expect_string(tasks, "2.scx.state", "SCX_TASK_READY");
	expect_string(tasks, "3.scx.state", "SCX_TASK_NONE");
	cr_assert(eq(sz, json_array_size(at(tasks, "0.scx.flags")), 1));
	expect_string(tasks, "0.scx.flags.0", "SCX_TASK_QUEUED");
	expect_string(tasks, "3.scx.flags.0", "SCX_TASK_DEQD_FOR_SLEEP");
	json_decref(tasks);
}

Test(walk_tasks, the_limit_is_said, .init = begin, .fini = end)
{
	struct kt_walk_limits limits = KT_WALK_LIMITS_DEFAULT;
	json_t *tasks;

	limits.tasks = 2;
	tasks = look("tasks", &limits);
	cr_assert(eq(sz, json_array_size(tasks), 3));
	cr_assert(is(at(tasks, "2.truncated"), JSON_TRUE));
	json_decref(tasks);
	/* A time that is over is a limit, too. */
	limits.cpu_ns = 1;
	tasks = look("tasks", &limits);
	cr_assert(is(at(tasks, "0.truncated"), JSON_TRUE));
	json_decref(tasks);
}

/* What the host does meanwhile is no reason to leave something out. */
Test(walk_tasks, the_limit_counts_cpu_time_only)
{
	struct kt_walk_limits limits = KT_WALK_LIMITS_DEFAULT;
	uint64_t began_ns = kt_thread_cpu_ns();
	struct kt_walk walk;

	limits.cpu_ns = 20 * KT_NSEC_PER_MSEC;
	kt_walk_init(&walk, NULL, &limits);
	cr_assert(zero(int, nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL)));
	cr_assert(not(kt_walk_is_late(&walk)));
	while (!kt_walk_is_late(&walk))
		cr_assert(lt(u64, kt_thread_cpu_ns() - began_ns, KT_NSEC_PER_SEC));
	cr_assert(ge(u64, kt_thread_cpu_ns() - began_ns, limits.cpu_ns));
}

Test(walk_tasks, run_queues_have_their_tasks, .init = begin, .fini = end)
{
	json_t *rqs = look("runqueues", NULL);

	cr_assert(eq(sz, json_array_size(rqs), TINY_CPUS));
	cr_assert(eq(i64, number(rqs, "1.cpu"), 1));
	cr_assert(eq(i64, number(rqs, "1.nr_running"), 3));
	cr_assert(eq(i64, number(rqs, "1.clock"), 1001));
	expect_string(rqs, "1.curr.comm", "task-2");
	cr_assert(eq(i64, number(rqs, "0.scx.nr_running"), 2));
	expect_string(rqs, "0.scx.flags.1", "SCX_RQ_CLK_VALID");
	cr_assert(eq(sz, json_array_size(at(rqs, "0.scx.runnable")), 1));
	expect_string(rqs, "0.scx.runnable.0.comm", "task-3");
	cr_assert(zero(sz, json_array_size(at(rqs, "1.scx.runnable"))));
	cr_assert(at(rqs, "0.rt_nr") == NULL); /* this kernel has no such member */
	json_decref(rqs);
}

Test(walk_tasks, a_circle_of_runnable_tasks_ends, .init = begin, .fini = end)
{
	uint64_t node = kernel.tasks[2] + offsetof(struct walk_task, scx.runnable_node);
	json_t *rqs;

	set(node, node);
	rqs = look("runqueues", NULL);
	expect_error(rqs, "0.scx.runnable.1",
		     "runqueues[cpu 0].scx.runnable_list: it runs in a circle");
	expect_string(rqs, "1.curr.comm", "task-2");
	walk_at(&kernel, walk_rq, kernel.tiny.rqs[0])->curr = WILD;
	json_decref(rqs);
	rqs = look("runqueues", NULL);
	expect_error(rqs, "0.curr", "struct task_struct at 0xffffc90000001000: ");
	json_decref(rqs);
}

/* ---- sched_ext ---- */

Test(walk_scx, sub_schedulers_are_seen, .init = begin, .fini = end)
{
	json_t *scx = look("scx", NULL);

	expect_string(scx, "state", "SCX_ENABLED");
	cr_assert(eq(sz, json_array_size(at(scx, "schedulers")), WALK_SCHEDS));
	expect_string(scx, "schedulers.0.name", "sched-0");
	expect_string(scx, "schedulers.0.exit_kind", "SCX_EXIT_NONE");
	cr_assert(is(at(scx, "schedulers.0.root"), JSON_TRUE));
	expect_string(scx, "schedulers.1.name", "sched-1");
	expect_string(scx, "schedulers.1.exit_kind", "SCX_EXIT_ERROR");
	cr_assert(is(at(scx, "schedulers.1.root"), JSON_FALSE));
	cr_assert(eq(i64, number(scx, "schedulers.1.level"), 1));
	cr_assert(eq(i64, number(scx, "schedulers.0.events.SCX_EV_ONE.sum"), 21));
	cr_assert(eq(i64, number(scx, "schedulers.0.events.SCX_EV_ONE.cpus.1"), 11));
	cr_assert(eq(i64, number(scx, "schedulers.1.events.SCX_EV_TWO.sum"), 200));
	json_decref(scx);
}

Test(walk_scx, a_kernel_without_the_list_has_its_root, .init = begin, .fini = end)
{
	KT_FREE struct kt_scx_sched *scheds = NULL;
	size_t n;

	walk_list_init(&kernel, tiny_symbol(&kernel.tiny, "scx_sched_all"));
	cr_assert(zero(int, kt_scx_scheds(kernel.inspect, &scheds, &n, NULL)));
	cr_assert(eq(sz, n, 1));
	cr_assert(scheds[0].root);
	set(tiny_symbol(&kernel.tiny, "scx_root"), 0);
	free(scheds);
	cr_assert(zero(int, kt_scx_scheds(kernel.inspect, &scheds, &n, NULL)));
	cr_assert(zero(sz, n));
}

/* Local ones of two CPUs, a global one of each scheduler, and one that a scheduler has made. */
Test(walk_scx, queues_have_their_tasks_but_no_cursors, .init = begin, .fini = end)
{
	json_t *scx = look("scx", NULL);
	const json_t *queues = at(scx, "queues");

	cr_assert(eq(sz, json_array_size(queues), 5));
	expect_string(queues, "0.kind", "local");
	expect_string(queues, "2.kind", "global");
	expect_string(queues, "3.kind", "user");
	cr_assert(eq(i64, number(queues, "3.id"), 7));
	cr_assert(eq(i64, number(queues, "3.nr"), 2));
	cr_assert(eq(sz, json_array_size(at(queues, "3.tasks")), 2));
	cr_assert(eq(i64, number(queues, "3.tasks.0.pid"), 1));
	cr_assert(eq(i64, number(queues, "3.tasks.1.pid"), 2));
	cr_assert(eq(i64, number(queues, "3.tasks.1.dsq_vtime"), 101));
	json_decref(scx);
}

static void begin_new(void)
{
	walk_kernel_init_as(&kernel, WALK_NEW);
}

/* From Linux 7.1 on, it is a member of a struct of the NUMA node. */
Test(walk_scx, a_global_queue_may_lie_in_a_struct, .init = begin_new, .fini = end)
{
	json_t *scx = look("scx", NULL);

	cr_assert(eq(sz, json_array_size(at(scx, "queues")), 5));
	for (unsigned int i = 2; i <= 4; i += 2) {
		const json_t *queue = json_array_get(at(scx, "queues"), i);

		expect_string(queue, "kind", "global");
		expect_string(queue, "id", "0x8000000000000001");
		cr_assert(zero(sz, json_array_size(at(queue, "tasks"))));
	}
	json_decref(scx);
}

Test(walk_scx, a_damaged_queue_does_not_hide_the_others, .init = begin, .fini = end)
{
	uint64_t node = kernel.tasks[1] + offsetof(struct walk_task, scx.node);
	json_t *scx;

	set(node, node);
	scx = look("scx", NULL);
	cr_assert(eq(i64, number(scx, "queues.3.tasks.0.pid"), 1));
	expect_error(scx, "queues.3.tasks.3", "dispatch queue 0x7: it runs in a circle");
	cr_assert(eq(sz, json_array_size(at(scx, "queues")), 5));
	json_decref(scx);
	/* The table of them. */
	walk_at(&kernel, walk_table, kernel.table)->size = 5;
	scx = look("scx", NULL);
	expect_error(scx, "queues.3", "scheduler 'sched-0': dsq_hash: its table");
	expect_string(scx, "queues.2.kind", "global");
	expect_string(scx, "schedulers.1.name", "sched-1");
	json_decref(scx);
}

Test(walk_scx, a_circle_of_schedulers_ends, .init = begin, .fini = end)
{
	uint64_t node = kernel.scheds[1] + offsetof(struct walk_sched, all);
	json_t *scx;

	set(node, node);
	scx = look("scx", NULL);
	expect_error(scx, "schedulers", "scx_sched_all: it runs in a circle");
	expect_string(scx, "queues.0.kind", "local");
	json_decref(scx);
	tiny_set(&kernel.tiny, tiny_symbol(&kernel.tiny, "nr_node_ids"), UINT32_MAX, 4);
	set(node, tiny_symbol(&kernel.tiny, "scx_sched_all"));
	scx = look("scx", NULL);
	expect_error(scx, "queues.2", "nr_node_ids is 4294967295");
	json_decref(scx);
}

/* ---- BPF maps and programs ---- */

Test(walk_maps, arrays_and_sections_are_typed, .init = begin, .fini = end)
{
	json_t *maps = look("maps", NULL);

	cr_assert(eq(sz, json_array_size(maps), WALK_MAPS));
	expect_string(maps, "0.name", "array");
	expect_string(maps, "0.type", "BPF_MAP_TYPE_ARRAY");
	cr_assert(eq(sz, json_array_size(at(maps, "0.entries")), 4));
	cr_assert(eq(i64, number(maps, "0.entries.3.value"), 33));
	cr_assert(eq(i64, number(maps, "0.entries.3.index"), 3));
	cr_assert(eq(i64, number(maps, "1.entries.0.cpus.1"), 71));
	cr_assert(eq(i64, number(maps, "4.variables.nr_queued"), 4711));
	json_decref(maps);
}

Test(walk_maps, hashes_and_storages_are_typed, .init = begin, .fini = end)
{
	json_t *map = look("map hash", NULL);

	cr_assert(eq(sz, json_array_size(at(map, "entries")), 3));
	cr_assert(eq(i64, number(map, "entries.0.key"), 2));
	cr_assert(eq(i64, number(map, "entries.0.value"), 20));
	cr_assert(eq(i64, number(map, "entries.2.value"), 30));
	json_decref(map);
	map = look("map 4", NULL);
	expect_string(map, "name", "notes");
	cr_assert(eq(sz, json_array_size(at(map, "entries")), 1));
	cr_assert(eq(i64, number(map, "entries.0.pid"), 2));
	expect_string(map, "entries.0.comm", "task-2");
	cr_assert(eq(i64, number(map, "entries.0.value"), 2222));
	json_decref(map);
}

Test(walk_maps, a_name_that_does_not_fit_is_explained, .init = begin, .fini = end)
{
	struct kt_err err = KT_ERR_NULL;
	json_t *json;

	cr_assert(eq(int, kt_inspect_walk(kernel.inspect, "map hsh", NULL, &json, &err), -ENOENT));
	expect_text(&err, "there is no BPF map 'hsh'; there are array (1), per_cpu (2), hash (3)");
	strcpy(walk_at(&kernel, walk_map, kernel.maps[WALK_ARRAY])->name, "hash");
	cr_assert(eq(int, kt_inspect_walk(kernel.inspect, "map hash", NULL, &json, &err), -EINVAL));
	expect_text(&err, "several BPF maps: hash (1), hash (3)");
	json = look("map .bss", NULL);
	expect_string(json, "name", "tiny.bss");
	json_decref(json);
}

Test(walk_maps, a_variable_is_a_place, .init = begin, .fini = end)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_maps *maps;
	struct kt_place place;
	struct kt_map map;
	uint64_t value;

	cr_assert(zero(int, kt_maps_open(kernel.inspect, &maps, NULL)));
	cr_assert(zero(int, kt_maps_find(maps, ".bss", &map, NULL)));
	cr_assert(zero(int, kt_map_variable(maps, &map, "nr_queued", &place, NULL)));
	cr_assert(zero(int, kt_inspect_store(kernel.inspect, &place, 5, NULL)));
	cr_assert(eq(int, kt_map_variable(maps, &map, "nr_queud", &place, &err), -ENOENT));
	expect_text(&err, "BPF map 'tiny.bss' has no variable 'nr_queud' (near: nr_queued)");
	cr_assert(zero(int, kt_inspect_load(kernel.inspect, &place, &value, NULL)));
	cr_assert(eq(u64, value, 5));
	cr_assert(eq(int, kt_map_variables(maps, &(struct kt_map){ .name = "x" }, NULL, NULL, &err),
		     -EINVAL));
	kt_maps_close(maps);
}

/* Without their BTF, and with a malformed one, maps show bytes. */
Test(walk_maps, without_types_there_are_bytes, .init = begin, .fini = end)
{
	static const uint64_t LENGTHS[] = { 0, 23, 1u << 30, UINT32_MAX };
	json_t *map;

	for (size_t i = 0; i < KT_ARRAY_LEN(LENGTHS); i++) {
		set(kernel.btf + 8, LENGTHS[i]);
		map = look("map array", NULL);
		expect_string(map, "entries.3.value", "21000000");
		json_decref(map);
	}
	set(kernel.btf, WILD);
	map = look("map hash", NULL);
	expect_string(map, "entries.2.key", "03000000");
	expect_string(map, "entries.2.value", "1e000000");
	json_decref(map);
}

Test(walk_scx, queues_end_when_the_time_is_up, .init = begin, .fini = end)
{
	struct kt_walk_limits limits = KT_WALK_LIMITS_DEFAULT;
	struct kt_scx_queue *queues = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_walk walk;
	json_t *json;
	size_t n = 9;

	kt_walk_init(&walk, kernel.inspect, NULL);
	cr_assert(zero(int, kt_scx_queues(&walk, &queues, &n, &err)), "%s", err.text);
	cr_assert(gt(sz, n, TINY_CPUS));
	free(queues);
	limits.cpu_ns = 1;
	kt_walk_init(&walk, kernel.inspect, &limits);
	cr_assert(eq(int, kt_scx_queues(&walk, &queues, &n, &err), -ETIMEDOUT));
	cr_assert(zero(sz, n));
	cr_assert(strstr(err.text, "the time is up after 0 dispatch queues") != NULL);
	free(queues);
	cr_assert(zero(int, kt_scx_queues_json(&walk, &json, &err)));
	cr_assert(is(at(json, "0.truncated"), JSON_TRUE));
	json_decref(json);
}

/* 16 MiB and one byte are not even allocated. */
Test(walk_maps, types_of_absurd_length_are_refused, .init = begin, .fini = end)
{
	struct kt_err err = KT_ERR_NULL;
	const struct btf *btf;
	struct kt_maps *maps;

	set(kernel.btf + 8, (16u << 20) + 1);
	cr_assert(zero(int, kt_maps_open(kernel.inspect, &maps, NULL)));
	cr_assert(eq(int, kt_maps_btf(maps, kernel.btf, &btf, &err), -EPROTO));
	cr_assert(strstr(err.text, "it has 16777217 bytes") != NULL, "%s", err.text);
	kt_maps_close(maps);
}

/* A type that is longer than the value would show what lies behind it. */
Test(walk_maps, a_type_that_does_not_fit_is_refused, .init = begin, .fini = end)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_place place;
	struct kt_maps *maps;
	struct kt_map map;

	walk_at(&kernel, walk_map, kernel.maps[WALK_ARRAY])->value_type = 2;
	cr_assert(zero(int, kt_maps_open(kernel.inspect, &maps, NULL)));
	cr_assert(zero(int, kt_maps_find(maps, "array", &map, NULL)));
	cr_assert(eq(int, kt_map_value(maps, &map, map.kva, &place, &err), -EPROTO));
	expect_text(&err, "BPF map 'array': its type 2 does not fit into 4 bytes");
	map.value_type = UINT32_MAX;
	cr_assert(eq(int, kt_map_value(maps, &map, map.kva, &place, &err), -EPROTO));
	kt_maps_close(maps);
}

Test(walk_maps, a_hostile_hash_ends, .init = begin, .fini = end)
{
	struct walk_map *hash = walk_at(&kernel, walk_map, kernel.maps[WALK_HASH]);
	json_t *map;

	set(kernel.elements[1], kernel.elements[1]);
	map = look("map hash", NULL);
	expect_error(map, "entries.1", "BPF map 'hash': a bucket: it runs in a circle");
	json_decref(map);
	set(kernel.elements[1], WILD);
	map = look("map hash", NULL);
	expect_error(map, "entries.1", "BPF map 'hash': a bucket: node 2: ");
	json_decref(map);
	hash->n_buckets = UINT32_MAX;
	map = look("map hash", NULL);
	expect_error(map, "entries.0", "BPF map 'hash': 4294967295 buckets of 16 bytes");
	json_decref(map);
	hash->n_buckets = 4;
	hash->buckets = WILD;
	map = look("map hash", NULL);
	expect_error(map, "entries.0", "BPF map 'hash': bucket 0: ");
	json_decref(map);
}

Test(walk_maps, an_absurd_array_ends_at_the_limit, .init = begin, .fini = end)
{
	struct walk_map *array = walk_at(&kernel, walk_map, kernel.maps[WALK_ARRAY]);
	struct walk_map *storage = walk_at(&kernel, walk_map, kernel.maps[WALK_STORAGE]);
	json_t *map;

	array->max_entries = UINT32_MAX;
	array->value_size = UINT32_MAX;
	map = look("map array", NULL);
	cr_assert(eq(sz, json_array_size(at(map, "entries")), 33));
	cr_assert(eq(i64, number(map, "entries.32.truncated"), (long long)UINT32_MAX - 32));
	json_decref(map);
	storage->bucket_log = 63;
	map = look("map notes", NULL);
	expect_error(map, "entries.0", "BPF map 'notes': 0 buckets");
	json_decref(map);
	storage->type = 4711;
	map = look("map notes", NULL);
	expect_error(map, "entries.0", "entries of a map of an unknown type are not shown");
	json_decref(map);
}

Test(walk_maps, programs_count_on_all_cpus, .init = begin, .fini = end)
{
	json_t *programs = look("programs", NULL);

	cr_assert(eq(sz, json_array_size(programs), 1));
	expect_string(programs, "0.name", "sched_enqueue");
	expect_string(programs, "0.type", "BPF_PROG_TYPE_STRUCT_OPS");
	cr_assert(eq(i64, number(programs, "0.id"), 5));
	cr_assert(eq(i64, number(programs, "0.runs"), 7));
	cr_assert(eq(i64, number(programs, "0.ns"), 2000));
	json_decref(programs);
}

/* ---- All at once ---- */

static void expect_cut(const char *word, const struct kt_walk_limits *limits, size_t n)
{
	json_t *all = look(word, NULL), *some = look(word, limits);
	const json_t *last = json_array_get(some, n);

	cr_assert(gt(sz, json_array_size(all), n), "%s", word);
	cr_assert(eq(sz, json_array_size(some), n + 1), "%s", word);
	cr_assert(is(json_object_get(last, "truncated"), JSON_TRUE), "%s", word);
	json_decref(all);
	json_decref(some);
}

Test(walk_all, lists_are_cut_at_their_limits, .init = begin, .fini = end)
{
	struct kt_walk_limits limits = KT_WALK_LIMITS_DEFAULT;
	json_t *rqs;

	limits.maps = 1;
	limits.programs = 0;
	limits.tasks = 3;
	expect_cut("maps", &limits, 1);
	expect_cut("programs", &limits, 0);
	expect_cut("tasks", &limits, 3);
	limits.queued = 0;
	rqs = look("runqueues", &limits);
	cr_assert(is(at(rqs, "0.scx.runnable.0.truncated"), JSON_TRUE));
	json_decref(rqs);
}

Test(walk_all, everything_is_there, .init = begin, .fini = end)
{
	KT_FREE char *text = NULL;
	json_t *all = NULL;

	cr_assert(zero(int, kt_inspect_render_all(kernel.inspect, NULL, &all, NULL)));
	expect_string(all, "kernel.release", TINY_RELEASE);
	cr_assert(eq(sz, json_array_size(at(all, "runqueues")), TINY_CPUS));
	expect_string(all, "scx.schedulers.0.name", "sched-0");
	cr_assert(eq(sz, json_array_size(at(all, "maps")), WALK_MAPS));
	cr_assert(eq(sz, json_array_size(at(all, "programs")), 1));
	cr_assert(eq(sz, json_array_size(at(all, "tasks")), WALK_TASKS));
	text = kt_walk_text(all);
	cr_assert(text && strstr(text, "comm = \"task-3\""));
	json_decref(all);
}

/* One that fails stands for itself. */
Test(walk_all, a_kernel_without_types_has_errors_in_their_places)
{
	const struct tiny_options options = { .no_btf = true };
	struct kt_inspect *inspect;
	struct tiny_kernel tiny;
	json_t *all = NULL;

	tiny_kernel_init(&tiny, &options);
	cr_assert(zero(int, kt_inspect_open(tiny.ram, NULL, &inspect, NULL)));
	cr_assert(zero(int, kt_inspect_render_all(inspect, NULL, &all, NULL)));
	expect_string(all, "kernel.release", TINY_RELEASE);
	expect_error(all, "tasks", "tasks: ");
	expect_error(all, "maps", "BPF maps: ");
	json_decref(all);
	inspect = kt_inspect_close(inspect);
	tiny_kernel_deinit(&tiny);
}

Test(walk_all, words_are_checked, .init = begin, .fini = end)
{
	struct kt_err err = KT_ERR_NULL;
	json_t *json;

	cr_assert(eq(int, kt_inspect_walk(kernel.inspect, "task", NULL, &json, &err), -EINVAL));
	expect_text(&err, "'task' is none of: kernel, runqueues, scx, maps, map NAME, programs");
	cr_assert(eq(int, kt_inspect_walk(kernel.inspect, "map", NULL, &json, &err), -EINVAL));
	expect_text(&err, "'map' needs an argument: NAME");
	cr_assert(eq(int, kt_inspect_walk(kernel.inspect, "tasks 3", NULL, &json, &err), -EINVAL));
	expect_text(&err, "'tasks' takes no argument");
	cr_assert(kt_is_walk("map x"));
	cr_assert(not(kt_is_walk("tasks.next")));
	cr_assert(not(kt_is_walk("init_task.comm")));
}
