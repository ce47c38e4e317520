/* SPDX-License-Identifier: MIT */
#pragma once
/* Control groups (v2) as the scenario uses them: a directory each, below one root. */

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/ctx.h>
#include <ktest/scenario.h>
#include <ktest/topology.h>

#include "util/err.h"

#define KT_CGROUP_ROOT "/sys/fs/cgroup/ktest"

/* Why @name cannot name a cgroup, or NULL when it can: relative, no "..", no empty component. */
const char *kt_cgroup_name_fault(const char *name);

/* Creates the directory, parents included; -EEXIST when it is there already. */
int kt_cgroup_create(const char *name, struct kt_err *reterr);

/*
 * Removes the directory: kills what still runs in it, waits until it is empty. Cgroups below it that
 * workers made (their names begin with a dot) go with it. A parent that was created only for it stays.
 * -ENOENT when there is none.
 */
int kt_cgroup_remove(const char *name, uint64_t deadline_ns, struct kt_err *reterr);

/* Moves a process; "" is where PID 1 is. */
int kt_cgroup_attach(const char *name, pid_t pid, struct kt_err *reterr);

/*
 * Writes cgroup.freeze, and until a deadline other than 0 waits for cgroup.events to agree, and for
 * what is frozen to be off its CPU: it uses no more CPU time from then on. A
 * thawed cgroup stays frozen while one above it is, so that is not waited for.
 */
int kt_cgroup_freeze(const char *name, bool freeze, uint64_t deadline_ns, struct kt_err *reterr);

/* Whether it or one above it is to be frozen, by their cgroup.freeze. */
bool kt_cgroup_is_frozen(const char *name);

/* ---- guest/cgroup/limits.c ------------------------------------------------------------------- */

/* Sets all that the definition says of the cgroup's limits, controllers being enabled as needed. */
int kt_cgroup_limit(const struct kt_cgroup_def *def, const struct kt_topology *topology,
		    struct kt_err *reterr);

/* Why such limits cannot be, or NULL; for validation, on the host. */
const char *kt_cgroup_limits_fault(const struct kt_cgroup_def *def);

/* -EINVAL when the kernel does not let it have all of them. */
int kt_cgroup_set_cpuset(const char *name, const cpu_set_t *cpus, struct kt_err *reterr);
int kt_cgroup_clear_cpuset(const char *name, struct kt_err *reterr);

/* ---- guest/cgroup/cgroup.c, again ------------------------------------------------------------ */

/* *@ret_pids, to be freed, are those in its cgroup.procs or cgroup.threads (@file). */
int kt_cgroup_list(const char *name, const char *file, pid_t **ret_pids, size_t *ret_n,
		   struct kt_err *reterr);

/* Moves every process, also those that are forked meanwhile. */
int kt_cgroup_move_all(const char *from, const char *to, struct kt_err *reterr);

/* cpuset.cpus as it was written, "" for none, to be freed. */
int kt_cgroup_read_cpuset(const char *name, char **ret_text, struct kt_err *reterr);

/*
 * When its last process has been reaped, waits until it has left: what it still runs to do so is charged
 * to the cgroup. Nothing to wait for when there are others, or cgroups below.
 */
int kt_cgroup_await_left(const char *name, uint64_t deadline_ns, struct kt_err *reterr);

/* CPU time since the creation of the cgroup (cpu.stat). */
int kt_cgroup_usage(const char *name, struct kt_cgroup_usage *ret_usage, struct kt_err *reterr);
