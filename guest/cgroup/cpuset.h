/* SPDX-License-Identifier: MIT */
#pragma once
/* Sets of CPUs of a topology. Known before a machine runs, so that the host can check them. */

#include <sched.h>

#include <ktest/cpuset.h>
#include <ktest/topology.h>

#include "util/err.h"

/* The CPUs @spec says; every CPU for KT_CPUS_UNSET. -EINVAL with why it says none. */
int kt_cpuset_resolve(const struct kt_cpuset *spec, const struct kt_topology *topology,
		      cpu_set_t *ret_cpus, struct kt_err *reterr);

/* All but the last, which is PID 1's; of one or two, all. */
unsigned int kt_cpuset_usable(const struct kt_topology *topology);

/* "0-3,5": -EINVAL when it is no such list, or names something >= @limit; @what for the message. */
int kt_cpuset_parse(const char *list, unsigned int limit, const char *what, cpu_set_t *ret_cpus,
		    struct kt_err *reterr);

#define KT_CPUSET_TEXT_LEN 1024

/* As the kernel writes it; "" for an empty one. Returns @text. */
char *kt_cpuset_text(const cpu_set_t *cpus, char text[KT_CPUSET_TEXT_LEN]);

/* The CPUs of an LLC, of a node, of a core. */
void kt_cpuset_llc(const struct kt_topology *topology, unsigned int llc, cpu_set_t *ret_cpus);
void kt_cpuset_node(const struct kt_topology *topology, unsigned int node, cpu_set_t *ret_cpus);
void kt_cpuset_core(const struct kt_topology *topology, unsigned int core, cpu_set_t *ret_cpus);

/* The @n-th CPU of the set, counted from 0 and beginning anew at its end; it must not be empty. */
unsigned int kt_cpuset_nth(const cpu_set_t *cpus, unsigned int n);
