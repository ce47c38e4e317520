/* SPDX-License-Identifier: MIT */
#pragma once
/* The dispatch queues (DSQ) of sched_ext, and the tasks that wait in them. */

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"
#include "vmm/inspect/walk.h"

#define KT_SCX_QUEUES_MAX 16384u

enum kt_scx_queue_kind {
	KT_SCX_LOCAL,  /* of a CPU */
	KT_SCX_BYPASS, /* of a CPU, while schedulers are bypassed */
	KT_SCX_REJECT, /* of a CPU, from Linux 7.3 on */
	KT_SCX_GLOBAL, /* of a scheduler and NUMA node */
	KT_SCX_USER,   /* made by a scheduler */
};

struct kt_scx_queue {
	enum kt_scx_queue_kind kind;
	uint64_t kva; /* of its struct scx_dispatch_q */
	uint64_t id;
	uint32_t nr, seq; /* of tasks in it now, and of all that were inserted */
	int cpu;          /* -1: it belongs to no CPU */
	int node;         /* NUMA node of a global queue, else -1 */
	uint64_t sched;   /* struct scx_sched that it belongs to; 0: to none */
};

/*
 * All dispatch queues, those of the CPUs first; an array to be freed. Where one list of them cannot
 * be read, or when the time of @walk is up (-ETIMEDOUT), the result is negative, and what was found
 * so far is there as well.
 */
int kt_scx_queues(const struct kt_walk *walk, struct kt_scx_queue **ret_queues, size_t *ret_n,
		  struct kt_err *reterr);

/* The word for a kind: "local", ... */
const char *kt_scx_queue_kind(enum kt_scx_queue_kind kind);

/*
 * Calls @fn with the struct task_struct of each task in a queue, in the order in which they are
 * taken from it, at most @max of them. A negative result of @fn ends it, and is returned.
 */
typedef int (*kt_scx_task_fn)(void *data, uint64_t task, struct kt_err *reterr);
int kt_scx_queue_tasks(struct kt_inspect *inspect, const struct kt_scx_queue *queue, size_t max,
		       kt_scx_task_fn fn, void *data, struct kt_err *reterr);

/* An array of all queues with their tasks; empty ones of CPUs are there, too. */
int kt_scx_queues_json(struct kt_walk *walk, json_t **ret_json, struct kt_err *reterr);
