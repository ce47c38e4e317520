/* SPDX-License-Identifier: MIT */
#pragma once
/* The CPUs that a test's machine has. */

/**
 * struct kt_topology - the shape of a machine
 * @numa_nodes: NUMA nodes; the LLCs are dealt out to them evenly. Default 1.
 * @llcs:       last-level caches in all, a multiple of @numa_nodes.
 * @cores:      cores per LLC.
 * @threads:    hardware threads per core. Default 1.
 *
 * A topology that is all zero (not given) is 1 node, 1 LLC, 2 cores, 1 thread. One that is given
 * must say @llcs and @cores. The product llcs * cores * threads is the number of CPUs, at most 255.
 * The guest compares what it sees with this before the test runs; a difference is an ERROR.
 */
struct kt_topology {
	unsigned int numa_nodes;
	unsigned int llcs;
	unsigned int cores;
	unsigned int threads;
};

/* CPUs of a topology whose defaults are filled in. */
static inline unsigned int kt_topology_cpus(const struct kt_topology *topology)
{
	return topology->llcs * topology->cores * topology->threads;
}
