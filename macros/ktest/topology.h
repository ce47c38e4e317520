/* SPDX-License-Identifier: MIT */
#pragma once
/* The CPUs, caches and NUMA nodes of a test's machine. */

/* KT_TOPOLOGY_LLCS - how many LLCs .llc_cores can list */
#define KT_TOPOLOGY_LLCS 16

/**
 * struct kt_topology - the shape of a machine
 * @numa_nodes:   number of NUMA nodes that have CPUs. Default 1.
 * @llcs:         number of last-level caches in the whole machine; a multiple of @numa_nodes, so
 *                that each node has the same number of them.
 * @cores:        cores per last-level cache.
 * @threads:      hardware threads per core. Default 1.
 * @memory_nodes: number of NUMA nodes that have memory and no CPUs, as memory behind CXL; they are
 *                numbered behind the others. Default 0.
 * @llc_cores:    in place of @llcs and @cores, for LLCs that differ: the cores of each, as in
 *                .llc_cores = { 4, 2 }. Only the native machine can have them: under QEMU the test
 *                is skipped.
 *
 * A topology that is all zero is a machine with 1 node, 1 LLC, 2 cores and 1 thread per core. Any
 * other topology must set @llcs and @cores, or @llc_cores. The number of CPUs is at most 255. CPUs
 * are numbered in the order of nodes, LLCs, cores and threads. Each node, with CPUs or without, has
 * the same part of the memory.
 *
 * The guest compares the topology that its kernel reports with this one before the test begins; a
 * difference is an ERROR.
 *
 * In what kt_topology() returns, the defaults are filled in. @llcs always counts the LLCs, and
 * @cores is 0 if they differ.
 */
struct kt_topology {
	unsigned int numa_nodes;
	unsigned int llcs;
	unsigned int cores;
	unsigned int threads;
	unsigned int memory_nodes;
	unsigned int llc_cores[KT_TOPOLOGY_LLCS];
};

/**
 * kt_topology_llc_cores() - the number of cores of one LLC
 * @topology: with its defaults filled in, as kt_topology() returns it.
 * @llc:      number of the LLC, from 0; below topology->llcs.
 */
static inline unsigned int kt_topology_llc_cores(const struct kt_topology *topology,
						 unsigned int llc)
{
	return topology->cores ? topology->cores : topology->llc_cores[llc];
}

/**
 * kt_topology_cores() - the number of cores of a topology
 * @topology: likewise.
 */
static inline unsigned int kt_topology_cores(const struct kt_topology *topology)
{
	unsigned int llc, cores = 0;

	if (topology->cores)
		return topology->llcs * topology->cores;
	for (llc = 0; llc < topology->llcs && llc < KT_TOPOLOGY_LLCS; llc++)
		cores += topology->llc_cores[llc];
	return cores;
}

/**
 * kt_topology_cpus() - the number of CPUs of a topology
 * @topology: likewise.
 */
static inline unsigned int kt_topology_cpus(const struct kt_topology *topology)
{
	return kt_topology_cores(topology) * topology->threads;
}

/**
 * kt_topology_nodes() - the number of NUMA nodes of a topology, with CPUs and without
 * @topology: likewise.
 */
static inline unsigned int kt_topology_nodes(const struct kt_topology *topology)
{
	return topology->numa_nodes + topology->memory_nodes;
}
