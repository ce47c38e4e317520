/* SPDX-License-Identifier: MIT */
#include "guest/cgroup/cpuset.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * Turns descriptions of CPU sets into sets, by arithmetic on the topology alone. Nothing here looks
 * at the machine, so the host can check a test's sets before a machine runs, and the guest gets the
 * same result.
 *
 * CPUs are numbered without holes: first the threads of a core, then the cores of an LLC, then the
 * LLCs of a node. The guest compares the machine with the topology before a test runs. Sets that a
 * test declares are checked here; numbers that the framework passes (of an LLC, a node, a core) are
 * not.
 */

/* The CPUs from @begin to before @end. */
static void set_range(cpu_set_t *cpus, unsigned int begin, unsigned int end)
{
	CPU_ZERO(cpus);
	for (unsigned int cpu = begin; cpu < end; cpu++)
		CPU_SET(cpu, cpus);
}

unsigned int kt_cpuset_usable(const struct kt_topology *topology)
{
	unsigned int n = kt_topology_cpus(topology);

	return n > 2 ? n - 1 : n;
}

/* The first CPU of an LLC; of the one behind the last, the number of CPUs. */
static unsigned int first_cpu(const struct kt_topology *topology, unsigned int llc)
{
	unsigned int cores = 0;

	while (llc--)
		cores += kt_topology_llc_cores(topology, llc);
	return cores * topology->threads;
}

void kt_cpuset_llc(const struct kt_topology *topology, unsigned int llc, cpu_set_t *ret_cpus)
{
	set_range(ret_cpus, first_cpu(topology, llc), first_cpu(topology, llc + 1));
}

void kt_cpuset_node(const struct kt_topology *topology, unsigned int node, cpu_set_t *ret_cpus)
{
	unsigned int n = topology->llcs / topology->numa_nodes;

	set_range(ret_cpus, first_cpu(topology, node * n), first_cpu(topology, (node + 1) * n));
}

void kt_cpuset_core(const struct kt_topology *topology, unsigned int core, cpu_set_t *ret_cpus)
{
	set_range(ret_cpus, core * topology->threads, (core + 1) * topology->threads);
}

unsigned int kt_cpuset_nth(const cpu_set_t *cpus, unsigned int n)
{
	unsigned int cpu = 0;

	for (n %= (unsigned int)CPU_COUNT(cpus);; cpu++) {
		if (CPU_ISSET(cpu, cpus) && !n--)
			return cpu;
	}
}

/*
 * Reads the number at *@at and moves *@at behind it. -EINVAL when there is no digit, -ERANGE when
 * the number is not below @limit.
 */
static int parse_number(const char **at, unsigned int limit, unsigned int *ret_value)
{
	char *end;
	unsigned long value;

	if (**at < '0' || **at > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(*at, &end, 10);
	if (errno || value >= limit)
		return -ERANGE;
	*at = end;
	*ret_value = (unsigned int)value;
	return 0;
}

/* The kernel's format of lists, without its strides ("0-10:2/4"). An empty list is an error. */
int kt_cpuset_parse(const char *list, unsigned int limit, const char *what, cpu_set_t *ret_cpus,
		    struct kt_err *reterr)
{
	const char *at = list ?: "";

	CPU_ZERO(ret_cpus);
	for (;;) {
		unsigned int first = 0, last;
		int r = parse_number(&at, limit, &first);

		last = first;
		if (r == 0 && *at == '-') {
			at++;
			r = parse_number(&at, limit, &last);
		}
		if (r == -ERANGE)
			return kt_err_set(reterr, -EINVAL, "\"%s\" names a %s that is not below %u",
					  list, what, limit);
		if (r < 0 || last < first || (*at && *at != ','))
			return kt_err_set(reterr, -EINVAL,
					  "\"%s\" is not a list of %ss like \"0-3,5\"", list ?: "",
					  what);
		for (; first <= last; first++)
			CPU_SET(first, ret_cpus);
		if (!*at++)
			return 0;
	}
}

/* Consecutive CPUs become a range, as in the kernel's files, so that the texts can be compared. */
char *kt_cpuset_text(const cpu_set_t *cpus, char text[KT_CPUSET_TEXT_LEN])
{
	size_t len = 0;

	text[0] = '\0';
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE && len < KT_CPUSET_TEXT_LEN - 16; cpu++) {
		unsigned int first = cpu;

		if (!CPU_ISSET(cpu, cpus))
			continue;
		while (cpu + 1 < CPU_SETSIZE && CPU_ISSET(cpu + 1, cpus))
			cpu++;
		len += (size_t)snprintf(text + len, KT_CPUSET_TEXT_LEN - len,
					first < cpu ? "%s%u-%u" : "%s%u", len ? "," : "", first,
					cpu);
	}
	return text;
}

/* Whether @value is within [@low, @high]. False for NaN. */
static bool within(double value, double low, double high)
{
	return isgreaterequal(value, low) && islessequal(value, high);
}

/* Fractions of @n usable CPUs, rounded to the nearest CPU. */
static int resolve_range(const struct kt_cpuset *spec, unsigned int n, cpu_set_t *ret_cpus,
			 struct kt_err *reterr)
{
	if (!within(spec->from, 0, 1) || !within(spec->to, 0, 1) || spec->from >= spec->to)
		return kt_err_set(reterr, -EINVAL,
				  "the range %g..%g is not within 0..1, or is empty", spec->from,
				  spec->to);
	set_range(ret_cpus, (unsigned int)(spec->from * n + 0.5),
		  (unsigned int)(spec->to * n + 0.5));
	return 0;
}

/*
 * Part .index of .of parts of @n CPUs. The parts are disjoint and cover all CPUs; then each reaches
 * into both neighbours by @overlap of its own size. A part without any CPU of its own stays empty,
 * which is an error later.
 */
static int resolve_part(const struct kt_cpuset *spec, double overlap, unsigned int n,
			cpu_set_t *ret_cpus, struct kt_err *reterr)
{
	unsigned int begin, end, reach;

	if (!spec->of || spec->index >= spec->of)
		return kt_err_set(reterr, -EINVAL, "part %u (counted from 0) of %u", spec->index,
				  spec->of);
	if (!within(overlap, 0, 1))
		return kt_err_set(reterr, -EINVAL, "the overlap %g is not within 0..1", overlap);
	begin = (unsigned int)((uint64_t)spec->index * n / spec->of);
	end = (unsigned int)((spec->index + UINT64_C(1)) * n / spec->of);
	reach = (unsigned int)((end - begin) * overlap + 0.5);
	set_range(ret_cpus, begin > reach ? begin - reach : 0, KT_MIN(end + reach, n));
	if (begin == end)
		CPU_ZERO(ret_cpus);
	return 0;
}

static int check_index(unsigned int index, unsigned int n, const char *what, struct kt_err *reterr)
{
	if (index < n)
		return 0;
	return kt_err_set(reterr, -EINVAL, "%s %u, counted from 0, of %u", what, index, n);
}

static int check_node(unsigned int node, const struct kt_topology *topology, struct kt_err *reterr)
{
	if (node >= topology->numa_nodes && node < kt_topology_nodes(topology))
		return kt_err_set(reterr, -EINVAL, "NUMA node %u has memory and no CPUs", node);
	return check_index(node, topology->numa_nodes, "NUMA node", reterr);
}

/* LLCs, nodes and exact lists may name every CPU. Ranges and parts divide the usable CPUs only. */
static int resolve(const struct kt_cpuset *spec, const struct kt_topology *topology,
		   cpu_set_t *ret_cpus, struct kt_err *reterr)
{
	unsigned int usable = kt_cpuset_usable(topology), all = kt_topology_cpus(topology);
	int r;

	switch (spec->kind) {
	case KT_CPUS_UNSET:
		set_range(ret_cpus, 0, all);
		return 0;
	case KT_CPUS_LLC:
		r = check_index(spec->index, topology->llcs, "LLC", reterr);
		if (r == 0)
			kt_cpuset_llc(topology, spec->index, ret_cpus);
		return r;
	case KT_CPUS_NUMA:
		r = check_node(spec->index, topology, reterr);
		if (r == 0)
			kt_cpuset_node(topology, spec->index, ret_cpus);
		return r;
	case KT_CPUS_RANGE:
		return resolve_range(spec, usable, ret_cpus, reterr);
	case KT_CPUS_DISJOINT:
		return resolve_part(spec, 0, usable, ret_cpus, reterr);
	case KT_CPUS_OVERLAP:
		return resolve_part(spec, spec->from, usable, ret_cpus, reterr);
	case KT_CPUS_EXACT:
		return kt_cpuset_parse(spec->exact, all, "CPU", ret_cpus, reterr);
	}
	return kt_err_set(reterr, -EINVAL, "it has no kind; use the macros, as KT_CPUSET_LLC()");
}

int kt_cpuset_resolve(const struct kt_cpuset *spec, const struct kt_topology *topology,
		      cpu_set_t *ret_cpus, struct kt_err *reterr)
{
	int r = resolve(spec, topology, ret_cpus, reterr);

	if (r < 0)
		return kt_err_prefix(reterr, r, "set of CPUs");
	if (CPU_COUNT(ret_cpus))
		return 0;
	return kt_err_set(reterr, -EINVAL, "the set of CPUs is empty: %u usable CPUs are too few",
			  kt_cpuset_usable(topology));
}
