/* SPDX-License-Identifier: MIT */
#pragma once
/* The CPUs, caches and NUMA nodes of a test's machine. */

/**
 * struct kt_topology - the shape of a machine
 * @numa_nodes: number of NUMA nodes. Default 1.
 * @llcs:       number of last-level caches in the whole machine; a multiple of @numa_nodes, so
 *              that each node has the same number of them.
 * @cores:      cores per last-level cache.
 * @threads:    hardware threads per core. Default 1.
 *
 * A topology that is all zero is a machine with 1 node, 1 LLC, 2 cores and 1 thread per core. Any
 * other topology must set @llcs and @cores. The number of CPUs, llcs * cores * threads, is at
 * most 255. CPUs are numbered in the order of nodes, LLCs, cores and threads.
 *
 * The guest compares the topology that its kernel reports with this one before the test begins; a
 * difference is an ERROR.
 */
struct kt_topology {
	unsigned int numa_nodes;
	unsigned int llcs;
	unsigned int cores;
	unsigned int threads;
};

/**
 * kt_topology_cpus() - the number of CPUs of a topology
 * @topology: with its defaults filled in, as kt_topology() returns it.
 */
static inline unsigned int kt_topology_cpus(const struct kt_topology *topology)
{
	return topology->llcs * topology->cores * topology->threads;
}
