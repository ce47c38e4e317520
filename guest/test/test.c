/* SPDX-License-Identifier: MIT */
#include "guest/test/test.h"

#include <string.h>

#include <ktest/scheduler.h>

#define DEFAULT_DURATION_MS 2000u
#define DEFAULT_MEMORY_MIB  512u
#define OVERHEAD_MIB        64u /* of a VMM beyond its guest's RAM */

/* A list of cores is one of LLCs, too: both come from the same declaration. */
static void fill_llcs(struct kt_topology *topology, const struct kt_topology *other)
{
	if (topology->llc_cores[0])
		return;
	if (other->llc_cores[0] && !topology->llcs && !topology->cores) {
		memcpy(topology->llc_cores, other->llc_cores, sizeof(topology->llc_cores));
		return;
	}
	topology->llcs = topology->llcs ?: other->llcs;
	topology->cores = topology->cores ?: other->cores;
}

/* LLCs that are listed, but do not differ, are LLCs as others. */
static void count_llcs(struct kt_topology *topology)
{
	unsigned int first = topology->llc_cores[0], n = 0;
	bool differ = false;

	for (; n < KT_TOPOLOGY_LLCS && topology->llc_cores[n]; n++)
		differ |= topology->llc_cores[n] != first;
	if (!n)
		return;
	topology->llcs = n;
	topology->cores = differ ? 0 : first;
	if (!differ)
		memset(topology->llc_cores, 0, sizeof(topology->llc_cores));
}

/* Field by field: a test may change one field of its scheduler's topology and keep the others. */
struct kt_topology kt_test_topology(const struct kt_test *test)
{
	static const struct kt_topology unset;
	struct kt_topology topology = test->topology;
	const struct kt_topology *other = test->scheduler ? &test->scheduler->topology : &unset;

	fill_llcs(&topology, other);
	topology.threads = topology.threads ?: other->threads;
	topology.numa_nodes = topology.numa_nodes ?: other->numa_nodes;
	topology.memory_nodes = topology.memory_nodes ?: other->memory_nodes;
	if (!memcmp(&topology, &unset, sizeof(topology))) {
		topology.llcs = 1;
		topology.cores = 2;
	}
	count_llcs(&topology);
	topology.threads = topology.threads ?: 1;
	topology.numa_nodes = topology.numa_nodes ?: 1;
	return topology;
}

unsigned int kt_test_vcpus(const struct kt_test *test)
{
	struct kt_topology topology = kt_test_topology(test);

	return kt_topology_cpus(&topology);
}

unsigned int kt_test_duration_ms(const struct kt_test *test)
{
	return test->duration_ms ?: DEFAULT_DURATION_MS;
}

unsigned int kt_test_memory_mib(const struct kt_test *test)
{
	return test->memory_mib ?: DEFAULT_MEMORY_MIB;
}

unsigned int kt_test_machine_mib(const struct kt_test *test)
{
	return kt_test_memory_mib(test) + test->disk_mib + OVERHEAD_MIB;
}

uint64_t kt_test_files_max(const struct kt_test *test)
{
	return (uint64_t)kt_test_memory_mib(test) << 20 >> 1;
}

bool kt_test_same_machine(const struct kt_test *a, const struct kt_test *b)
{
	struct kt_topology left = kt_test_topology(a), right = kt_test_topology(b);

	return !memcmp(&left, &right, sizeof(left)) && a->time == b->time && a->mips == b->mips &&
	       a->disk_mib == b->disk_mib && a->net == b->net &&
	       kt_test_memory_mib(a) == kt_test_memory_mib(b);
}
