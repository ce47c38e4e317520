/* SPDX-License-Identifier: MIT */
#pragma once
/* Groups of workers: processes or threads that do one kind of work until they are stopped. */

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/report.h>
#include <ktest/topology.h>
#include <ktest/work.h>

#include "util/err.h"

struct kt_worker_group;

/* Where workers run. All pointers are borrowed for the life of the group. */
struct kt_worker_place {
	const char *cgroup;                 /* NULL: where PID 1 is */
	const struct kt_topology *topology; /* of the machine */
	cpu_set_t cpus;                     /* the cgroup's cpuset */
	uint64_t seed;
	unsigned int number; /* of the group, in the test */
};

/*
 * Starts the workers of @work: forks all, moves all to the cgroup, has each set itself up (policy,
 * affinity, names), and when all have, lets all go. A worker that cannot be what it is to be is an
 * error, and none is left.
 */
int kt_worker_group_start(const struct kt_work *work, const struct kt_worker_place *place,
			  uint64_t deadline_ns, struct kt_worker_group **ret_group,
			  struct kt_err *reterr);

/* Asks every worker to end; kt_worker_group_stop() does so first if that has not been done. */
void kt_worker_group_ask_to_end(struct kt_worker_group *group);

/*
 * Asks every worker to end, kills those that have not by @deadline_ns, reaps all, frees the group. What
 * they have done is appended to *@reports, an array of *@n, which is to be freed with the cgroups' names
 * in it; NULL: nobody wants to know.
 */
struct kt_worker_group *kt_worker_group_stop(struct kt_worker_group *group, uint64_t deadline_ns,
					     struct kt_worker_report **reports, size_t *n);

unsigned int kt_worker_group_count(const struct kt_worker_group *group);

/* Iterations of all its workers until now. */
uint64_t kt_worker_group_iterations(const struct kt_worker_group *group);

/* Moves all its processes; what has ended meanwhile is passed over. */
int kt_worker_group_move(struct kt_worker_group *group, const char *cgroup, struct kt_err *reterr);

/* The name that its reports bear. */
void kt_worker_group_set_cgroup(struct kt_worker_group *group, const char *cgroup);

/* Its workers may be seen on these CPUs too. */
void kt_worker_group_allow(struct kt_worker_group *group, const cpu_set_t *cpus);

/* Gives every worker that is alive the affinity, anew. */
int kt_worker_group_set_affinity(struct kt_worker_group *group, const struct kt_affinity *affinity,
				 const struct kt_worker_place *place, struct kt_err *reterr);

/* Becomes readable when a worker ends; to wait for with others. */
int kt_worker_group_fd(const struct kt_worker_group *group);

bool kt_worker_group_has(const struct kt_worker_group *group, pid_t pid);

/* A worker that has ended by itself, which none should: its index, or -1. *@ret_status as wait(2). */
int kt_worker_group_lost(struct kt_worker_group *group, int *ret_status);
