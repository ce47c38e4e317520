/* SPDX-License-Identifier: MIT */
#pragma once
/* The run queue of each CPU, with what sched_ext has in it. */

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/record.h"
#include "vmm/inspect/tasks.h"
#include "vmm/inspect/walk.h"

struct kt_runqueue {
	uint64_t kva; /* of its struct rq */
	unsigned int cpu;
	uint32_t nr_running;
	uint64_t nr_switches;
	uint64_t clock, clock_task; /* nanoseconds */
	uint64_t curr, idle;        /* struct task_struct */
	bool online;
	bool has_scx; /* the kernel has sched_ext */
	uint32_t scx_nr_running, scx_flags;
	uint64_t scx_clock;
	uint64_t scx_runnable; /* address of the head of its runnable tasks */
};

/* Finds the members once, for all CPUs. */
struct kt_runqueues {
	struct kt_inspect *inspect; /* borrowed */
	struct kt_record record;
	uint64_t symbol;
};

/* kt_runqueues_deinit() must be called after a failure, too. */
int kt_runqueues_init(struct kt_runqueues *rqs, struct kt_inspect *inspect, struct kt_err *reterr);
void kt_runqueues_deinit(struct kt_runqueues *rqs);

int kt_runqueues_read(struct kt_runqueues *rqs, unsigned int cpu, struct kt_runqueue *ret_rq,
		      struct kt_err *reterr);

/* An array with an object for each possible CPU. */
int kt_runqueues_json(struct kt_walk *walk, const char *unused, json_t **ret_json,
		      struct kt_err *reterr);
