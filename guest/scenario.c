/* SPDX-License-Identifier: MIT */
#include "guest/scenario.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/cgroup.h"
#include "guest/cpuset.h"
#include "guest/lifetime.h"
#include "guest/op.h"
#include "guest/worker.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

#define OP_TIMEOUT_MS   5000u
#define STOP_TIMEOUT_MS 5000u

/*
 * Live cgroups are kept in order of creation; teardown goes backwards. A cgroup knows the last step
 * that names it, found when it is created, and goes at the end of that step.
 */
struct live_cgroup {
	struct live_cgroup *next;
	char *name;
	unsigned int last_step;
	struct kt_worker_group **groups;
	size_t n_groups;
	struct kt_cgroup_usage begin; /* when the hold of the current step began */
};

struct cgroup_record {
	struct cgroup_record *next;
	char *name;
	struct kt_cgroup_usage usage;
};

struct step_record {
	struct step_record *next;
	const char *name;
	uint64_t begin_ns; /* of the hold, since the test began */
	uint64_t end_ns;
	struct cgroup_record *cgroups;
};

struct kt_scenario {
	struct kt_ctx *ctx;
	struct kt_port *port;
	const struct kt_step *steps;
	struct live_cgroup *live; /* newest first */
	struct step_record *records, **records_end;
	struct kt_reports reports;
};

int kt_scenario_new(struct kt_ctx *ctx, struct kt_port *port, struct kt_scenario **ret_scenario)
{
	struct kt_scenario *scenario = calloc(1, sizeof(*scenario));

	if (!scenario)
		return -ENOMEM;
	scenario->ctx = ctx;
	scenario->port = port;
	scenario->records_end = &scenario->records;
	ctx->scenario = scenario;
	*ret_scenario = scenario;
	return 0;
}

const struct kt_reports *kt_scenario_reports(const struct kt_scenario *scenario)
{
	return &scenario->reports;
}

uint64_t kt_scenario_op_deadline_ns(const struct kt_scenario *scenario)
{
	return kt_ctx_deadline_ns(scenario->ctx, OP_TIMEOUT_MS);
}

static struct live_cgroup *find_live(const struct kt_scenario *scenario, const char *name)
{
	struct live_cgroup *at = scenario->live;

	while (at && strcmp(at->name, name))
		at = at->next;
	return at;
}

/* What is frozen cannot end by itself: it is killed at once. */
static void stop_workers(struct kt_scenario *scenario, struct live_cgroup *live, bool frozen)
{
	uint64_t deadline_ns = frozen ? 0 : kt_ctx_deadline_ns(scenario->ctx, STOP_TIMEOUT_MS);

	while (live->n_groups)
		(void)kt_worker_group_stop(live->groups[--live->n_groups], deadline_ns,
					   &scenario->reports.at, &scenario->reports.n);
}

static void live_free(struct live_cgroup *live)
{
	free(live->groups);
	free(live->name);
	free(live);
}

/* What is created outside the steps lives until the end of the test. */
static unsigned int last_step_of(const struct kt_scenario *scenario, const char *name)
{
	if (!scenario->steps)
		return UINT32_MAX;
	return kt_lifetime_end(scenario->steps, (unsigned int)scenario->ctx->step, name);
}

static int start_groups(struct kt_scenario *scenario, struct live_cgroup *live,
			const struct kt_cgroup_def *def, struct kt_err *reterr)
{
	for (const struct kt_work *work = def->work; work && !work->end; work++) {
		struct kt_worker_group **grown =
			reallocarray(live->groups, live->n_groups + 1, sizeof(*grown));
		int r;

		if (!grown)
			return kt_err_oom(reterr);
		live->groups = grown;
		struct kt_worker_place place = { .cgroup = live->name,
						 .topology = &scenario->ctx->topology,
						 .seed = scenario->ctx->seed };
		kt_cpuset_resolve(&(const struct kt_cpuset){ .kind = KT_CPUS_UNSET },
				  place.topology, &place.cpus, NULL);
		r = kt_worker_group_start(work, &place, kt_scenario_op_deadline_ns(scenario),
					  &grown[live->n_groups], reterr);
		if (r < 0)
			return kt_err_prefix(reterr, r, "starting workers");
		live->n_groups++;
	}
	return 0;
}

int kt_scenario_add_cgroup(struct kt_scenario *scenario, const struct kt_cgroup_def *def,
			   struct kt_err *reterr)
{
	struct live_cgroup *live;
	int r;

	r = kt_cgroup_create(def->name, reterr);
	if (r < 0)
		return r;
	live = calloc(1, sizeof(*live));
	if (!live)
		return kt_err_oom(reterr);
	live->name = strdup(def->name);
	if (!live->name) {
		free(live);
		return kt_err_oom(reterr);
	}
	live->last_step = last_step_of(scenario, def->name);
	live->next = scenario->live;
	scenario->live = live;
	return start_groups(scenario, live, def, reterr);
}

int kt_scenario_stop_cgroup(struct kt_scenario *scenario, const char *name, struct kt_err *reterr)
{
	struct live_cgroup *live = find_live(scenario, name);

	if (!live)
		return kt_err_set(reterr, -ENOENT, "cgroup '%s' does not exist", name);
	stop_workers(scenario, live, kt_cgroup_is_frozen(name));
	return 0;
}

static int remove_live(struct kt_scenario *scenario, struct live_cgroup **at, struct kt_err *reterr)
{
	struct live_cgroup *live = *at;
	uint64_t deadline_ns = kt_scenario_op_deadline_ns(scenario);
	int r, r2;

	r = kt_cgroup_freeze(live->name, false, 0, reterr);
	stop_workers(scenario, live, r < 0 || kt_cgroup_is_frozen(live->name));
	r2 = kt_cgroup_remove(live->name, deadline_ns, r < 0 ? NULL : reterr);
	*at = live->next;
	live_free(live);
	return r ?: r2;
}

int kt_scenario_remove_cgroup(struct kt_scenario *scenario, const char *name, struct kt_err *reterr)
{
	for (struct live_cgroup **at = &scenario->live; *at; at = &(*at)->next) {
		if (!strcmp((*at)->name, name))
			return remove_live(scenario, at, reterr);
	}
	return kt_err_set(reterr, -ENOENT, "cgroup '%s' does not exist", name);
}

/* Records the failure of something that the test did not assert, at the test's own place. */
static int fail_at(struct kt_scenario *scenario, const struct kt_err *err, const char *what)
{
	const struct kt_test *test = scenario->ctx->test;
	struct kt_where where = { test->file, test->line };

	return kt_fail(scenario->ctx, where, "%s: %s", what, err->text);
}

static bool ends_with(const struct live_cgroup *live, unsigned int step)
{
	return live->last_step <= step;
}

/* Removes what no step after @step names; UINT32_MAX for everything. All are tried. */
static int tear_down(struct kt_scenario *scenario, unsigned int step)
{
	struct live_cgroup **at = &scenario->live;
	int first = 0;

	/* Thawed all at first: a frozen parent, which goes after its children, would hold theirs.
	 */
	for (const struct live_cgroup *live = scenario->live; live; live = live->next) {
		if (ends_with(live, step))
			(void)kt_cgroup_freeze(live->name, false, 0, NULL);
	}
	while (*at) {
		struct kt_err err = KT_ERR_NULL;

		if (!ends_with(*at, step)) {
			at = &(*at)->next;
			continue;
		}
		if (remove_live(scenario, at, &err) < 0)
			first = first ?: fail_at(scenario, &err, "teardown");
	}
	return first;
}

struct kt_scenario *kt_scenario_free(struct kt_scenario *scenario)
{
	if (!scenario)
		return NULL;
	(void)tear_down(scenario, UINT32_MAX);
	while (scenario->records) {
		struct step_record *record = scenario->records;

		while (record->cgroups) {
			struct cgroup_record *cgroup = record->cgroups;

			record->cgroups = cgroup->next;
			free(cgroup->name);
			free(cgroup);
		}
		scenario->records = record->next;
		free(record);
	}
	scenario->ctx->scenario = NULL;
	kt_reports_deinit(&scenario->reports);
	free(scenario);
	return NULL;
}

static int find_lost_worker(struct kt_scenario *scenario, struct kt_err *reterr)
{
	for (struct live_cgroup *live = scenario->live; live; live = live->next) {
		for (size_t i = 0; i < live->n_groups; i++) {
			int status, lost = kt_worker_group_lost(live->groups[i], &status);

			if (lost < 0)
				continue;
			if (WIFSIGNALED(status))
				return kt_err_set(
					reterr, -ECHILD,
					"worker %d of cgroup '%s' was killed by signal %d (%s)",
					lost, live->name, WTERMSIG(status),
					strsignal(WTERMSIG(status)));
			return kt_err_set(reterr, -ECHILD,
					  "worker %d of cgroup '%s' ended by itself", lost,
					  live->name);
		}
	}
	return 0;
}

static bool is_worker(const struct kt_scenario *scenario, pid_t pid)
{
	for (const struct live_cgroup *live = scenario->live; live; live = live->next) {
		for (size_t i = 0; i < live->n_groups; i++) {
			if (kt_worker_group_has(live->groups[i], pid))
				return true;
		}
	}
	return false;
}

/* PID 1 inherits every orphan. Workers are left alone: their end is somebody's news. */
static void reap_orphans(const struct kt_scenario *scenario, int signals)
{
	struct signalfd_siginfo signal;

	while (read(signals, &signal, sizeof(signal)) > 0)
		;
	for (;;) {
		siginfo_t info = { 0 };

		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid ||
		    is_worker(scenario, info.si_pid))
			return;
		(void)waitpid(info.si_pid, NULL, 0);
	}
}

/* One pollfd per group of workers, one for the ends of other children. */
static size_t collect_fds(const struct kt_scenario *scenario, int signals, struct pollfd **ret_fds)
{
	size_t n = 1;

	for (struct live_cgroup *live = scenario->live; live; live = live->next)
		n += live->n_groups;
	*ret_fds = calloc(n, sizeof(**ret_fds));
	if (!*ret_fds)
		return 0;
	(*ret_fds)[0] = (struct pollfd){ .fd = signals, .events = POLLIN };
	n = 1;
	for (struct live_cgroup *live = scenario->live; live; live = live->next) {
		for (size_t i = 0; i < live->n_groups; i++)
			(*ret_fds)[n++] = (struct pollfd){
				.fd = kt_worker_group_fd(live->groups[i]),
				.events = POLLIN,
			};
	}
	return n;
}

/* Nothing wakes PID 1 during a hold but the end of a process: it would be load of its own. */
static int hold_until(struct kt_scenario *scenario, uint64_t end_ns, int signals,
		      struct kt_err *reterr)
{
	KT_FREE struct pollfd *fds = NULL;
	size_t n = collect_fds(scenario, signals, &fds);
	int r;

	if (!n)
		return kt_err_oom(reterr);
	while ((r = kt_poll(fds, n, end_ns)) > 0) {
		r = find_lost_worker(scenario, reterr);
		if (r < 0)
			return r;
		reap_orphans(scenario, signals);
	}
	return r < 0 ? kt_err_set(reterr, r, "poll: %m") : 0;
}

int kt_scenario_hold(struct kt_scenario *scenario, uint64_t ns, struct kt_err *reterr)
{
	uint64_t end_ns = kt_now_ns() + ns;
	KT_CLOSE int signals = -1;
	sigset_t child, old;
	int r;

	(void)sigemptyset(&child);
	(void)sigaddset(&child, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &child, &old);
	/* In a .run function other children are its own to wait for. */
	if (scenario->steps)
		signals = signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
	r = hold_until(scenario, end_ns, signals, reterr);
	(void)sigprocmask(SIG_SETMASK, &old, NULL);
	return r;
}

static uint64_t hold_ns(const struct kt_scenario *scenario, const struct kt_hold *hold)
{
	switch (hold->kind) {
	case KT_HOLD_FRACTION:
		return (uint64_t)(hold->fraction * kt_test_duration_ms(scenario->ctx->test) *
				  KT_NSEC_PER_MSEC);
	case KT_HOLD_FIXED:
		return hold->ms * KT_NSEC_PER_MSEC;
	case KT_HOLD_NONE:
		break;
	}
	return 0;
}

static void send_step(struct kt_scenario *scenario, enum kt_message type,
		      const struct kt_step *step)
{
	struct kt_msg_step msg = {
		.index = (uint32_t)scenario->ctx->step,
		.elapsed_ns = kt_elapsed_ns(scenario->ctx),
	};

	for (const struct live_cgroup *live = scenario->live; live; live = live->next) {
		msg.n_cgroups++;
		for (size_t i = 0; i < live->n_groups; i++)
			msg.n_workers += kt_worker_group_count(live->groups[i]);
	}
	for (const struct kt_op *op = step->ops; op && !op->end; op++) {
		msg.n_ops++;
		msg.op_kinds |= UINT64_C(1) << op->kind;
	}
	if (scenario->port)
		(void)kt_port_send(scenario->port, type, &msg, sizeof(msg));
}

static int apply_ops(struct kt_scenario *scenario, const struct kt_step *step)
{
	struct kt_err err = KT_ERR_NULL;
	int index = 0;

	for (const struct kt_op *op = step->ops; op && !op->end; op++, index++) {
		const struct kt_op_ops *ops = kt_op_ops(op->kind);

		if (ops->apply(scenario, op, &err) < 0) {
			KT_FREE char *what =
				kt_format("operation %d %s(\"%s\")", index, ops->name, op->cgroup);

			return fail_at(scenario, &err, what ?: ops->name);
		}
	}
	return 0;
}

static int apply_setup(struct kt_scenario *scenario, const struct kt_step *step)
{
	struct kt_err err = KT_ERR_NULL;

	for (const struct kt_cgroup_def *def = step->setup; def && !def->end; def++) {
		if (kt_scenario_add_cgroup(scenario, def, &err) < 0)
			return fail_at(scenario, &err, "setup");
	}
	return 0;
}

static int record_begin(struct kt_scenario *scenario, const struct kt_step *step,
			struct step_record **ret_record, struct kt_err *reterr)
{
	struct step_record *record = calloc(1, sizeof(*record));

	if (!record)
		return kt_err_oom(reterr);
	record->name = step->name;
	*scenario->records_end = record;
	scenario->records_end = &record->next;
	*ret_record = record;
	for (struct live_cgroup *live = scenario->live; live; live = live->next) {
		int r = kt_cgroup_usage(live->name, &live->begin, reterr);

		if (r < 0)
			return r;
	}
	record->begin_ns = kt_elapsed_ns(scenario->ctx);
	return 0;
}

static int record_cgroup(struct step_record *record, const struct live_cgroup *live,
			 struct kt_err *reterr)
{
	struct cgroup_record *cgroup = calloc(1, sizeof(*cgroup));
	int r;

	if (!cgroup)
		return kt_err_oom(reterr);
	cgroup->next = record->cgroups;
	record->cgroups = cgroup;
	cgroup->name = strdup(live->name);
	if (!cgroup->name)
		return kt_err_oom(reterr);
	r = kt_cgroup_usage(live->name, &cgroup->usage, reterr);
	cgroup->usage.usage_us -= live->begin.usage_us;
	cgroup->usage.user_us -= live->begin.user_us;
	cgroup->usage.system_us -= live->begin.system_us;
	return r;
}

static int record_end(struct kt_scenario *scenario, struct step_record *record,
		      struct kt_err *reterr)
{
	record->end_ns = kt_elapsed_ns(scenario->ctx);
	for (struct live_cgroup *live = scenario->live; live; live = live->next) {
		int r = record_cgroup(record, live, reterr);

		if (r < 0)
			return r;
	}
	return 0;
}

static int hold_step(struct kt_scenario *scenario, const struct kt_step *step)
{
	struct kt_err err = KT_ERR_NULL;
	struct step_record *record = NULL;
	int r;

	r = record_begin(scenario, step, &record, &err) ?:
	    kt_scenario_hold(scenario, hold_ns(scenario, &step->hold), &err) ?:
	    record_end(scenario, record, &err);
	return r < 0 ? fail_at(scenario, &err, "hold") : 0;
}

static int run_step(struct kt_scenario *scenario, unsigned int index)
{
	const struct kt_step *step = &scenario->steps[index];
	int r, r2;

	scenario->ctx->step = (int)index;
	r = apply_setup(scenario, step) ?: apply_ops(scenario, step);
	send_step(scenario, KT_MSG_STEP_BEGIN, step);
	if (r == 0)
		r = hold_step(scenario, step);
	send_step(scenario, KT_MSG_STEP_END, step);
	r2 = tear_down(scenario, r < 0 ? UINT32_MAX : index);
	return r ?: r2;
}

int kt_scenario_run(struct kt_scenario *scenario, const struct kt_step *steps)
{
	int r = 0;

	scenario->steps = steps;
	for (unsigned int i = 0; r == 0 && !steps[i].end; i++)
		r = run_step(scenario, i);
	scenario->ctx->step = -1;
	scenario->steps = NULL;
	return r;
}

static json_t *report_cgroups(const struct step_record *record)
{
	json_t *array = json_array();

	for (const struct cgroup_record *at = record->cgroups; array && at; at = at->next)
		(void)json_array_append_new(array,
					    json_pack("{ss sI sI sI}", "name", at->name, "usage_us",
						      (json_int_t)at->usage.usage_us, "user_us",
						      (json_int_t)at->usage.user_us, "system_us",
						      (json_int_t)at->usage.system_us));
	return array;
}

json_t *kt_scenario_report(const struct kt_scenario *scenario)
{
	json_t *array = json_array();

	for (const struct step_record *at = scenario->records; array && at; at = at->next)
		(void)json_array_append_new(array, json_pack("{ss* sI sI so}", "name", at->name,
							     "begin_ns", (json_int_t)at->begin_ns,
							     "end_ns", (json_int_t)at->end_ns,
							     "cgroups", report_cgroups(at)));
	return array;
}

const struct kt_cgroup_usage *kt_scenario_usage(const struct kt_scenario *scenario,
						unsigned int step, const char *cgroup)
{
	const struct step_record *record = scenario->records;

	while (record && step--)
		record = record->next;
	for (const struct cgroup_record *at = record ? record->cgroups : NULL; at; at = at->next) {
		if (!strcmp(at->name, cgroup))
			return &at->usage;
	}
	return NULL;
}

const struct kt_cgroup_usage *kt_step_usage(const struct kt_ctx *ctx, unsigned int step,
					    const char *cgroup)
{
	return ctx->scenario ? kt_scenario_usage(ctx->scenario, step, cgroup) : NULL;
}

int kt_hold_ms(struct kt_ctx *ctx, unsigned int ms)
{
	struct kt_err err = KT_ERR_NULL;
	int r;

	if (!ctx->scenario)
		return -ENOTSUP;
	r = kt_scenario_hold(ctx->scenario, ms * KT_NSEC_PER_MSEC, &err);
	return r < 0 ? fail_at(ctx->scenario, &err, "hold") : 0;
}

const struct kt_worker_report *kt_worker_reports(const struct kt_ctx *ctx, size_t *ret_n)
{
	const struct kt_reports *reports =
		ctx->scenario ? kt_scenario_reports(ctx->scenario) : NULL;

	*ret_n = reports ? reports->n : 0;
	return reports ? reports->at : NULL;
}

bool kt_sum_reports(const struct kt_ctx *ctx, const char *cgroup, struct kt_worker_report *ret_sum)
{
	return ctx->scenario && kt_reports_sum(kt_scenario_reports(ctx->scenario), cgroup, ret_sum);
}
