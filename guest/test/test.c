/* SPDX-License-Identifier: MIT */
#include "guest/test/test.h"

#include <string.h>

#include <ktest/scheduler.h>

#define DEFAULT_DURATION_MS 2000u
#define DEFAULT_MEMORY_MIB  512u
#define OVERHEAD_MIB        64u /* of a VMM beyond its guest's RAM */

/* Field by field: a test may change one field of its scheduler's topology and keep the others. */
struct kt_topology kt_test_topology(const struct kt_test *test)
{
	static const struct kt_topology unset;
	struct kt_topology topology = test->topology;
	const struct kt_topology *other = test->scheduler ? &test->scheduler->topology : &unset;

	topology.llcs = topology.llcs ?: other->llcs;
	topology.cores = topology.cores ?: other->cores;
	topology.threads = topology.threads ?: other->threads;
	topology.numa_nodes = topology.numa_nodes ?: other->numa_nodes;
	if (!topology.llcs && !topology.cores && !topology.threads && !topology.numa_nodes) {
		topology.llcs = 1;
		topology.cores = 2;
	}
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
