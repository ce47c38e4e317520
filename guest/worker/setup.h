/* SPDX-License-Identifier: MIT */
#pragma once
/* How the kernel is asked to treat a worker: scheduling, affinity, memory policy, identity. */

#include "guest/worker/worker.h"

/*
 * Which CPUs the @index-th worker of a group may use, within the CPUs of its place. 1 when that is said,
 * 0 when it inherits them; -EINVAL with the reason when there are none.
 */
int kt_affinity_resolve(const struct kt_affinity *affinity, const struct kt_worker_place *place,
			unsigned int index, cpu_set_t *ret_cpus, struct kt_err *reterr);

/* Makes the calling thread the @index-th worker of a group. The cgroup has been entered before. */
int kt_worker_set_up(const struct kt_work *work, const struct kt_worker_place *place,
		     const char *name, unsigned int index, struct kt_err *reterr);
