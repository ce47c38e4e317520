/* SPDX-License-Identifier: MIT */
/*
 * Cgroups are kept in a list, the newest first. Every cgroup on the list has a directory, and every
 * worker belongs to the entry of the cgroup that it runs in, or to init's entry. Only the executor
 * and operations change the list, and only in init's main thread.
 *
 * Removal is in reverse order of creation, which puts children before their parents. Two rules keep
 * it from blocking: a frozen cgroup is thawed, or its workers are killed at once, and all workers
 * are asked to end before any is waited for.
 */

#include "guest/scenario/live.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "guest/cgroup/cpuset.h"
#include "guest/worker/type.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * The cgroups that exist now, the newest first, each with its groups of workers. Every worker
 * belongs to exactly one entry of the list; the entry "" (init) stands for the cgroup of PID 1.
 * Cgroups are removed in the reverse order of their creation, so that a child goes before its
 * parent. Reports of workers outlive their groups and stay until the end of the test.
 */
#define STOP_TIMEOUT_MS 5000u /* from asking workers to end to killing them */

void kt_live_init(struct kt_live *live, struct kt_ctx *ctx)
{
	const struct kt_cpuset every = { .kind = KT_CPUS_UNSET };

	*live = (struct kt_live){ .ctx = ctx, .init = { .name = "", .last_step = 0 } };
	(void)kt_cpuset_resolve(&every, &ctx->topology, &live->init.cpus, NULL);
}

void kt_live_deinit(struct kt_live *live)
{
	free(live->init.groups);
	kt_reports_deinit(&live->reports);
}

struct kt_live_cgroup *kt_live_find(struct kt_live *live, const char *name)
{
	struct kt_live_cgroup *at = live->first;

	if (!*name)
		return &live->init;
	while (at && strcmp(at->name, name))
		at = at->next;
	return at;
}

int kt_live_get(struct kt_live *live, const char *name, struct kt_live_cgroup **ret_cgroup,
		struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup = kt_live_find(live, name ?: "");

	if (!cgroup)
		return kt_err_set(reterr, -ENOENT, "cgroup '%s' does not exist", name);
	*ret_cgroup = cgroup;
	return 0;
}

uint64_t kt_live_iterations(const struct kt_live_cgroup *cgroup)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < cgroup->n_groups; i++)
		sum += kt_worker_group_iterations(cgroup->groups[i]);
	return sum;
}

int kt_live_for_each_group(struct kt_live *live,
			   int (*fn)(void *data, struct kt_live_cgroup *cgroup,
				     struct kt_worker_group *group),
			   void *data)
{
	struct kt_live_cgroup *at = &live->init;
	int r = 0;

	live->init.next = live->first;
	for (; r == 0 && at; at = at->next) {
		for (size_t i = 0; r == 0 && i < at->n_groups; i++)
			r = fn(data, at, at->groups[i]);
	}
	return r;
}

/* ---- workers --------------------------------------------------------------------------------- */

/* Members that the work leaves unset are taken from the definition of its cgroup. */
static struct kt_work merge_defaults(const struct kt_work *work, const struct kt_cgroup_def *def)
{
	struct kt_work merged = *work;

	if (merged.sched.policy == KT_SCHED_UNSET)
		merged.sched = def->sched;
	if (merged.affinity.kind == KT_AFFINITY_INHERIT)
		merged.affinity = def->affinity;
	if (merged.mempolicy.mode == KT_MPOL_DEFAULT)
		merged.mempolicy = def->mempolicy;
	merged.nice = merged.nice ?: def->nice;
	merged.comm = merged.comm ?: def->comm;
	merged.uid = merged.uid ?: def->uid;
	merged.gid = merged.gid ?: def->gid;
	merged.swappable |= def->swappable;
	return merged;
}

/* --work-type replaces the type of a swappable work, if the work is valid with that type too. */
static void override_type(const struct kt_live *live, struct kt_work *work)
{
	enum kt_work_type type = live->ctx->work_type;
	struct kt_work other = *work;

	if (type == KT_WORK_NONE || !work->swappable)
		return;
	other.type = type;
	if (!kt_work_fault(&other, &live->ctx->topology))
		*work = other;
}

/*
 * Each group gets seeds of its own, far enough from the next group's for all of its workers: the
 * same test and seed give the same random numbers in every worker.
 */
static int start_group(struct kt_live *live, struct kt_live_cgroup *cgroup,
		       const struct kt_work *work, struct kt_err *reterr)
{
	struct kt_worker_place place = {
		.cgroup = *cgroup->name ? cgroup->name : NULL,
		.topology = &live->ctx->topology,
		.cpus = cgroup->cpus,
		.seed = live->ctx->seed + live->n_groups * UINT64_C(0x100000),
		.number = live->n_groups,
	};
	struct kt_worker_group **grown =
		reallocarray(cgroup->groups, cgroup->n_groups + 1, sizeof(*grown));
	int r;

	if (!grown)
		return kt_err_oom(reterr);
	cgroup->groups = grown;
	/* Thousands of workers take as long as the test allows. */
	r = kt_worker_group_start(work, &place,
				  kt_ctx_patient_deadline_ns(live->ctx, KT_OP_TIMEOUT_MS),
				  &grown[cgroup->n_groups], reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "starting %s in cgroup '%s'",
				     kt_work_ops(work->type)->name, cgroup->name);
	cgroup->n_groups++;
	live->n_groups++;
	return 0;
}

/* @def: the definition that creates the cgroup; NULL for workers that join an existing one. */
static int start_groups(struct kt_live *live, struct kt_live_cgroup *cgroup,
			const struct kt_work *work, const struct kt_cgroup_def *def,
			struct kt_err *reterr)
{
	int r = 0;

	for (; r == 0 && work && !work->end; work++) {
		struct kt_work merged = def ? merge_defaults(work, def) : *work;

		if (def)
			override_type(live, &merged);
		r = start_group(live, cgroup, &merged, reterr);
	}
	return r;
}

int kt_live_spawn(struct kt_live *live, struct kt_live_cgroup *cgroup, const struct kt_work *work,
		  struct kt_err *reterr)
{
	return start_groups(live, cgroup, work, NULL, reterr);
}

static void ask_to_end(const struct kt_live_cgroup *cgroup)
{
	for (size_t i = 0; i < cgroup->n_groups; i++)
		kt_worker_group_ask_to_end(cgroup->groups[i]);
}

/* A worker that did not end as it should fails the test, whenever that is seen. */
static void fail_worker(struct kt_live *live, const struct kt_live_cgroup *cgroup,
			const char *fault)
{
	const struct kt_where where = { live->ctx->test->file, live->ctx->test->line };

	if (*cgroup->name)
		(void)kt_fail(live->ctx, where, "cgroup '%s': %s", cgroup->name, fault);
	else
		(void)kt_fail(live->ctx, where, "%s", fault);
}

/*
 * Frozen workers cannot end by themselves and are killed at once. All workers are asked before the
 * first is waited for: a SCHED_IDLE worker gets no CPU to end on while workers of another group
 * spin.
 */
static void stop_workers(struct kt_live *live, struct kt_live_cgroup *cgroup, bool frozen)
{
	uint64_t deadline_ns = frozen ? 0 : kt_ctx_deadline_ns(live->ctx, STOP_TIMEOUT_MS);

	ask_to_end(cgroup);
	while (cgroup->n_groups) {
		KT_FREE char *fault = NULL;

		(void)kt_worker_group_stop(cgroup->groups[--cgroup->n_groups], deadline_ns,
					   &live->reports.at, &live->reports.n, &fault);
		if (fault)
			fail_worker(live, cgroup, fault);
	}
}

int kt_live_stop(struct kt_live *live, struct kt_live_cgroup *cgroup, struct kt_err *reterr)
{
	stop_workers(live, cgroup, *cgroup->name && kt_cgroup_is_frozen(cgroup->name));
	if (!*cgroup->name)
		return 0;
	return kt_cgroup_await_left(cgroup->name, kt_ctx_deadline_ns(live->ctx, KT_OP_TIMEOUT_MS),
				    reterr);
}

/* ---- cgroups --------------------------------------------------------------------------------- */

static void live_free(struct kt_live_cgroup *cgroup)
{
	free(cgroup->groups);
	free((char *)cgroup->name);
	free(cgroup);
}

/* Parents that were created only as part of a path have no entry: they are passed over. */
const cpu_set_t *kt_live_cpus_above(struct kt_live *live, const char *name)
{
	KT_FREE char *above = strdup(name);
	struct kt_live_cgroup *found = NULL;
	char *slash;

	while (above && !found && (slash = strrchr(above, '/'))) {
		*slash = '\0';
		found = kt_live_find(live, above);
	}
	return found ? &found->cpus : &live->init.cpus;
}

static int live_new(struct kt_live *live, const char *name, unsigned int last_step,
		    struct kt_live_cgroup **ret_cgroup, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup = calloc(1, sizeof(*cgroup));

	if (!cgroup)
		return kt_err_oom(reterr);
	cgroup->name = strdup(name);
	if (!cgroup->name) {
		free(cgroup);
		return kt_err_oom(reterr);
	}
	cgroup->cpus = *kt_live_cpus_above(live, name);
	cgroup->last_step = last_step;
	cgroup->next = live->first;
	live->first = cgroup;
	*ret_cgroup = cgroup;
	return 0;
}

/*
 * The entry is added as soon as the directory exists, so that teardown finds it whatever fails
 * next. Workers are started last, so that they never run
 * without the limits.
 */
int kt_live_add(struct kt_live *live, const struct kt_cgroup_def *def, unsigned int last_step,
		struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup = NULL;
	int r = kt_cgroup_create(def->name, reterr);

	if (r < 0)
		return r;
	r = live_new(live, def->name, last_step, &cgroup, reterr)
		    ?: kt_cgroup_limit(def, &live->ctx->topology, reterr);
	if (r == 0 && def->cpuset.kind != KT_CPUS_UNSET)
		r = kt_cpuset_resolve(&def->cpuset, &live->ctx->topology, &cgroup->cpus, reterr);
	return r ?: start_groups(live, cgroup, def->work, def, reterr);
}

/* Frees the entry even when the directory stays, so that teardown does not try it again. */
static int remove_at(struct kt_live *live, struct kt_live_cgroup **at, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup = *at;
	int r, r2;

	r = kt_cgroup_freeze(cgroup->name, false, 0, reterr);
	stop_workers(live, cgroup, r < 0 || kt_cgroup_is_frozen(cgroup->name));
	r2 = kt_cgroup_remove(cgroup->name, kt_ctx_deadline_ns(live->ctx, KT_OP_TIMEOUT_MS),
			      r < 0 ? NULL : reterr);
	*at = cgroup->next;
	live_free(cgroup);
	return r ?: r2;
}

int kt_live_remove(struct kt_live *live, const char *name, struct kt_err *reterr)
{
	for (struct kt_live_cgroup **at = &live->first; *at; at = &(*at)->next) {
		if (!strcmp((*at)->name, name))
			return remove_at(live, at, reterr);
	}
	return kt_err_set(reterr, -ENOENT, "cgroup '%s' does not exist", name);
}

/* The reports of the workers bear the name of @to from now on. */
static int take_groups(struct kt_live_cgroup *from, struct kt_live_cgroup *to)
{
	struct kt_worker_group **grown =
		reallocarray(to->groups, to->n_groups + from->n_groups + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	to->groups = grown;
	for (size_t i = 0; i < from->n_groups; i++) {
		kt_worker_group_set_cgroup(from->groups[i], to->name);
		grown[to->n_groups++] = from->groups[i];
	}
	from->n_groups = 0;
	return 0;
}

int kt_live_move(struct kt_live_cgroup *from, struct kt_live_cgroup *to, struct kt_err *reterr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < from->n_groups; i++)
		r = kt_worker_group_move(from->groups[i], to->name, reterr);
	if (r == 0 && *from->name) /* payloads, and processes that workers have forked */
		r = kt_cgroup_move_all(from->name, to->name, reterr);
	if (r < 0)
		return r;
	r = take_groups(from, to);
	kt_live_set_cpus(to, &to->cpus); /* allows them to the workers that have come */
	return r < 0 ? kt_err_oom(reterr) : 0;
}

void kt_live_set_cpus(struct kt_live_cgroup *cgroup, const cpu_set_t *cpus)
{
	cgroup->cpus = *cpus;
	for (size_t i = 0; i < cgroup->n_groups; i++)
		kt_worker_group_allow(cgroup->groups[i], cpus);
}

static bool ends_with(const struct kt_live_cgroup *cgroup, unsigned int step)
{
	return cgroup->last_step <= step;
}

void kt_live_tear_down(struct kt_live *live, unsigned int step,
		       void (*failed)(void *data, const struct kt_err *err), void *data)
{
	struct kt_live_cgroup **at = &live->first;

	/*
	 * A frozen parent goes after its children and would keep their processes frozen: thaw all.
	 */
	for (const struct kt_live_cgroup *cgroup = live->first; cgroup; cgroup = cgroup->next) {
		if (ends_with(cgroup, step))
			(void)kt_cgroup_freeze(cgroup->name, false, 0, NULL);
	}
	for (const struct kt_live_cgroup *cgroup = live->first; cgroup; cgroup = cgroup->next) {
		if (ends_with(cgroup, step))
			ask_to_end(cgroup);
	}
	if (ends_with(&live->init, step))
		ask_to_end(&live->init);
	while (*at) {
		struct kt_err err = KT_ERR_NULL;

		if (!ends_with(*at, step))
			at = &(*at)->next;
		else if (remove_at(live, at, &err) < 0)
			failed(data, &err);
	}
	if (ends_with(&live->init, step))
		stop_workers(live, &live->init, false);
}
