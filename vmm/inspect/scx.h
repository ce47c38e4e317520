/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * sched_ext: its schedulers, of which there are several from Linux 7.1 on (sub-schedulers), with
 * their event counters. queues.h has their dispatch queues.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/walk.h"

#define KT_SCX_SCHEDS_MAX 256u

struct kt_scx_sched {
	uint64_t kva;       /* of its struct scx_sched */
	uint64_t exit_info; /* of its struct scx_exit_info; 0: not known */
	bool root;
	int32_t level; /* of sub-schedulers in each other; 0: the root */
	char name[128];
	uint32_t exit_kind;
	const char *exit_name; /* enumerator; NULL: unknown to the kernel's types */
};

/*
 * The schedulers, in the kernel's order; an array to be freed. There are none when sched_ext is not
 * in use. -ENOENT when the kernel does not have it.
 */
int kt_scx_scheds(struct kt_inspect *inspect, struct kt_scx_sched **ret_scheds, size_t *ret_n,
		  struct kt_err *reterr);

/*
 * Whether the CPU that has claimed the exit of a scheduler, by a write to exit_kind, has gone on
 * since: what it writes next is kind in exit_info (scx_vexit(), kernel/sched/ext.c). True too if
 * that cannot be read.
 */
bool kt_scx_exit_goes_on(struct kt_inspect *inspect, const struct kt_scx_sched *sched);

/*
 * The event counters of a scheduler: *@ret_n names (borrowed), each with n_cpus values, in an array
 * [event * n_cpus + cpu]. Both arrays are to be freed. Counters of a CPU that is not possible are
 * 0.
 */
int kt_scx_events(struct kt_inspect *inspect, uint64_t sched, const char ***ret_names,
		  int64_t **ret_values, size_t *ret_n, struct kt_err *reterr);

/* {"state": ..., "schedulers": [...], "queues": [...]} */
int kt_scx_json(struct kt_walk *walk, const char *unused, json_t **ret_json, struct kt_err *reterr);
