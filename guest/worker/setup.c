/* SPDX-License-Identifier: MIT */
#include "guest/worker/setup.h"

#include <errno.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest/cgroup/cpuset.h"
#include "guest/worker/type.h"
#include "util/cleanup.h"
#include "util/random.h"
#include "util/sched_attr.h"

/*
 * Turns the declaration of a work (struct kt_work) into system calls on the calling thread.
 *
 * Each worker calls kt_worker_set_up() once, between STAGE_SET_UP and STAGE_GO; PID 1 calls
 * kt_affinity_resolve() for operations that change an affinity later. Every function here works on
 * the calling thread or on values alone, so that threads of one group can set themselves up side by
 * side. A setting that the kernel refuses is an error: a worker never runs with other settings than
 * those that the test declares.
 */

/* Newer than the headers of Debian 12 (kernel: include/uapi/linux/{sched,mempolicy}.h). */
#define POLICY_EXT               7
#define MODE_PREFERRED_MANY      5
#define MODE_WEIGHTED_INTERLEAVE 6
#define USEC                     1000ull

/* ---- affinity -------------------------------------------------------------------------------- */

/* Draws @count different CPUs out of @from. The same @seed always draws the same CPUs. */
static int random_subset(const cpu_set_t *from, unsigned int count, uint64_t seed,
			 cpu_set_t *ret_cpus, struct kt_err *reterr)
{
	cpu_set_t left = *from;

	if (!count || count > (unsigned int)CPU_COUNT(from))
		return kt_err_set(reterr, -EINVAL, "a random subset of %u out of %d CPUs", count,
				  CPU_COUNT(from));
	CPU_ZERO(ret_cpus);
	while (count--) {
		unsigned int cpu =
			kt_cpuset_nth(&left, (unsigned int)(kt_random_next(&seed) >> 32));

		CPU_SET(cpu, ret_cpus);
		CPU_CLR(cpu, &left);
	}
	return 0;
}

/*
 * Counts the LLCs (or cores) that have a CPU of the place, and gives worker @index one of them in
 * turn. The result is the part's CPUs within the place.
 */
static int dealt_out(void (*part_of)(const struct kt_topology *topology, unsigned int part,
				     cpu_set_t *ret_cpus),
		     unsigned int n_parts, const struct kt_worker_place *place, unsigned int index,
		     cpu_set_t *ret_cpus)
{
	cpu_set_t shared;
	unsigned int n = 0;

	for (unsigned int i = 0; i < n_parts; i++) {
		part_of(place->topology, i, ret_cpus);
		CPU_AND(&shared, ret_cpus, &place->cpus);
		n += CPU_COUNT(&shared) > 0;
	}
	index %= n ?: 1;
	for (unsigned int i = 0; i < n_parts; i++) {
		part_of(place->topology, i, ret_cpus);
		CPU_AND(ret_cpus, ret_cpus, &place->cpus);
		if (CPU_COUNT(ret_cpus) && !index--)
			break;
	}
	return 0;
}

static int resolve(const struct kt_affinity *affinity, const struct kt_worker_place *place,
		   unsigned int index, cpu_set_t *ret_cpus, struct kt_err *reterr)
{
	const struct kt_topology *topology = place->topology;
	cpu_set_t from;
	int r;

	switch (affinity->kind) {
	case KT_AFFINITY_INHERIT:
		return 0;
	case KT_AFFINITY_RANDOM_SUBSET:
		r = kt_cpuset_resolve(&affinity->cpus, topology, &from, reterr);
		if (r < 0)
			return r;
		CPU_AND(&from, &from, &place->cpus);
		return random_subset(&from, affinity->count, place->seed + index, ret_cpus, reterr);
	case KT_AFFINITY_LLC_ALIGNED:
		return dealt_out(kt_cpuset_llc, topology->llcs, place, index, ret_cpus);
	case KT_AFFINITY_CROSS_CGROUP: /* all CPUs: the kernel keeps those of the cpuset */
		return kt_cpuset_resolve(&(const struct kt_cpuset){ .kind = KT_CPUS_UNSET },
					 topology, ret_cpus, reterr);
	case KT_AFFINITY_SINGLE_CPU:
		CPU_ZERO(ret_cpus);
		CPU_SET(kt_cpuset_nth(&place->cpus, index), ret_cpus);
		return 0;
	case KT_AFFINITY_EXACT:
		return kt_cpuset_resolve(&affinity->cpus, topology, ret_cpus, reterr);
	case KT_AFFINITY_SMT_SIBLINGS:
		if (topology->threads < 2)
			return kt_err_set(reterr, -EINVAL,
					  "SMT siblings need a topology with .threads = 2");
		return dealt_out(kt_cpuset_core, topology->llcs * topology->cores, place,
				 index / topology->threads, ret_cpus);
	}
	return kt_err_set(reterr, -EINVAL, "the affinity has no kind");
}

int kt_affinity_resolve(const struct kt_affinity *affinity, const struct kt_worker_place *place,
			unsigned int index, cpu_set_t *ret_cpus, struct kt_err *reterr)
{
	cpu_set_t shared;
	int r = resolve(affinity, place, index, ret_cpus, reterr);

	if (r < 0 || affinity->kind == KT_AFFINITY_INHERIT)
		return r;
	CPU_AND(&shared, ret_cpus, &place->cpus);
	if (!CPU_COUNT(&shared))
		return kt_err_set(reterr, -EINVAL,
				  "the affinity has no CPU of the cgroup's cpuset");
	return 1;
}

/* ---- scheduling ------------------------------------------------------------------------------ */

/*
 * sched_setattr(2) also sets the nice value of normal and batch policies: pass the current value.
 */
int kt_worker_set_sched(const struct kt_sched *sched)
{
	static const unsigned int policies[] = {
		[KT_SCHED_OTHER] = SCHED_OTHER, [KT_SCHED_BATCH] = SCHED_BATCH,
		[KT_SCHED_IDLE] = SCHED_IDLE,   [KT_SCHED_FIFO] = SCHED_FIFO,
		[KT_SCHED_RR] = SCHED_RR,       [KT_SCHED_DEADLINE] = SCHED_DEADLINE,
		[KT_SCHED_EXT] = POLICY_EXT,
	};
	struct sched_attr attr = { .size = sizeof(attr) };

	if (sched->policy == KT_SCHED_UNSET)
		return 0;
	attr.sched_policy = policies[sched->policy];
	attr.sched_nice = getpriority(PRIO_PROCESS, 0);
	attr.sched_priority = sched->priority;
	attr.sched_runtime = sched->runtime_us * USEC;
	attr.sched_deadline = sched->deadline_us * USEC;
	attr.sched_period = (sched->period_us ?: sched->deadline_us) * USEC;
	return syscall(SYS_sched_setattr, 0, &attr, 0) < 0 ? -errno : 0;
}

/* 0 is "not declared" and leaves the nice value that the process inherited from PID 1. */
static int set_nice(int nice)
{
	if (!nice)
		return 0;
	return setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice) < 0 ? -errno : 0;
}

static int set_affinity(const struct kt_work *work, const struct kt_worker_place *place,
			unsigned int index, struct kt_err *reterr)
{
	cpu_set_t cpus;
	int r = kt_affinity_resolve(&work->affinity, place, index, &cpus, reterr);

	if (r <= 0)
		return r;
	return sched_setaffinity(0, sizeof(cpus), &cpus) < 0
		       ? kt_err_set(reterr, -errno, "sched_setaffinity: %m")
		       : 0;
}

/* ---- memory ---------------------------------------------------------------------------------- */

/*
 * set_mempolicy(2) applies to the calling thread. Its flags are the top bits of the mode (kernel:
 * include/uapi/linux/mempolicy.h, MPOL_F_*), written as numbers because older headers lack some.
 */
static int set_mempolicy_of(const struct kt_mempolicy *policy, unsigned int n_nodes,
			    struct kt_err *reterr)
{
	static const int modes[] = {
		[KT_MPOL_BIND] = MPOL_BIND,
		[KT_MPOL_PREFERRED] = MPOL_PREFERRED,
		[KT_MPOL_INTERLEAVE] = MPOL_INTERLEAVE,
		[KT_MPOL_LOCAL] = MPOL_LOCAL,
		[KT_MPOL_PREFERRED_MANY] = MODE_PREFERRED_MANY,
		[KT_MPOL_WEIGHTED_INTERLEAVE] = MODE_WEIGHTED_INTERLEAVE,
	};
	unsigned long mask[CPU_SETSIZE / (8 * sizeof(unsigned long))] = { 0 };
	cpu_set_t nodes;
	int mode, r = 0;

	if (policy->mode == KT_MPOL_DEFAULT)
		return 0;
	CPU_ZERO(&nodes);
	if (policy->nodes)
		r = kt_cpuset_parse(policy->nodes, n_nodes, "node", &nodes, reterr);
	if (r < 0)
		return r;
	for (unsigned int node = 0; node < n_nodes; node++) {
		if (CPU_ISSET(node, &nodes))
			mask[node / (8 * sizeof(mask[0]))] |= 1ul << node % (8 * sizeof(mask[0]));
	}
	mode = modes[policy->mode] | (policy->flags & KT_MPOL_STATIC_NODES ? 1 << 15 : 0) |
	       (policy->flags & KT_MPOL_RELATIVE_NODES ? 1 << 14 : 0) |
	       (policy->flags & KT_MPOL_NUMA_BALANCING ? 1 << 13 : 0);
	if (syscall(SYS_set_mempolicy, mode, policy->nodes ? mask : NULL,
		    policy->nodes ? n_nodes + 1ul : 0ul) < 0)
		return kt_err_set(reterr, -errno, "set_mempolicy(%d, \"%s\"): %m", mode,
				  policy->nodes ?: "");
	return 0;
}

/* ---- all of it ------------------------------------------------------------------------------- */

/*
 * The raw system calls change the calling thread only. The functions of glibc would change all
 * threads of the process, among them workers that have not set their policy yet. The gid is first:
 * it needs root.
 */
static int set_ids(const struct kt_work *work)
{
	if (work->gid && syscall(SYS_setresgid, work->gid, work->gid, work->gid) < 0)
		return -errno;
	if (work->uid && syscall(SYS_setresuid, work->uid, work->uid, work->uid) < 0)
		return -errno;
	return 0;
}

/* The uid is last: everything before it may need root. */
int kt_worker_set_up(const struct kt_work *work, const struct kt_worker_place *place,
		     const char *name, unsigned int index, struct kt_err *reterr)
{
	int r;

	(void)prctl(PR_SET_NAME, work->comm ?: name);
	r = set_affinity(work, place, index, reterr)
		    ?: set_mempolicy_of(&work->mempolicy, kt_topology_nodes(place->topology),
					reterr);
	if (r < 0)
		return r;
	r = set_nice(work->nice);
	if (r < 0)
		return kt_err_set(reterr, r, "nice %d: %m", work->nice);
	r = kt_worker_set_sched(&work->sched);
	if (r < 0)
		return kt_err_set(reterr, r, "scheduling policy: %m");
	r = set_ids(work);
	return r < 0 ? kt_err_set(reterr, r, "uid %u, gid %u: %m", work->uid, work->gid) : 0;
}
