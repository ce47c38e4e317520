/* SPDX-License-Identifier: MIT */
#include "guest/cgroup/cgroup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/cgroup/cpuset.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * The limits of a cgroup: the members of struct kt_cgroup_def become files of the cgroup.
 *
 * kt_cgroup_limits_fault() checks a definition on the host, before any machine runs. The other
 * functions run in PID 1: kt_cgroup_limit() when the scenario makes a cgroup, before any process is
 * in it, and the functions for cpusets for operations too. A member that is 0 writes nothing, so
 * the kernel's default stays and the controller need not exist. Invariant: no limit is silently
 * weaker than declared; what the kernel refuses or cuts is an error.
 */

#define CGROUPFS          "/sys/fs/cgroup"
#define DEFAULT_PERIOD_US 100000u /* the kernel's default period of cpu.max */

/*
 * Enables @controller for the children of @dir. The kernel refuses this with EBUSY for a cgroup
 * that has processes itself, the root excepted (the "no internal processes" rule of cgroup-v2.rst).
 */
static int enable_in(const char *dir, const char *controller, struct kt_err *reterr)
{
	KT_FREE char *path = kt_format("%s/cgroup.subtree_control", dir);
	KT_FREE char *word = kt_format("+%s", controller);
	int r;

	if (!path || !word)
		return kt_err_oom(reterr);
	r = kt_file_write(path, word);
	if (r == -EBUSY)
		return kt_err_set(
			reterr, r,
			"'%s' cannot hand the %s controller down while processes are in it", dir,
			controller);
	if (r == -ENOENT || r == -EINVAL)
		return kt_err_set(reterr, r, "the kernel has no %s controller for '%s'", controller,
				  dir);
	return r < 0 ? kt_err_set(reterr, r, "'%s': %m", path) : 0;
}

/*
 * A cgroup has the files of a controller only if every cgroup above it enables the controller for
 * its children. Walks down from the root to the parent of @name, and cuts the path in place at each
 * slash.
 */
static int enable(const char *name, const char *controller, struct kt_err *reterr)
{
	char path[PATH_MAX];
	int r = enable_in(CGROUPFS, controller, reterr);

	(void)snprintf(path, sizeof(path), KT_CGROUP_ROOT "/%s", name);
	for (char *slash = path + strlen(KT_CGROUP_ROOT); r == 0 && slash;
	     slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		r = enable_in(path, controller, reterr);
		*slash = '/';
	}
	return r;
}

/* Writes @text to @file of the cgroup, after enabling the @controller that the file belongs to. */
static int set(const char *name, const char *controller, const char *file, const char *text,
	       struct kt_err *reterr)
{
	KT_FREE char *path = kt_format(KT_CGROUP_ROOT "/%s/%s", name, file);
	int r = enable(name, controller, reterr);

	if (r < 0)
		return kt_err_prefix(reterr, r, "cgroup '%s'", name);
	if (!path)
		return kt_err_oom(reterr);
	r = kt_file_write(path, text);
	return r < 0 ? kt_err_set(reterr, r, "cgroup '%s': writing \"%s\" to %s: %m", name, text,
				  file)
		     : 0;
}

/* 0 writes nothing. KT_ZERO writes 0, KT_UNLIMITED writes "max". */
static int set_number(const char *name, const char *controller, const char *file, uint64_t value,
		      struct kt_err *reterr)
{
	char text[32];

	if (!value)
		return 0;
	if (value == KT_UNLIMITED)
		(void)snprintf(text, sizeof(text), "max");
	else
		(void)snprintf(text, sizeof(text), "%" PRIu64, value == KT_ZERO ? 0 : value);
	return set(name, controller, file, text, reterr);
}

/* cpu.max is "QUOTA PERIOD" in microseconds. A percentage is of one CPU. */
static int set_quota(const struct kt_cgroup_def *def, struct kt_err *reterr)
{
	unsigned int period_us = def->cpu_period_us ?: DEFAULT_PERIOD_US;
	unsigned int quota_us = def->cpu_quota_us ?: def->cpu_quota_pct * (period_us / 100);
	char text[32];

	if (!quota_us)
		return 0;
	(void)snprintf(text, sizeof(text), "%u %u", quota_us, period_us);
	return set(def->name, "cpu", "cpu.max", text, reterr);
}

/*
 * The kernel accepts any list in cpuset.cpus, and grants only those CPUs that the parent has too.
 * Compares what it granted (cpuset.cpus.effective) with what was asked for.
 */
static int check_effective(const char *name, const char *text, struct kt_err *reterr)
{
	KT_FREE char *path = kt_format(KT_CGROUP_ROOT "/%s/cpuset.cpus.effective", name);
	KT_FREE char *effective = NULL;
	int r = path ? kt_file_read(path, 4096, &effective, NULL) : -ENOMEM;

	if (r < 0)
		return kt_err_set(reterr, r, "cgroup '%s': cpuset.cpus.effective: %m", name);
	effective[strcspn(effective, "\n")] = '\0';
	if (strcmp(effective, text))
		return kt_err_set(
			reterr, -EINVAL,
			"cgroup '%s' was given CPUs %s, and has %s: its parent has no more", name,
			text, *effective ? effective : "none");
	return 0;
}

int kt_cgroup_set_cpuset(const char *name, const cpu_set_t *cpus, struct kt_err *reterr)
{
	char text[KT_CPUSET_TEXT_LEN];
	int r = set(name, "cpuset", "cpuset.cpus", kt_cpuset_text(cpus, text), reterr);

	return r ?: check_effective(name, text, reterr);
}

/* An empty line removes the list; the cgroup then has the CPUs of its parent. */
int kt_cgroup_clear_cpuset(const char *name, struct kt_err *reterr)
{
	return set(name, "cpuset", "cpuset.cpus", "\n", reterr);
}

/*
 * cpuset.mems: the declared nodes, or the nodes that @cpus belong to. Without a cpuset, or on a
 * machine with one node, the kernel's default stays.
 */
static int set_mems(const struct kt_cgroup_def *def, const struct kt_topology *topology,
		    const cpu_set_t *cpus, struct kt_err *reterr)
{
	char text[KT_CPUSET_TEXT_LEN];
	cpu_set_t nodes, of_node, shared;

	if (def->mems)
		return set(def->name, "cpuset", "cpuset.mems", def->mems, reterr);
	if (def->cpuset.kind == KT_CPUS_UNSET || kt_topology_nodes(topology) == 1)
		return 0;
	CPU_ZERO(&nodes);
	for (unsigned int node = 0; node < topology->numa_nodes; node++) {
		kt_cpuset_node(topology, node, &of_node);
		CPU_AND(&shared, &of_node, cpus);
		if (CPU_COUNT(&shared))
			CPU_SET(node, &nodes);
	}
	return set(def->name, "cpuset", "cpuset.mems", kt_cpuset_text(&nodes, text), reterr);
}

/* @cpus is only read by set_mems() if the definition has a cpuset. */
static int set_cpus(const struct kt_cgroup_def *def, const struct kt_topology *topology,
		    struct kt_err *reterr)
{
	cpu_set_t cpus;
	int r = 0;

	if (def->cpuset.kind != KT_CPUS_UNSET) {
		r = kt_cpuset_resolve(&def->cpuset, topology, &cpus, reterr);
		if (r < 0)
			return kt_err_prefix(reterr, r, "cgroup '%s'", def->name);
		r = kt_cgroup_set_cpuset(def->name, &cpus, reterr);
	}
	return r ?: set_mems(def, topology, &cpus, reterr);
}

int kt_cgroup_limit(const struct kt_cgroup_def *def, const struct kt_topology *topology,
		    struct kt_err *reterr)
{
	const char *name = def->name;

	return set_cpus(def, topology, reterr) ?:
	       set_quota(def, reterr) ?:
	       set_number(name, "cpu", "cpu.weight", def->cpu_weight, reterr) ?:
	       set_number(name, "memory", "memory.max", def->memory_max, reterr) ?:
	       set_number(name, "memory", "memory.high", def->memory_high, reterr) ?:
	       set_number(name, "memory", "memory.low", def->memory_low, reterr) ?:
	       set_number(name, "memory", "memory.swap.max", def->memory_swap_max, reterr) ?:
	       set_number(name, "io", "io.weight", def->io_weight, reterr) ?:
	       set_number(name, "pids", "pids.max", def->pids_max, reterr);
}

/* 0 is "not declared". */
static bool is_weight(unsigned int weight)
{
	return weight <= 10000;
}

/* The ranges are the kernel's, whose own EINVAL or ERANGE would not say which value is wrong. */
const char *kt_cgroup_limits_fault(const struct kt_cgroup_def *def)
{
	unsigned int period_us = def->cpu_period_us ?: DEFAULT_PERIOD_US;

	if (!is_weight(def->cpu_weight) || !is_weight(def->io_weight))
		return "a weight must be within 1..10000";
	if (def->cpu_quota_pct && def->cpu_quota_us)
		return "it has both .cpu_quota_pct and .cpu_quota_us";
	if (def->cpu_period_us && !def->cpu_quota_us)
		return ".cpu_period_us needs .cpu_quota_us";
	if (period_us < 1000 || period_us > 1000000)
		return ".cpu_period_us must be within 1000..1000000";
	if (def->cpu_quota_us && def->cpu_quota_us < 1000)
		return ".cpu_quota_us must be at least 1000";
	if (def->nice < -20 || def->nice > 19)
		return ".nice must be within -20..19";
	return NULL;
}
