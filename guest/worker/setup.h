/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * How the kernel is asked to treat a worker: scheduling, affinity, memory policy, uid and gid. The
 * worker itself applies these to its own thread, after PID 1 has moved it to its cgroup.
 */

#include "guest/worker/worker.h"

/*
 * Finds the CPUs that @affinity gives to worker @index (from 0) of a group.
 *
 * Returns 1 and sets *@ret_cpus; returns 0 for KT_AFFINITY_INHERIT and leaves *@ret_cpus as it is.
 * *@ret_cpus may contain CPUs outside the cpuset, which the kernel ignores. Returns -EINVAL with a
 * message when no CPU of @place->cpus is left, or when the topology has no such CPUs.
 */
int kt_affinity_resolve(const struct kt_affinity *affinity, const struct kt_worker_place *place,
			unsigned int index, cpu_set_t *ret_cpus, struct kt_err *reterr);

/*
 * Makes the calling thread worker @index (from 0) of a group: name, affinity, memory policy, nice
 * value, scheduling policy, gid, uid. The thread must be in its cgroup already. @name is the name
 * of the work type; .comm of the work replaces it. Returns 0 or a negative errno with a message.
 */
int kt_worker_set_up(const struct kt_work *work, const struct kt_worker_place *place,
		     const char *name, unsigned int index, struct kt_err *reterr);
