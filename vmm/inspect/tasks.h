/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * All tasks of the kernel and their threads, in the order of their ids: what the initial pid
 * namespace knows. The idle tasks of the CPUs have no id; runqueues.h shows them.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/walk.h"

/* What sched_ext has of a task. */
struct kt_task_scx {
	const char *state; /* enumerator, "SCX_TASK_ENABLED"; NULL: unknown to the kernel's types */
	uint32_t flags;
	uint64_t dsq;   /* struct scx_dispatch_q that it is in; 0: none */
	uint64_t sched; /* struct scx_sched, from Linux 7.1 on; else 0 */
	uint64_t slice; /* nanoseconds */
	uint64_t dsq_vtime;
	uint32_t weight;
	int32_t sticky_cpu, holding_cpu, selected_cpu;
	const char *ops_state; /* enumerator, "SCX_OPSS_NONE"; NULL: unknown */
	uint64_t runnable_at;  /* jiffies */
};

struct kt_task {
	uint64_t kva; /* of its struct task_struct */
	uint32_t pid; /* of the thread */
	uint32_t tgid;
	char comm[32];
	char state; /* as ps(1) has it: R, S, D, ... */
	bool on_cpu, on_rq;
	uint32_t cpu;
	uint32_t policy;   /* as in sched(7) */
	char class[16];    /* "fair", "ext", ... */
	int32_t prio;      /* as the scheduler has it: 120 is nice 0 */
	uint64_t exec_ns;  /* sum_exec_runtime */
	uint64_t switches; /* voluntary and not */
	uint64_t cpus;     /* a bit for each of the first 64 that it may use; 0: unknown */
	bool has_scx;      /* the kernel has sched_ext */
	struct kt_task_scx scx;
};

struct kt_tasks;

int kt_tasks_open(struct kt_inspect *inspect, struct kt_tasks **ret_tasks, struct kt_err *reterr);

/* Returns NULL. NULL is allowed. */
struct kt_tasks *kt_tasks_close(struct kt_tasks *tasks);

/*
 * 1: *@ret_task is the next. 0: that was all. After an error that is one task's, such as a wild
 * pointer, the next call goes on with the task behind it; after -ENODEV, there is no going on.
 */
int kt_tasks_next(struct kt_tasks *tasks, struct kt_task *ret_task, struct kt_err *reterr);

/* The task whose struct task_struct is at @kva. */
int kt_tasks_read(struct kt_tasks *tasks, uint64_t kva, struct kt_task *ret_task,
		  struct kt_err *reterr);

/* A task, and all tasks. */
json_t *kt_task_json(struct kt_inspect *inspect, const struct kt_task *task);
int kt_tasks_json(struct kt_walk *walk, const char *unused, json_t **ret_json,
		  struct kt_err *reterr);
