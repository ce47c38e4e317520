/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Groups of workers: processes or threads that do one kind of work (enum kt_work_type) until PID 1
 * stops them. The scenario starts and stops groups with these functions. All of them run in PID 1;
 * what a worker itself calls is in guest/worker/type.h.
 */

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
	const char *cgroup;                 /* below KT_CGROUP_ROOT; NULL: PID 1's own cgroup */
	const struct kt_topology *topology; /* of the machine */
	cpu_set_t cpus;                     /* CPUs that the cgroup's cpuset allows; not empty */
	uint64_t seed;                      /* worker i draws random numbers from seed + i */
	unsigned int number;                /* of the group within the test, from 0 */
};

/*
 * Starts the workers of @work: forks all of them, moves them to the cgroup, lets each set itself up
 * (affinity, memory policy, nice value, scheduling policy, uid and gid), and releases them together
 * when the last one is ready. @work is copied.
 *
 * Returns 0, or a negative errno with a message: -ENOTSUP when the machine lacks what the work
 * needs, -EINVAL when the number of workers is not a multiple of the unit size, -ECHILD when a
 * worker ends before it is ready, -ETIMEDOUT at @deadline_ns, otherwise the error of the set-up
 * step that failed. On failure no worker is left.
 */
int kt_worker_group_start(const struct kt_work *work, const struct kt_worker_place *place,
			  uint64_t deadline_ns, struct kt_worker_group **ret_group,
			  struct kt_err *reterr);

/*
 * Asks every worker to end and returns at once. Only the first call has an effect.
 * kt_worker_group_stop() asks too, so a separate call is needed only to let several groups end at
 * the same time.
 */
void kt_worker_group_ask_to_end(struct kt_worker_group *group);

/*
 * Asks every worker to end, kills those that have not by @deadline_ns (0: at once), reaps all, and
 * frees the group. Reports of the workers are appended to *@reports, an array of *@n, which is to
 * be freed with the names of cgroups in it; @reports may be NULL. *@ret_fault, which may be NULL,
 * becomes a sentence, to be freed, about the first worker that did not end as it should: by itself,
 * by a signal, with an error, or not at all in the time it was given. NULL when there is none, or
 * when kt_worker_group_lost() has told about it.
 */
struct kt_worker_group *kt_worker_group_stop(struct kt_worker_group *group, uint64_t deadline_ns,
					     struct kt_worker_report **reports, size_t *n,
					     char **ret_fault);

/* The number of workers, whether they are processes or threads. */
unsigned int kt_worker_group_count(const struct kt_worker_group *group);

/* The thread ID of worker @i; 0 if it has not started. */
pid_t kt_worker_group_tid(const struct kt_worker_group *group, unsigned int i);

/* The sum of the iterations that its workers have done so far. */
uint64_t kt_worker_group_iterations(const struct kt_worker_group *group);

/*
 * Moves all its processes to @cgroup and ignores processes that have ended. Returns 0 or the
 * negative errno of kt_cgroup_attach(); the processes before the one that failed stay moved.
 */
int kt_worker_group_move(struct kt_worker_group *group, const char *cgroup, struct kt_err *reterr);

/* Sets the cgroup that its reports name. @cgroup is borrowed for the life of the group. */
void kt_worker_group_set_cgroup(struct kt_worker_group *group, const char *cgroup);

/*
 * Tells the group that its cgroup's cpuset is now @cpus. The reports list the CPUs of every cpuset
 * that the workers were in, so that the check of isolation accepts all of them. Moves no worker.
 */
void kt_worker_group_allow(struct kt_worker_group *group, const cpu_set_t *cpus);

/*
 * Applies @affinity to every worker that is alive. KT_AFFINITY_INHERIT allows all CPUs of @place.
 * Returns 0 or a negative errno: that of kt_affinity_resolve() or of sched_setaffinity(2).
 */
int kt_worker_group_set_affinity(struct kt_worker_group *group, const struct kt_affinity *affinity,
				 const struct kt_worker_place *place, struct kt_err *reterr);

/*
 * A file descriptor for poll(2) that becomes readable when a process of the group ends. It stays
 * the group's own.
 */
int kt_worker_group_fd(const struct kt_worker_group *group);

/* Whether @pid is a process of the group that was not reaped yet. */
bool kt_worker_group_has(const struct kt_worker_group *group, pid_t pid);

/*
 * Reaps a process that has ended although the group was not asked to, which is an error of the
 * test. Returns its index (0 for a group of threads, which has one process), or -1 when all still
 * run. *@ret_status is its wait status, as of waitpid(2).
 */
int kt_worker_group_lost(struct kt_worker_group *group, int *ret_status);
