/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/scx.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"
#include "vmm/inspect/chain.h"
#include "vmm/inspect/queues.h"
#include "vmm/inspect/record.h"

/*
 * Kernels differ in where they keep what (a table is in the research on Linux 6.16 to 7.3): what is
 * one number of the kernel in one is one of each scheduler in the next. Both are looked for, by the
 * names of members and of symbols.
 */

#define EVENTS_MAX 64u
#define VALUES_MAX 65536u
#define TEXT_LEN   1024u

enum {
	NAME,
	CID_NAME,
	IS_CID,
	EXIT_KIND,
	EXIT_INFO,
	LEVEL,
	ID,
	CGROUP_PATH,
	BYPASS_DEPTH,
	ABORTING,
	DEAD,
	WATCHDOG_TIMEOUT,
	SLICE_DFL,
	N_FIELDS
};

static const struct kt_record_field FIELDS[N_FIELDS] = {
	[NAME] = { { "ops.name" } },
	[CID_NAME] = { { "ops_cid.name" }, true },
	[IS_CID] = { { "is_cid_type" }, true },
	[EXIT_KIND] = { { "exit_kind" } },
	[EXIT_INFO] = { { "exit_info" }, true },
	[LEVEL] = { { "level" }, true },
	[ID] = { { "id" }, true },
	[CGROUP_PATH] = { { "cgrp_path" }, true },
	[BYPASS_DEPTH] = { { "bypass_depth" }, true },
	[ABORTING] = { { "aborting" }, true },
	[DEAD] = { { "dead" }, true },
	[WATCHDOG_TIMEOUT] = { { "watchdog_timeout" }, true },
	[SLICE_DFL] = { { "slice_dfl" }, true },
};

static const struct {
	const char *name;
	unsigned int field;
} SHOWN[] = {
	{ "level", LEVEL },         { "id", ID },     { "bypass_depth", BYPASS_DEPTH },
	{ "aborting", ABORTING },   { "dead", DEAD }, { "watchdog_timeout", WATCHDOG_TIMEOUT },
	{ "slice_dfl", SLICE_DFL },
};

/* Numbers of the kernel, by symbol; which ones there are depends on the kernel. */
static const struct {
	const char *name, *symbol;
	size_t len;
} GLOBALS[] = {
	{ "enable_seq", "scx_enable_seq", 8 },
	{ "nr_rejected", "scx_nr_rejected", 8 },
	{ "hotplug_seq", "scx_hotplug_seq", 8 },
	{ "bypass_depth", "scx_bypass_depth", 4 },
	{ "aborting", "scx_aborting", 1 },
	{ "watchdog_timeout", "scx_watchdog_timeout", 8 },
	{ "watchdog_interval", "scx_watchdog_interval", 8 },
	{ "watchdog_timestamp", "scx_watchdog_timestamp", 8 },
	{ "switched_all", "__scx_switched_all", 4 },
	{ "enabled", "__scx_enabled", 4 },
};

/* ---- Schedulers ---- */

struct list {
	struct kt_record record;
	uint64_t root;
	struct kt_scx_sched *scheds; /* KT_SCX_SCHEDS_MAX of them */
	size_t n;
};

static int add_sched(struct list *list, uint64_t kva, struct kt_err *reterr)
{
	struct kt_scx_sched *sched = &list->scheds[list->n];
	int r = kt_record_read(&list->record, kva, reterr);

	if (r < 0)
		return r;
	if (list->n == KT_SCX_SCHEDS_MAX)
		return kt_err_set(reterr, -ELOOP, "scx_sched_all: it has more than %u nodes",
				  KT_SCX_SCHEDS_MAX);
	*sched = (struct kt_scx_sched){
		.kva = kva,
		.root = kva == list->root,
		.level = (int32_t)kt_record_get(&list->record, LEVEL),
		.exit_kind = (uint32_t)kt_record_get(&list->record, EXIT_KIND),
		.exit_info = kt_record_get(&list->record, EXIT_INFO),
	};
	(void)kt_record_text(&list->record, kt_record_get(&list->record, IS_CID) ? CID_NAME : NAME,
			     sched->name, sizeof(sched->name));
	sched->exit_name =
		kt_inspect_enum_name(list->record.inspect, "enum scx_exit_kind", sched->exit_kind);
	list->n++;
	return 0;
}

/* Kernels with sub-schedulers have a list of them all. */
static int add_all(struct list *list, uint64_t head, uint32_t offset, struct kt_err *reterr)
{
	struct kt_chain chain;
	uint64_t node;
	int r = kt_chain_begin(&chain, list->record.inspect, KT_CHAIN_LIST, head,
			       KT_SCX_SCHEDS_MAX - 1, "scx_sched_all", reterr);

	while (r == 0 && (r = kt_chain_next(&chain, &node, reterr)) > 0)
		r = add_sched(list, node - offset, reterr);
	return r;
}

static bool has_root(const struct list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		if (list->scheds[i].root)
			return true;
	}
	return !list->root;
}

static int fill_list(struct list *list, struct kt_inspect *inspect, struct kt_err *reterr)
{
	struct kt_member node;
	uint64_t symbol;
	int r = kt_inspect_symbol(inspect, "scx_root", &symbol, reterr) ?:
		kt_inspect_read_uint(inspect, symbol, 8, &list->root, reterr) ?:
		kt_record_init(&list->record, inspect, "struct scx_sched", FIELDS, N_FIELDS,
			       reterr);

	if (r == 0 && kt_inspect_has_symbol(inspect, "scx_sched_all", &symbol) &&
	    kt_inspect_has_member(inspect, "struct scx_sched", "all", &node))
		r = add_all(list, symbol, node.offset, reterr);
	if (r == 0 && !has_root(list))
		r = add_sched(list, list->root, reterr);
	return r;
}

int kt_scx_scheds(struct kt_inspect *inspect, struct kt_scx_sched **ret_scheds, size_t *ret_n,
		  struct kt_err *reterr)
{
	struct list list = { .record = KT_RECORD_NULL };
	int r;

	list.scheds = calloc(KT_SCX_SCHEDS_MAX, sizeof(*list.scheds));
	if (!list.scheds)
		return kt_err_oom(reterr);
	r = fill_list(&list, inspect, reterr);
	kt_record_deinit(&list.record);
	if (r < 0) {
		free(list.scheds);
		return kt_err_prefix(reterr, r, "sched_ext");
	}
	*ret_scheds = list.scheds;
	*ret_n = list.n;
	return 0;
}

bool kt_scx_exit_goes_on(struct kt_inspect *inspect, const struct kt_scx_sched *sched)
{
	struct kt_member kind;
	uint64_t value;

	return !sched->exit_info ||
	       kt_inspect_member(inspect, "struct scx_exit_info", "kind", &kind, NULL) < 0 ||
	       kt_inspect_read_uint(inspect, sched->exit_info + kind.offset, 4, &value, NULL) < 0 ||
	       value != 0; /* SCX_EXIT_NONE */
}

/* ---- Event counters ---- */

/* Where the counters of one CPU lie, from a pointer to per-CPU memory on. */
static int find_events(struct kt_inspect *inspect, struct kt_member *ret_pointer,
		       struct kt_member *ret_events, struct kt_err *reterr)
{
	*ret_events = (struct kt_member){ .offset = 0 };
	if (kt_inspect_has_member(inspect, "struct scx_sched", "event_stats_cpu", ret_pointer))
		return 0;
	return kt_inspect_member(inspect, "struct scx_sched", "pcpu", ret_pointer, reterr)
		       ?: kt_inspect_member(inspect, "struct scx_sched_pcpu", "event_stats",
					    ret_events, reterr);
}

static int read_events(struct kt_inspect *inspect, uint64_t per_cpu, const struct btf_type *type,
		       unsigned int cpu, unsigned int n_cpus, int64_t *values,
		       struct kt_err *reterr)
{
	struct kt_member last = { .offset = 0 }, member;
	const struct btf *btf = kt_inspect_btf(inspect);
	uint8_t bytes[EVENTS_MAX * 8];
	uint32_t n = btf_vlen(type);
	uint64_t kva;
	int r = kt_inspect_per_cpu(inspect, per_cpu, cpu, &kva, reterr);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < n; i++) {
		if (!kt_btf_member_at(btf, type, i, &member) || member.size != 8 ||
		    member.offset > sizeof(bytes) - 8)
			return kt_err_set(reterr, -EPROTO, "struct scx_event_stats is malformed");
		last.offset = KT_MAX(last.offset, member.offset);
	}
	r = kt_inspect_read(inspect, kva, bytes, last.offset + 8, reterr);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		(void)kt_btf_member_at(btf, type, i, &member);
		memcpy(&values[i * n_cpus + cpu], bytes + member.offset, 8);
	}
	return r;
}

int kt_scx_events(struct kt_inspect *inspect, uint64_t sched, const char ***ret_names,
		  int64_t **ret_values, size_t *ret_n, struct kt_err *reterr)
{
	unsigned int n_cpus = kt_inspect_facts(inspect)->n_cpus;
	KT_FREE const char **names = NULL;
	KT_FREE int64_t *values = NULL;
	struct kt_member pointer, events;
	const struct btf_type *type;
	const struct btf *btf;
	uint64_t per_cpu;
	uint32_t id, n;
	int r = find_events(inspect, &pointer, &events, reterr) ?:
		kt_inspect_type(inspect, "struct scx_event_stats", &id, reterr) ?:
		kt_inspect_read_uint(inspect, sched + pointer.offset, 8, &per_cpu, reterr);

	if (r < 0)
		return kt_err_prefix(reterr, r, "event counters");
	btf = kt_inspect_btf(inspect);
	type = btf__type_by_id(btf, id);
	n = btf_vlen(type);
	if (n > EVENTS_MAX || (size_t)n * n_cpus > VALUES_MAX)
		return kt_err_set(reterr, -EPROTO, "event counters: there are too many");
	names = calloc(n + 1, sizeof(*names));
	values = calloc((size_t)n * n_cpus + 1, sizeof(*values));
	if (!names || !values)
		return kt_err_oom(reterr);
	for (uint32_t i = 0; i < n; i++)
		names[i] = btf__name_by_offset(btf, btf_members(type)[i].name_off);
	for (unsigned int cpu = 0; r == 0 && cpu < n_cpus; cpu++)
		r = read_events(inspect, per_cpu + events.offset, type, cpu, n_cpus, values,
				reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "event counters");
	*ret_names = kt_steal(names);
	*ret_values = kt_steal(values);
	*ret_n = n;
	return 0;
}

/* ---- JSON ---- */

/* {"SCX_EV_...": {"sum": N, "cpus": [...]}, ...} */
static json_t *events_json(struct kt_inspect *inspect, uint64_t sched)
{
	unsigned int n_cpus = kt_inspect_facts(inspect)->n_cpus;
	KT_FREE const char **names = NULL;
	KT_FREE int64_t *values = NULL;
	struct kt_err err = KT_ERR_NULL;
	json_t *json;
	size_t n;

	if (kt_scx_events(inspect, sched, &names, &values, &n, &err) < 0)
		return kt_tree_error(&err);
	json = json_object();
	for (size_t i = 0; json && i < n; i++) {
		json_t *cpus = json_array();
		uint64_t sum = 0;

		for (unsigned int cpu = 0; cpu < n_cpus; cpu++) {
			int64_t value = values[i * n_cpus + cpu];

			sum += (uint64_t)value;
			(void)json_array_append_new(cpus, json_integer(value));
		}
		(void)json_object_set_new(
			json, names[i],
			json_pack("{s:I, s:o}", "sum", (json_int_t)sum, "cpus", cpus));
	}
	return json;
}

static json_t *string_at(struct kt_inspect *inspect, uint64_t kva)
{
	char text[TEXT_LEN];

	if (!kva || kt_inspect_read_text(inspect, kva, text, sizeof(text), NULL) < 0)
		return json_null();
	return kt_tree_text(text);
}

/* Why it ended, as far as it has: texts and numbers of struct scx_exit_info. */
static json_t *exit_info_json(struct kt_inspect *inspect, uint64_t kva)
{
	static const struct kt_record_field EXIT[] = { { { "kind" } },
						       { { "exit_code" } },
						       { { "reason" } },
						       { { "msg" } },
						       { { "exit_cpu" }, true } };
	struct kt_err err = KT_ERR_NULL;
	struct kt_record record;
	json_t *json;

	if (!kva)
		return json_null();
	if (kt_record_init(&record, inspect, "struct scx_exit_info", EXIT, KT_ARRAY_LEN(EXIT),
			   &err) < 0 ||
	    kt_record_read(&record, kva, &err) < 0)
		json = kt_tree_error(&err);
	else
		json = json_pack("{s:s?, s:o, s:o, s:o, s:o}", "kind",
				 kt_record_enumerator(&record, 0), "exit_code",
				 kt_tree_member(&record, 1), "reason",
				 string_at(inspect, kt_record_get(&record, 2)), "msg",
				 string_at(inspect, kt_record_get(&record, 3)), "exit_cpu",
				 kt_tree_member(&record, 4));
	kt_record_deinit(&record);
	return json;
}

static json_t *sched_json(struct kt_inspect *inspect, struct kt_record *record,
			  const struct kt_scx_sched *sched)
{
	struct kt_err err = KT_ERR_NULL;
	json_t *json;

	if (kt_record_read(record, sched->kva, &err) < 0)
		return kt_tree_error(&err);
	json = json_pack("{s:o, s:b, s:o, s:s?, s:i, s:o, s:o}", "name", kt_tree_text(sched->name),
			 "root", sched->root, "address", kt_tree_address(sched->kva), "exit_kind",
			 sched->exit_name, "raw_exit_kind", (int)sched->exit_kind, "exit_info",
			 exit_info_json(inspect, kt_record_get(record, EXIT_INFO)), "events",
			 events_json(inspect, sched->kva));
	for (size_t i = 0; json && i < KT_ARRAY_LEN(SHOWN); i++) {
		if (kt_record_has(record, SHOWN[i].field))
			(void)json_object_set_new(json, SHOWN[i].name,
						  kt_tree_member(record, SHOWN[i].field));
	}
	if (json && kt_record_has(record, CGROUP_PATH))
		(void)json_object_set_new(json, "cgroup",
					  string_at(inspect, kt_record_get(record, CGROUP_PATH)));
	return json;
}

static json_t *scheds_json(struct kt_inspect *inspect)
{
	KT_FREE struct kt_scx_sched *scheds = NULL;
	struct kt_record record = KT_RECORD_NULL;
	struct kt_err err = KT_ERR_NULL;
	json_t *array;
	size_t n;

	if (kt_scx_scheds(inspect, &scheds, &n, &err) < 0)
		return kt_tree_error(&err);
	array = json_array();
	if (kt_record_init(&record, inspect, "struct scx_sched", FIELDS, N_FIELDS, &err) == 0) {
		for (size_t i = 0; i < n; i++)
			(void)json_array_append_new(array,
						    sched_json(inspect, &record, &scheds[i]));
	}
	kt_record_deinit(&record);
	return array;
}

static json_t *globals_json(struct kt_inspect *inspect)
{
	uint64_t symbol, value;
	json_t *json = json_object();

	for (size_t i = 0; json && i < KT_ARRAY_LEN(GLOBALS); i++) {
		if (kt_inspect_has_symbol(inspect, GLOBALS[i].symbol, &symbol) &&
		    kt_inspect_read_uint(inspect, symbol, GLOBALS[i].len, &value, NULL) == 0)
			(void)json_object_set_new(json, GLOBALS[i].name, kt_tree_unsigned(value));
	}
	if (kt_inspect_has_symbol(inspect, "scx_enable_state_var", &symbol) &&
	    kt_inspect_read_uint(inspect, symbol, 4, &value, NULL) == 0) {
		const char *name =
			kt_inspect_enum_name(inspect, "enum scx_enable_state", (int64_t)value);

		(void)json_object_set_new(json, "state",
					  name ? json_string(name) : kt_tree_unsigned(value));
	}
	return json;
}

int kt_scx_json(struct kt_walk *walk, const char *unused, json_t **ret_json, struct kt_err *reterr)
{
	struct kt_err err = KT_ERR_NULL;
	json_t *json, *queues;
	uint64_t symbol;
	int r;

	(void)unused;
	r = kt_inspect_symbol(walk->inspect, "scx_root", &symbol, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "sched_ext");
	json = globals_json(walk->inspect);
	if (kt_scx_queues_json(walk, &queues, &err) < 0)
		queues = kt_tree_error(&err);
	if (!json || json_object_set_new(json, "schedulers", scheds_json(walk->inspect)) < 0) {
		json_decref(json);
		json_decref(queues);
		return kt_err_oom(reterr);
	}
	if (json_object_set_new(json, "queues", queues) < 0) {
		json_decref(json);
		return kt_err_oom(reterr);
	}
	*ret_json = json;
	return 0;
}
