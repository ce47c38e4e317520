/* SPDX-License-Identifier: MIT */
#pragma once
/* The cgroups that exist now, and the workers in them. */

#include <sched.h>

#include "guest/cgroup/cgroup.h"
#include "guest/test/ctx.h"
#include "guest/worker/report.h"
#include "guest/worker/worker.h"

#define KT_LIVES_ON      UINT32_MAX /* to the end of the test */
#define KT_OP_TIMEOUT_MS 5000u /* for the kernel and the workers to complete one operation */

/* One cgroup. That with the name "" is the cgroup of PID 1, which always exists. */
struct kt_live_cgroup {
	struct kt_live_cgroup *next; /* created before this */
	const char *name;            /* owned, except that of init */
	unsigned int last_step;      /* at whose end it goes, or KT_LIVES_ON */
	cpu_set_t cpus;              /* that its tasks may use */
	struct kt_worker_group **groups;
	size_t n_groups;
	struct kt_cgroup_usage begin; /* at the beginning of the current step's hold */
	uint64_t begin_iterations;
};

struct kt_live {
	struct kt_ctx *ctx;
	struct kt_live_cgroup *first; /* the newest */
	struct kt_live_cgroup init; /* where PID 1 is */
	struct kt_reports reports; /* of workers that have ended */
	unsigned int n_groups;     /* of workers, that were ever started */
};

void kt_live_init(struct kt_live *live, struct kt_ctx *ctx);

/* Frees the reports. All cgroups and workers must have been torn down. */
void kt_live_deinit(struct kt_live *live);

/* Returns the cgroup @name, or NULL when it does not exist. */
struct kt_live_cgroup *kt_live_find(struct kt_live *live, const char *name);

/* Finds the cgroup @name. Returns 0, or -ENOENT with a message. */
int kt_live_get(struct kt_live *live, const char *name, struct kt_live_cgroup **ret_cgroup,
		struct kt_err *reterr);

/*
 * Creates a cgroup with its limits and its workers. Its payload is started by the caller. Returns 0
 * or a negative errno; what was created so far then stays and is torn down with the rest.
 */
int kt_live_add(struct kt_live *live, const struct kt_cgroup_def *def, unsigned int last_step,
		struct kt_err *reterr);

/* Starts the workers of @work, an array with an end mark, in @cgroup. */
int kt_live_spawn(struct kt_live *live, struct kt_live_cgroup *cgroup, const struct kt_work *work,
		  struct kt_err *reterr);

/*
 * Stops the workers of @cgroup and waits until the kernel shows no task of theirs in it. Returns 0
 * or a negative errno with a message.
 */
int kt_live_stop(struct kt_live *live, struct kt_live_cgroup *cgroup, struct kt_err *reterr);

/*
 * Stops the workers of @name, kills what else runs in it, and removes it. Returns 0 or a negative
 * errno with a message. The entry is gone even after a failure, but for -ENOENT.
 */
int kt_live_remove(struct kt_live *live, const char *name, struct kt_err *reterr);

/*
 * Moves all tasks of @from to @to, which owns the workers from then on. From init's entry only its
 * workers move. Returns 0 or a negative errno with a message.
 */
int kt_live_move(struct kt_live_cgroup *from, struct kt_live_cgroup *to, struct kt_err *reterr);

/* Returns the CPUs that the cgroup inherits: those of the nearest cgroup above it. */
const cpu_set_t *kt_live_cpus_above(struct kt_live *live, const char *name);

/* Notes that the cgroup may use @cpus; check "isolation" accepts its workers there from now on. */
void kt_live_set_cpus(struct kt_live_cgroup *cgroup, const cpu_set_t *cpus);

/*
 * Removes the cgroups whose last step is @step or an earlier one, the newest first; all of them for
 * KT_LIVES_ON. Calls @failed for each that could not be removed and goes on.
 */
void kt_live_tear_down(struct kt_live *live, unsigned int step,
		       void (*failed)(void *data, const struct kt_err *err), void *data);

/* Calls @fn for every group of workers until it returns a value other than 0, and returns that. */
int kt_live_for_each_group(struct kt_live *live,
			   int (*fn)(void *data, struct kt_live_cgroup *cgroup,
				     struct kt_worker_group *group),
			   void *data);

/* Iterations of the workers that are in @cgroup now, since they were started. */
uint64_t kt_live_iterations(const struct kt_live_cgroup *cgroup);
