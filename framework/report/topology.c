/* SPDX-License-Identifier: MIT */
#include "framework/report/topology.h"

#include "guest/test/test.h"
#include "wire/json.h"

json_t *kt_report_topology(const struct kt_test *test)
{
	struct kt_topology topology = kt_test_topology(test);
	json_t *differ = topology.cores ? NULL
					: kt_json_counts(topology.llc_cores, KT_TOPOLOGY_LLCS);

	return json_pack("{si si si si si so*}", "numa_nodes", (int)topology.numa_nodes,
			 "memory_nodes", (int)topology.memory_nodes, "llcs", (int)topology.llcs,
			 "cores", (int)topology.cores, "threads", (int)topology.threads,
			 "llc_cores", differ);
}
