/* SPDX-License-Identifier: MIT */
#include "vmm/snapshot/nodes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "util/cleanup.h"
#include "vmm/inspect/record.h"

/* A node is a struct pglist_data, to which node_data[] points, and has its zones in itself. */

#define NODES_MAX 1024u
#define ZONES_MAX 16u

static const struct {
	const char *name, *steps;
} PAGES[] = {
	{ "managed", "managed_pages" },
	{ "present", "present_pages" },
	{ "free", "vm_stat[NR_FREE_PAGES]" },
};

static json_t *text_at(struct kt_inspect *inspect, const struct kt_place *zone)
{
	struct kt_place place;
	char text[64] = "";
	uint64_t kva;

	if (kt_inspect_follow(inspect, zone, "name", &place, NULL) == 0 &&
	    kt_inspect_load(inspect, &place, &kva, NULL) == 0)
		(void)kt_inspect_read_text(inspect, kva, text, sizeof(text), NULL);
	return kt_tree_text(text);
}

/* A number of a zone: atomic_long_t is a struct around one. */
static bool pages_at(struct kt_inspect *inspect, const struct kt_place *zone, const char *steps,
		     uint64_t *ret_value)
{
	struct kt_place place;

	return kt_inspect_follow(inspect, zone, steps, &place, NULL) == 0 && place.size == 8 &&
	       kt_inspect_read_uint(inspect, place.kva, 8, ret_value, NULL) == 0;
}

/* Adds a zone, and its pages to @sums; one without pages is left out. */
static void add_zone(struct kt_inspect *inspect, const struct kt_place *zone, json_t *zones,
		     uint64_t sums[KT_ARRAY_LEN(PAGES)])
{
	json_t *json = json_pack("{s:o}", "name", text_at(inspect, zone));
	uint64_t present = 0, value;

	(void)pages_at(inspect, zone, "present_pages", &present);
	for (size_t i = 0; json && present && i < KT_ARRAY_LEN(PAGES); i++) {
		if (!pages_at(inspect, zone, PAGES[i].steps, &value))
			continue;
		sums[i] += value;
		(void)json_object_set_new(json, PAGES[i].name, kt_tree_unsigned(value));
	}
	if (present)
		(void)json_array_append_new(zones, json);
	else
		json_decref(json);
}

static json_t *node_json(struct kt_inspect *inspect, unsigned int id, const struct kt_place *node)
{
	uint64_t sums[KT_ARRAY_LEN(PAGES)] = { 0 };
	json_t *zones = json_array(), *json = json_pack("{s:I}", "node", (json_int_t)id);
	struct kt_place zone;
	char steps[32];

	for (unsigned int i = 0; zones && i < ZONES_MAX; i++) {
		(void)snprintf(steps, sizeof(steps), "node_zones[%u]", i);
		if (kt_inspect_follow(inspect, node, steps, &zone, NULL) < 0)
			break;
		add_zone(inspect, &zone, zones, sums);
	}
	for (size_t i = 0; json && i < KT_ARRAY_LEN(PAGES); i++)
		(void)json_object_set_new(json, PAGES[i].name, kt_tree_unsigned(sums[i]));
	if (json)
		(void)json_object_set_new(json, "zones", zones);
	else
		json_decref(zones);
	return json;
}

static uint64_t count_nodes(struct kt_inspect *inspect)
{
	uint64_t symbol, n = 1;

	if (kt_inspect_has_symbol(inspect, "nr_node_ids", &symbol))
		(void)kt_inspect_read_uint(inspect, symbol, 4, &n, NULL);
	return n;
}

static int add_nodes(struct kt_inspect *inspect, json_t *array, struct kt_err *reterr)
{
	uint64_t n = count_nodes(inspect), table, kva;
	struct kt_place place;
	int r = kt_inspect_symbol(inspect, "node_data", &table, reterr);

	if (r == 0 && (!n || n > NODES_MAX))
		r = kt_err_set(reterr, -EPROTO, "nr_node_ids is %" PRIu64, n);
	for (unsigned int id = 0; r == 0 && id < n; id++) {
		r = kt_inspect_read_uint(inspect, table + id * UINT64_C(8), 8, &kva, reterr);
		if (r < 0 || !kva)
			continue;
		r = kt_inspect_place(inspect, kva, "struct pglist_data", &place, reterr);
		if (r == 0)
			(void)json_array_append_new(array, node_json(inspect, id, &place));
	}
	return r;
}

int kt_nodes_json(struct kt_walk *walk, json_t **ret_json, struct kt_err *reterr)
{
	json_t *array = json_array();
	int r = array ? add_nodes(walk->inspect, array, reterr) : kt_err_oom(reterr);

	if (r < 0) {
		json_decref(array);
		return kt_err_prefix(reterr, r, "nodes");
	}
	*ret_json = array;
	return 0;
}
