/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Sets of CPUs, computed from a topology alone. The host checks with these functions before a
 * machine runs; the guest computes the same sets. They have no side effects.
 */

#include <sched.h>

#include <ktest/cpuset.h>
#include <ktest/topology.h>

#include "util/err.h"

/*
 * The CPUs that @spec describes; KT_CPUS_UNSET is every CPU. Returns 0, or -EINVAL with a message
 * when @spec is wrong, names what the topology does not have, or describes an empty set; *@ret_cpus
 * is undefined then.
 */
int kt_cpuset_resolve(const struct kt_cpuset *spec, const struct kt_topology *topology,
		      cpu_set_t *ret_cpus, struct kt_err *reterr);

/*
 * The number of usable CPUs, which are numbered from 0: all but the last one, which is left to PID
 * 1 and the kernel. Of one or two CPUs all are usable.
 */
unsigned int kt_cpuset_usable(const struct kt_topology *topology);

/*
 * Parses a list like "0-3,5" into a set of numbers below @limit. @what is the singular of what the
 * list names ("CPU", "node"), for the message. Returns 0, or -EINVAL when @list is NULL, empty,
 * malformed, or names a number that is not below @limit; *@ret_cpus is undefined then. @reterr may
 * be NULL.
 */
int kt_cpuset_parse(const char *list, unsigned int limit, const char *what, cpu_set_t *ret_cpus,
		    struct kt_err *reterr);

#define KT_CPUSET_TEXT_LEN 1024 /* bytes, with the NUL */

/* Writes the set as the kernel does ("0-3,5"), "" when it is empty. Returns @text. */
char *kt_cpuset_text(const cpu_set_t *cpus, char text[KT_CPUSET_TEXT_LEN]);

/*
 * All CPUs of one LLC, NUMA node with CPUs, or core, numbered from 0 over the whole machine. The
 * number must exist.
 */
void kt_cpuset_llc(const struct kt_topology *topology, unsigned int llc, cpu_set_t *ret_cpus);
void kt_cpuset_node(const struct kt_topology *topology, unsigned int node, cpu_set_t *ret_cpus);
void kt_cpuset_core(const struct kt_topology *topology, unsigned int core, cpu_set_t *ret_cpus);

/* The CPU number @n of the set, from 0 and modulo its size. The set must not be empty. */
unsigned int kt_cpuset_nth(const cpu_set_t *cpus, unsigned int n);
