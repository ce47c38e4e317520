/* SPDX-License-Identifier: MIT */
#pragma once
/* The cgroups that are alive, and the workers in them. */

#include <sched.h>

#include "guest/cgroup/cgroup.h"
#include "guest/test/ctx.h"
#include "guest/worker/report.h"
#include "guest/worker/worker.h"

#define KT_LIVES_ON      UINT32_MAX /* to the end of the test */
#define KT_OP_TIMEOUT_MS 5000u /* for the kernel and the workers to do what an operation asks */

/* The one with the name "" stands for where PID 1 is; it is always there, and is no directory. */
struct kt_live_cgroup {
	struct kt_live_cgroup *next; /* created before this */
	const char *name;            /* owned, but for the runner's */
	unsigned int last_step;      /* at whose end it goes, or KT_LIVES_ON */
	cpu_set_t cpus;              /* what it may use */
	struct kt_worker_group **groups;
	size_t n_groups;
	struct kt_cgroup_usage begin; /* when the hold of the current step began */
	uint64_t begin_iterations;
};

struct kt_live {
	struct kt_ctx *ctx;
	struct kt_live_cgroup *first; /* the newest */
	struct kt_live_cgroup init;
	struct kt_reports reports; /* of workers that have ended */
	unsigned int n_groups;     /* of workers, that were ever started */
};

void kt_live_init(struct kt_live *live, struct kt_ctx *ctx);

/* Everything must have been torn down. */
void kt_live_deinit(struct kt_live *live);

/* NULL when there is none of that name. */
struct kt_live_cgroup *kt_live_find(struct kt_live *live, const char *name);

/* Likewise; -ENOENT with a message then. */
int kt_live_get(struct kt_live *live, const char *name, struct kt_live_cgroup **ret_cgroup,
		struct kt_err *reterr);

/* Creates a cgroup with its limits and its workers; payloads are the caller's. */
int kt_live_add(struct kt_live *live, const struct kt_cgroup_def *def, unsigned int last_step,
		struct kt_err *reterr);

/* Starts the workers of @work, an array with an end. */
int kt_live_spawn(struct kt_live *live, struct kt_live_cgroup *cgroup, const struct kt_work *work,
		  struct kt_err *reterr);

/* Stops its workers, and waits until they have left it. */
int kt_live_stop(struct kt_live *live, struct kt_live_cgroup *cgroup, struct kt_err *reterr);

/* Stops its workers, kills what else runs in it, and removes it. */
int kt_live_remove(struct kt_live *live, const char *name, struct kt_err *reterr);

/* Moves all tasks; the workers are @to's from then on. */
int kt_live_move(struct kt_live_cgroup *from, struct kt_live_cgroup *to, struct kt_err *reterr);

/* What the cgroup would have without a cpuset of its own: that of the nearest above that has one. */
const cpu_set_t *kt_live_cpus_above(struct kt_live *live, const char *name);

/* What the cgroup may use has changed: its workers may be seen there. */
void kt_live_set_cpus(struct kt_live_cgroup *cgroup, const cpu_set_t *cpus);

/*
 * Removes what no step after @step names, newest first; KT_LIVES_ON: everything. All are tried;
 * @failed is called for each that could not be removed.
 */
void kt_live_tear_down(struct kt_live *live, unsigned int step,
		       void (*failed)(void *data, const struct kt_err *err), void *data);

/* Calls @fn for every group of workers until it returns other than 0, and returns that. */
int kt_live_for_each_group(struct kt_live *live,
			   int (*fn)(void *data, struct kt_live_cgroup *cgroup,
				     struct kt_worker_group *group),
			   void *data);

uint64_t kt_live_iterations(const struct kt_live_cgroup *cgroup);
