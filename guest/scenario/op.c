/* SPDX-License-Identifier: MIT */
#include "guest/scenario/op.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "guest/cgroup/cpuset.h"
#include "guest/scenario/irq.h"
#include "guest/scenario/state.h"
#include "guest/scheduler/bpf_map.h"
#include "guest/worker/type.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * The operations. Each kind has one row in op_table: its name, its effect on the names of cgroups
 * (for validation), a function that applies it in the guest, and one that judges its arguments on
 * the host. Operations change the state of the scenario (state.h) and never call the executor.
 * Those of steps were judged before the run; those of functions are judged when they are applied.
 */

/* ---- cgroups --------------------------------------------------------------------------------- */

int kt_op_set_up(struct kt_scenario *scenario, const struct kt_cgroup_def *def,
		 struct kt_err *reterr)
{
	int r = kt_live_add(&scenario->live, def, kt_scenario_last_step(scenario, def->name),
			    reterr);

	if (r == 0 && def->payload)
		r = kt_payload_set_start(&scenario->payloads, def->payload, def->payload_args,
					 def->name, reterr);
	return r;
}

static bool is_in(void *data, const char *cgroup)
{
	return !strcmp(data, cgroup);
}

static int add_cgroup(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	const struct kt_cgroup_def def = { .name = op->cgroup };

	return kt_op_set_up(scenario, &def, reterr);
}

static int add_cgroup_def(struct kt_scenario *scenario, const struct kt_op *op,
			  struct kt_err *reterr)
{
	return kt_op_set_up(scenario, op->def, reterr);
}

static int remove_cgroup(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	kt_payload_set_end(&scenario->payloads, is_in, (void *)op->cgroup);
	return kt_live_remove(&scenario->live, op->cgroup, reterr);
}

static int stop_cgroup(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;
	int r = kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr);

	if (r < 0)
		return r;
	kt_payload_set_end(&scenario->payloads, is_in, (void *)op->cgroup);
	return kt_live_stop(&scenario->live, cgroup, reterr);
}

static int freeze(struct kt_scenario *scenario, const struct kt_op *op, bool frozen,
		  struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;

	return kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr)
		       ?: kt_cgroup_freeze(op->cgroup, frozen,
					   kt_ctx_deadline_ns(scenario->ctx, KT_OP_TIMEOUT_MS),
					   reterr);
}

static int freeze_cgroup(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	return freeze(scenario, op, true, reterr);
}

static int unfreeze_cgroup(struct kt_scenario *scenario, const struct kt_op *op,
			   struct kt_err *reterr)
{
	return freeze(scenario, op, false, reterr);
}

/* ---- cpusets --------------------------------------------------------------------------------- */

static int set_cpuset(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;
	cpu_set_t cpus;
	int r = kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr)
			?: kt_cpuset_resolve(&op->cpus, &scenario->ctx->topology, &cpus, reterr);

	if (r < 0)
		return r;
	kt_live_set_cpus(cgroup, &cpus); /* first: a worker may run there at once */
	return kt_cgroup_set_cpuset(op->cgroup, &cpus, reterr);
}

static int clear_cpuset(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;
	int r = kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr);

	if (r < 0)
		return r;
	kt_live_set_cpus(cgroup, kt_live_cpus_above(&scenario->live, op->cgroup));
	return kt_cgroup_clear_cpuset(op->cgroup, reterr);
}

static int read_cpuset(const char *name, unsigned int n_cpus, cpu_set_t *ret_cpus,
		       struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	int r = kt_cgroup_read_cpuset(name, &text, reterr);

	if (r < 0)
		return r;
	if (!*text)
		return kt_err_set(reterr, -EINVAL, "cgroup '%s' has no cpuset to be swapped", name);
	return kt_cpuset_parse(text, n_cpus, "CPU", ret_cpus, reterr);
}

static int swap_cpusets(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	unsigned int n = kt_topology_cpus(&scenario->ctx->topology);
	struct kt_live_cgroup *a, *b;
	cpu_set_t of_a, of_b;
	int r = kt_live_get(&scenario->live, op->cgroup, &a, reterr) ?:
		kt_live_get(&scenario->live, op->to, &b, reterr) ?:
		read_cpuset(op->cgroup, n, &of_a, reterr) ?: read_cpuset(op->to, n, &of_b, reterr);

	if (r < 0)
		return r;
	kt_live_set_cpus(a, &of_b);
	kt_live_set_cpus(b, &of_a);
	return kt_cgroup_set_cpuset(op->cgroup, &of_b, reterr)
		       ?: kt_cgroup_set_cpuset(op->to, &of_a, reterr);
}

static int check_cpuset(const struct kt_op *op, const struct kt_topology *topology,
			struct kt_err *reterr)
{
	cpu_set_t cpus;

	if (op->cpus.kind == KT_CPUS_UNSET)
		return kt_err_set(reterr, -EINVAL,
				  "it says no set of CPUs; use the macros, as KT_CPUSET_LLC()");
	return kt_cpuset_resolve(&op->cpus, topology, &cpus, reterr);
}

/* ---- workers --------------------------------------------------------------------------------- */

/*
 * Finds the cgroup in which an operation starts something. The cgroup of PID 1 is never removed;
 * its workers end with the last step that started some there.
 */
static int get_place(struct kt_scenario *scenario, const char *name,
		     struct kt_live_cgroup **ret_cgroup, struct kt_err *reterr)
{
	int r = kt_live_get(&scenario->live, name, ret_cgroup, reterr);

	if (r == 0 && !*name)
		(*ret_cgroup)->last_step =
			KT_MAX((*ret_cgroup)->last_step, kt_scenario_last_step(scenario, name));
	return r;
}

static int spawn(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;

	return get_place(scenario, op->cgroup, &cgroup, reterr)
		       ?: kt_live_spawn(&scenario->live, cgroup, op->work, reterr);
}

static int check_spawn(const struct kt_op *op, const struct kt_topology *topology,
		       struct kt_err *reterr)
{
	const char *why = op->work ? kt_work_fault(op->work, topology) : "it has no work";

	if (!why && op->work->workers_pct > 0 && op->cgroup && !*op->cgroup)
		why = ".workers_pct needs a cgroup, whose CPUs it is of";
	return why ? kt_err_set(reterr, -EINVAL, "%s", why) : 0;
}

struct set_affinity {
	const struct kt_op *op;
	const struct kt_live_cgroup *only;
	struct kt_worker_place place;
	struct kt_err *reterr;
};

static int set_group_affinity(void *data, struct kt_live_cgroup *cgroup,
			      struct kt_worker_group *group)
{
	struct set_affinity *set = data;

	if (cgroup != set->only)
		return 0;
	set->place.number++;
	return kt_worker_group_set_affinity(group, &set->op->affinity, &set->place, set->reterr);
}

static int set_affinity(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;
	int r = kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr);
	struct set_affinity set = {
		.op = op,
		.only = cgroup,
		.place = { .topology = &scenario->ctx->topology, .seed = scenario->ctx->seed },
		.reterr = reterr,
	};

	if (r < 0)
		return r;
	if (!cgroup->n_groups)
		return kt_err_set(reterr, -ESRCH, "cgroup '%s' has no workers", op->cgroup);
	set.place.cpus = cgroup->cpus;
	return kt_live_for_each_group(&scenario->live, set_group_affinity, &set);
}

static int check_affinity(const struct kt_op *op, const struct kt_topology *topology,
			  struct kt_err *reterr)
{
	const struct kt_affinity *affinity = &op->affinity;
	cpu_set_t cpus;
	const char *why = kt_work_fault(
		&(const struct kt_work){ .type = KT_SPIN_WAIT, .affinity = *affinity }, topology);

	if (why)
		return kt_err_set(reterr, -EINVAL, "%s", why);
	return kt_cpuset_resolve(&affinity->cpus, topology, &cpus, reterr);
}

/*
 * Workers of the backdrop live to the end of the test and cannot be moved to a cgroup that ends
 * with a step. Workers of a step that are moved to the backdrop's cgroup live on with it.
 */
static int move_all_tasks(struct kt_scenario *scenario, const struct kt_op *op,
			  struct kt_err *reterr)
{
	struct kt_live_cgroup *from, *to;
	int r = kt_live_get(&scenario->live, op->cgroup, &from, reterr)
			?: kt_live_get(&scenario->live, op->to, &to, reterr);

	if (r < 0)
		return r;
	if (from == to)
		return kt_err_set(reterr, -EINVAL, "they are in '%s' already", op->to);
	if (from->last_step == KT_LIVES_ON && to->last_step != KT_LIVES_ON)
		return kt_err_set(
			reterr, -EINVAL,
			"'%s' is the backdrop's, and '%s' goes with a step: its tasks would "
			"be left without a cgroup; declare '%s' in the backdrop too",
			op->cgroup, op->to, op->to);
	r = kt_live_move(from, to, reterr);
	if (r == 0 && *op->cgroup &&
	    kt_payload_set_move(&scenario->payloads, op->cgroup, op->to) < 0)
		r = kt_err_oom(reterr);
	return r;
}

/* ---- payloads -------------------------------------------------------------------------------- */

static int run_payload(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;

	return get_place(scenario, op->cgroup, &cgroup, reterr)
		       ?: kt_payload_set_start(&scenario->payloads, op->payload, op->args,
					       op->cgroup, reterr);
}

static int wait_payload(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_payload *live;

	return kt_payload_set_find(&scenario->payloads, op->payload, op->cgroup, &live, reterr)
		       ?: kt_payload_set_wait(&scenario->payloads, live, op->timeout_ms, reterr);
}

static int kill_payload(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	struct kt_live_payload *live;

	return kt_payload_set_find(&scenario->payloads, op->payload, op->cgroup, &live, reterr)
		       ?: kt_payload_set_kill(&scenario->payloads, live, reterr);
}

static int check_payload(const struct kt_op *op, const struct kt_topology *topology,
			 struct kt_err *reterr)
{
	(void)topology;
	if (!op->payload)
		return kt_err_set(reterr, -EINVAL, "it names no payload");
	if (op->kind == KT_OP_WAIT_PAYLOAD && !op->timeout_ms)
		return kt_err_set(reterr, -EINVAL, "it waits for 0 ms");
	return 0;
}

/* ---- captures and interrupts ----------------------------------------------------------------- */

static int capture(struct kt_scenario *scenario, const struct kt_op *op, const char *file,
		   struct kt_err *reterr)
{
	struct kt_live_cgroup *cgroup;
	pid_t *pids;
	size_t n;
	int r = kt_live_get(&scenario->live, op->cgroup, &cgroup, reterr)
			?: kt_cgroup_list(op->cgroup, file, &pids, &n, reterr);

	if (r == 0 && kt_pid_list_add(&scenario->captures, op->tag, pids, n) < 0)
		r = kt_err_oom(reterr);
	return r;
}

static int capture_procs(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	return capture(scenario, op, "cgroup.procs", reterr);
}

static int capture_threads(struct kt_scenario *scenario, const struct kt_op *op,
			   struct kt_err *reterr)
{
	return capture(scenario, op, "cgroup.threads", reterr);
}

static int check_tag(const struct kt_op *op, const struct kt_topology *topology,
		     struct kt_err *reterr)
{
	(void)topology;
	return op->tag && *op->tag ? 0 : kt_err_set(reterr, -EINVAL, "its tag is empty");
}

static int steer_irq(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	(void)scenario;
	return kt_irq_steer(op->irq_label, op->irq, op->cpu, reterr);
}

static int check_irq(const struct kt_op *op, const struct kt_topology *topology,
		     struct kt_err *reterr)
{
	if (op->cpu < kt_topology_cpus(topology))
		return 0;
	return kt_err_set(reterr, -EINVAL, "CPU %u of %u, counted from 0", op->cpu,
			  kt_topology_cpus(topology));
}

static int check_self(const struct kt_op *op, const struct kt_topology *topology,
		      struct kt_err *reterr)
{
	(void)topology;
	if (strcmp(op->cgroup ?: "", op->to ?: ""))
		return 0;
	return kt_err_set(reterr, -EINVAL, "both cgroups are \"%s\"", op->cgroup ?: "");
}

/* ---- schedulers and their maps --------------------------------------------------------------- */

static int attach_scheduler(struct kt_scenario *scenario, const struct kt_op *op,
			    struct kt_err *reterr)
{
	return kt_scheduler_set_attach(&scenario->schedulers, op->scheduler, op->args, reterr);
}

static int detach_scheduler(struct kt_scenario *scenario, const struct kt_op *op,
			    struct kt_err *reterr)
{
	int r = kt_scheduler_set_detach(&scenario->schedulers, reterr);

	return r == -ESRCH && op->if_any ? 0 : r;
}

static int restart_scheduler(struct kt_scenario *scenario, const struct kt_op *op,
			     struct kt_err *reterr)
{
	(void)op;
	return kt_scheduler_set_restart(&scenario->schedulers, reterr);
}

static int replace_scheduler(struct kt_scenario *scenario, const struct kt_op *op,
			     struct kt_err *reterr)
{
	return kt_scheduler_set_replace(&scenario->schedulers, op->scheduler, op->args, reterr);
}

static int check_scheduler(const struct kt_op *op, const struct kt_topology *topology,
			   struct kt_err *reterr)
{
	(void)topology;
	return op->scheduler ? 0 : kt_err_set(reterr, -EINVAL, "it names no scheduler");
}

static int await_scheduler_exit(struct kt_scenario *scenario, const struct kt_op *op,
				struct kt_err *reterr)
{
	return kt_scheduler_set_await_end(&scenario->schedulers, op->timeout_ms, reterr);
}

static int check_timeout(const struct kt_op *op, const struct kt_topology *topology,
			 struct kt_err *reterr)
{
	(void)topology;
	return op->timeout_ms ? 0 : kt_err_set(reterr, -EINVAL, "it waits for 0 ms");
}

static int pin_bpf_map(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	return kt_scheduler_set_pin(&scenario->schedulers, op->bpf.map, reterr);
}

static int write_bpf_map(struct kt_scenario *scenario, const struct kt_op *op,
			 struct kt_err *reterr)
{
	KT_CLOSE int fd = -1;
	int r = kt_scheduler_set_open_map(&scenario->schedulers, &op->bpf, &fd, reterr);

	return r ?: kt_bpf_map_write_number(fd, &op->bpf, op->value, reterr);
}

static int read_bpf_map(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	KT_CLOSE int fd = -1;
	uint64_t value;
	int r = kt_scheduler_set_open_map(&scenario->schedulers, &op->bpf, &fd, reterr)
			?: kt_bpf_map_read_number(fd, &op->bpf, &value, reterr);

	return r ?: kt_scheduler_set_remember(&scenario->schedulers, op->tag, value, reterr);
}

static int check_map(const struct kt_op *op, const struct kt_topology *topology,
		     struct kt_err *reterr)
{
	(void)topology;
	if (op->kind == KT_OP_READ_BPF_MAP && !(op->tag && *op->tag))
		return kt_err_set(reterr, -EINVAL, "its tag is empty");
	return op->bpf.map && *op->bpf.map ? 0 : kt_err_set(reterr, -EINVAL, "it names no map");
}

/* ---- the table ------------------------------------------------------------------------------- */

static const struct kt_op_ops op_table[KT_N_OP_KINDS] = {
	[KT_OP_ADD_CGROUP] = { "KT_ADD_CGROUP", KT_OP_CREATES, .apply = add_cgroup },
	[KT_OP_ADD_CGROUP_DEF] = { "KT_ADD_CGROUP_DEF", KT_OP_CREATES, .apply = add_cgroup_def },
	[KT_OP_REMOVE_CGROUP] = { "KT_REMOVE_CGROUP", KT_OP_REMOVES, .apply = remove_cgroup },
	[KT_OP_STOP_CGROUP] = { "KT_STOP_CGROUP", KT_OP_USES, true, .apply = stop_cgroup },
	[KT_OP_FREEZE_CGROUP] = { "KT_FREEZE_CGROUP", KT_OP_USES, .apply = freeze_cgroup },
	[KT_OP_UNFREEZE_CGROUP] = { "KT_UNFREEZE_CGROUP", KT_OP_USES, .apply = unfreeze_cgroup },
	[KT_OP_SET_CPUSET] = { "KT_SET_CPUSET", KT_OP_USES, .apply = set_cpuset,
			       .check = check_cpuset },
	[KT_OP_CLEAR_CPUSET] = { "KT_CLEAR_CPUSET", KT_OP_USES, .apply = clear_cpuset },
	[KT_OP_SWAP_CPUSETS] = { "KT_SWAP_CPUSETS", KT_OP_USES, .uses_to = true,
				 .apply = swap_cpusets, .check = check_self },
	[KT_OP_SPAWN] = { "KT_SPAWN", KT_OP_USES, true, .apply = spawn, .check = check_spawn },
	[KT_OP_SET_AFFINITY] = { "KT_SET_AFFINITY", KT_OP_USES, true, .apply = set_affinity,
				 .check = check_affinity },
	[KT_OP_MOVE_ALL_TASKS] = { "KT_MOVE_ALL_TASKS", KT_OP_USES, true, .uses_to = true,
				   .apply = move_all_tasks, .check = check_self },
	[KT_OP_RUN_PAYLOAD] = { "KT_RUN_PAYLOAD", KT_OP_USES, true, .apply = run_payload,
				.check = check_payload },
	[KT_OP_WAIT_PAYLOAD] = { "KT_WAIT_PAYLOAD", KT_OP_USES, true, .takes_any = true,
				 .apply = wait_payload, .check = check_payload },
	[KT_OP_KILL_PAYLOAD] = { "KT_KILL_PAYLOAD", KT_OP_USES, true, .takes_any = true,
				 .apply = kill_payload, .check = check_payload },
	[KT_OP_CAPTURE_CGROUP_PROCS] = { "KT_CAPTURE_CGROUP_PROCS", KT_OP_USES,
					 .apply = capture_procs, .check = check_tag },
	[KT_OP_CAPTURE_CGROUP_THREADS] = { "KT_CAPTURE_CGROUP_THREADS", KT_OP_USES,
					   .apply = capture_threads, .check = check_tag },
	[KT_OP_STEER_IRQ] = { "KT_STEER_IRQ", KT_OP_NAMES_NONE, .apply = steer_irq,
			      .check = check_irq },
	[KT_OP_ATTACH_SCHEDULER] = { "KT_ATTACH_SCHEDULER", KT_OP_NAMES_NONE,
				     .apply = attach_scheduler, .check = check_scheduler },
	[KT_OP_DETACH_SCHEDULER] = { "KT_DETACH_SCHEDULER", KT_OP_NAMES_NONE,
				     .apply = detach_scheduler },
	[KT_OP_RESTART_SCHEDULER] = { "KT_RESTART_SCHEDULER", KT_OP_NAMES_NONE,
				      .apply = restart_scheduler },
	[KT_OP_REPLACE_SCHEDULER] = { "KT_REPLACE_SCHEDULER", KT_OP_NAMES_NONE,
				      .apply = replace_scheduler, .check = check_scheduler },
	[KT_OP_AWAIT_SCHEDULER_EXIT] = { "KT_AWAIT_SCHEDULER_EXIT", KT_OP_NAMES_NONE,
					 .apply = await_scheduler_exit, .check = check_timeout },
	[KT_OP_PIN_BPF_MAP] = { "KT_PIN_BPF_MAP", KT_OP_NAMES_NONE, .apply = pin_bpf_map,
				.check = check_map },
	[KT_OP_READ_BPF_MAP] = { "KT_READ_BPF_MAP", KT_OP_NAMES_NONE, .apply = read_bpf_map,
				 .check = check_map },
	[KT_OP_WRITE_BPF_MAP] = { "KT_WRITE_BPF_MAP", KT_OP_NAMES_NONE, .apply = write_bpf_map,
				  .check = check_map },
};

const struct kt_op_ops *kt_op_ops(enum kt_op_kind kind)
{
	if (kind <= KT_OP_NONE || kind >= KT_N_OP_KINDS || !op_table[kind].apply)
		return NULL;
	return &op_table[kind];
}

/* The check comes first: operations of functions have not been validated. */
int kt_op_apply(struct kt_scenario *scenario, const struct kt_op *op, struct kt_err *reterr)
{
	const struct kt_op_ops *ops = kt_op_ops(op->kind);
	int r;

	if (!ops)
		return kt_err_set(reterr, -EINVAL, "it has no kind; use the macros");
	r = ops->check ? ops->check(op, &scenario->ctx->topology, reterr) : 0;
	scenario->applied |= UINT64_C(1) << op->kind;
	return r ?: ops->apply(scenario, op, reterr);
}

char *kt_op_text(const struct kt_op *op)
{
	const struct kt_op_ops *ops = kt_op_ops(op->kind);
	const char *name = ops ? ops->name : "?";

	if (op->kind == KT_OP_STEER_IRQ)
		return op->irq_label
			       ? kt_format("%s_BY_LABEL(\"%s\", %u)", name, op->irq_label, op->cpu)
			       : kt_format("%s(%u, %u)", name, op->irq, op->cpu);
	if (op->scheduler)
		return kt_format("%s(%s)", name, op->scheduler->name);
	if (op->bpf.map && op->kind == KT_OP_WRITE_BPF_MAP)
		return kt_format("%s(\"%s\", \"%s\", %" PRId64 ")", name, op->bpf.map,
				 op->bpf.field ?: "", (int64_t)op->value);
	if (op->bpf.map && op->tag)
		return kt_format("%s(\"%s\", \"%s\", \"%s\")", name, op->tag, op->bpf.map,
				 op->bpf.field ?: "");
	if (op->bpf.map)
		return kt_format("%s(\"%s\")", name, op->bpf.map);
	if (op->kind == KT_OP_AWAIT_SCHEDULER_EXIT)
		return kt_format("%s(%u)", name, op->timeout_ms);
	if (ops && ops->effect == KT_OP_NAMES_NONE)
		return kt_format("%s()", name);
	if (op->payload)
		return op->cgroup ? kt_format("%s(%s, \"%s\")", name, op->payload->name, op->cgroup)
				  : kt_format("%s(%s, NULL)", name, op->payload->name);
	if (op->tag)
		return kt_format("%s(\"%s\", \"%s\")", name, op->tag, op->cgroup);
	if (op->to)
		return kt_format("%s(\"%s\", \"%s\")", name, op->cgroup, op->to);
	return kt_format("%s(\"%s\")", name, op->cgroup);
}
