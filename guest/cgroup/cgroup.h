/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The cgroups (v2) of a test: one directory each, below KT_CGROUP_ROOT.
 *
 * @name is everywhere the path below that root: "workers", "a/b". All functions but the two
 * ..._fault() run in PID 1 of the guest. They return 0 or a negative errno with a message in
 * @reterr, unless said otherwise; the message names the cgroup. -ETIMEDOUT means that @deadline_ns
 * (CLOCK_MONOTONIC) has passed.
 */

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/ctx.h>
#include <ktest/scenario.h>
#include <ktest/topology.h>

#include "util/err.h"

#define KT_CGROUP_ROOT "/sys/fs/cgroup/ktest"

/*
 * Why @name cannot name a cgroup, or NULL when it can: 1..200 characters, relative, no empty
 * component, none that begins with a dot or with "cgroup.". The text is constant. Runs on the host
 * too.
 */
const char *kt_cgroup_name_fault(const char *name);

/* Creates the directory, and parents that are missing. -EEXIST when it is there already. */
int kt_cgroup_create(const char *name, struct kt_err *reterr);

/*
 * Kills every process in the cgroup, waits until it is empty, and removes the directory. Cgroups
 * below it that workers made (their names begin with a dot) are removed too; any other cgroup below
 * it makes this fail with -EBUSY. Parents stay. -ENOENT when there is no such cgroup.
 */
int kt_cgroup_remove(const char *name, uint64_t deadline_ns, struct kt_err *reterr);

/*
 * Moves the process @pid to the cgroup; "" is the root cgroup, where PID 1 is. -ESRCH: it has
 * ended.
 */
int kt_cgroup_attach(const char *name, pid_t pid, struct kt_err *reterr);

/*
 * Moves every process of @from to @to, also those that are forked meanwhile. -EAGAIN when new ones
 * appear faster than they can be moved.
 */
int kt_cgroup_move_all(const char *from, const char *to, struct kt_err *reterr);

/*
 * Reads the IDs in @file, which is cgroup.procs or cgroup.threads. *@ret_pids is an array of
 * *@ret_n, for the caller to free.
 */
int kt_cgroup_list(const char *name, const char *file, pid_t **ret_pids, size_t *ret_n,
		   struct kt_err *reterr);

/*
 * Freezes or thaws the cgroup and all below it, and waits until that is done. When a freeze
 * returns, every thread is off its CPU and uses no more CPU time. A thaw does not wait while a
 * cgroup above is frozen, because the cgroup stays frozen then. A @deadline_ns of 0 makes the
 * request and never waits.
 */
int kt_cgroup_freeze(const char *name, bool freeze, uint64_t deadline_ns, struct kt_err *reterr);

/* Whether a freeze was requested for the cgroup or for one above it (their cgroup.freeze). */
bool kt_cgroup_is_frozen(const char *name);

/*
 * After its last process was reaped, waits until the kernel has taken that process off the cgroup:
 * the CPU time of its exit is charged until then. Returns at once if other processes are in the
 * cgroup, or cgroups below it.
 */
int kt_cgroup_await_left(const char *name, uint64_t deadline_ns, struct kt_err *reterr);

/* CPU time since the creation of the cgroup, in microseconds (cpu.stat). */
int kt_cgroup_usage(const char *name, struct kt_cgroup_usage *ret_usage, struct kt_err *reterr);

/*
 * Lifts the quota of CPU time (cpu.max) of a cgroup whose processes are to be killed: they need CPU
 * time for their end. Errors are ignored: it may have none.
 */
void kt_cgroup_lift_quota(const char *name);

/* Reads cpuset.cpus as it was written, "" when it was never set. The caller frees *@ret_text. */
int kt_cgroup_read_cpuset(const char *name, char **ret_text, struct kt_err *reterr);

/* ---- guest/cgroup/limits.c ------------------------------------------------------------------- */

/*
 * Writes the limits of the definition (cpuset, mems, quota, weights, memory, pids) and enables the
 * controllers that they need. Members that are 0 or NULL write nothing. -EBUSY when a controller
 * cannot be enabled because processes are in a cgroup above; -ENOENT or -EINVAL when the kernel
 * lacks it.
 */
int kt_cgroup_limit(const struct kt_cgroup_def *def, const struct kt_topology *topology,
		    struct kt_err *reterr);

/*
 * Why no cgroup can have these limits, or NULL. The text is constant. Runs on the host, at
 * validation.
 */
const char *kt_cgroup_limits_fault(const struct kt_cgroup_def *def);

/* Sets cpuset.cpus. -EINVAL when the kernel does not grant all of @cpus: the parent has fewer. */
int kt_cgroup_set_cpuset(const char *name, const cpu_set_t *cpus, struct kt_err *reterr);

/* Removes the cgroup's own list of CPUs; it has those of its parent then. */
int kt_cgroup_clear_cpuset(const char *name, struct kt_err *reterr);
