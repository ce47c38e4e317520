/* SPDX-License-Identifier: MIT */
#pragma once
/* Control groups (v2) as the scenario uses them: a directory each, below one root. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/ctx.h>

#include "util/err.h"

#define KT_CGROUP_ROOT "/sys/fs/cgroup/ktest"

/* Why @name cannot name a cgroup, or NULL when it can: relative, no "..", no empty component. */
const char *kt_cgroup_name_fault(const char *name);

/* Creates the directory, parents included; -EEXIST when it is there already. */
int kt_cgroup_create(const char *name, struct kt_err *reterr);

/*
 * Removes the directory: kills what still runs in it, waits until it is empty. A parent that was
 * created only for it stays. -ENOENT when there is none.
 */
int kt_cgroup_remove(const char *name, uint64_t deadline_ns, struct kt_err *reterr);

/* Moves a process. */
int kt_cgroup_attach(const char *name, pid_t pid, struct kt_err *reterr);

/*
 * Writes cgroup.freeze, and until a deadline other than 0 waits for cgroup.events to agree, and for
 * what is frozen to be off its CPU: it uses no more CPU time from then on. A
 * thawed cgroup stays frozen while one above it is, so that is not waited for.
 */
int kt_cgroup_freeze(const char *name, bool freeze, uint64_t deadline_ns, struct kt_err *reterr);

/* Whether it or one above it is to be frozen, by their cgroup.freeze. */
bool kt_cgroup_is_frozen(const char *name);

/* CPU time since the creation of the cgroup (cpu.stat). */
int kt_cgroup_usage(const char *name, struct kt_cgroup_usage *ret_usage, struct kt_err *reterr);
