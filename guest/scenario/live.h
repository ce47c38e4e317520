/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The cgroups of a scenario that exist now, and the workers in them.
 *
 * Workers that run in init's own cgroup have an entry too, kt_live.init, whose name is "". It
 * always exists and has no directory below KT_CGROUP_ROOT.
 */

#include <sched.h>

#include "guest/cgroup/cgroup.h"
#include "guest/test/ctx.h"
#include "guest/worker/report.h"
#include "guest/worker/worker.h"

#define KT_LIVES_ON      UINT32_MAX /* as a last step: until the end of the test */
#define KT_OP_TIMEOUT_MS 5000u /* for the kernel and the workers to do what an operation asks */

struct kt_live_cgroup {
	struct kt_live_cgroup *next; /* the one created before this one */
	const char *name;       /* below KT_CGROUP_ROOT; owned, except the "" of init's entry */
	unsigned int last_step; /* index of the step at whose end it goes, or KT_LIVES_ON */
	cpu_set_t cpus;         /* its cpuset, or the nearest one above it */
	struct kt_worker_group **groups; /* owned */
	size_t n_groups;

	/* As the hold of the current step began; see guest/scenario/record.h. */
	struct kt_cgroup_usage begin;
	uint64_t begin_iterations;
};

struct kt_live {
	struct kt_ctx *ctx;           /* borrowed */
	struct kt_live_cgroup *first; /* the newest cgroup; without init's entry */
	struct kt_live_cgroup init;   /* workers in init's own cgroup */
	struct kt_reports reports;    /* of the workers that have ended */
	unsigned int n_groups;        /* worker groups that were ever started; numbers them */
};

void kt_live_init(struct kt_live *live, struct kt_ctx *ctx);

/* Frees the reports. All cgroups and workers must have been torn down. */
void kt_live_deinit(struct kt_live *live);

/* The cgroup @name ("": init's entry), or NULL when it does not exist. */
struct kt_live_cgroup *kt_live_find(struct kt_live *live, const char *name);

/* As kt_live_find(), NULL being "" too; -ENOENT with a message when it does not exist. */
int kt_live_get(struct kt_live *live, const char *name, struct kt_live_cgroup **ret_cgroup,
		struct kt_err *reterr);

/*
 * Creates the cgroup of @def, sets its limits and starts its workers; the payload of @def is the
 * caller's to start. @last_step as in struct kt_live_cgroup. Returns 0 or a negative errno with a
 * message (-EEXIST: the name is taken).
 */
int kt_live_add(struct kt_live *live, const struct kt_cgroup_def *def, unsigned int last_step,
		struct kt_err *reterr);

/*
 * Starts the workers of @work, an array that ends with .end, in a cgroup that exists. Returns 0 or
 * a negative errno with a message.
 */
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

/* The CPUs of a cgroup @name without a cpuset of its own: those of the nearest cgroup above it. */
const cpu_set_t *kt_live_cpus_above(struct kt_live *live, const char *name);

/*
 * Notes that @cgroup has @cpus now, and that its workers may be seen there (the isolation check).
 */
void kt_live_set_cpus(struct kt_live_cgroup *cgroup, const cpu_set_t *cpus);

/*
 * Removes all cgroups whose last step is @step or an earlier one, newest first; KT_LIVES_ON: all. A
 * failure does not stop it: @failed is called for each cgroup that could not be removed.
 */
void kt_live_tear_down(struct kt_live *live, unsigned int step,
		       void (*failed)(void *data, const struct kt_err *err), void *data);

/* Calls @fn for every group of workers, until @fn returns other than 0; returns that, or 0. */
int kt_live_for_each_group(struct kt_live *live,
			   int (*fn)(void *data, struct kt_live_cgroup *cgroup,
				     struct kt_worker_group *group),
			   void *data);

/* Iterations of the workers that are in @cgroup now, since they were started. */
uint64_t kt_live_iterations(const struct kt_live_cgroup *cgroup);
