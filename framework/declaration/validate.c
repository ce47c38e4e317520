/* SPDX-License-Identifier: MIT */
/*
 * Validation walks the steps of a test in order, as the executor in the guest will
 * (guest/scenario/scenario.c), and tracks which cgroups exist at each point. Every test is
 * validated before the first one runs, and all faults are reported at once. Nothing here depends on
 * the host or on a kernel.
 *
 * Only what depends on the whole test is judged here: names over time, holds, members that
 * contradict each other. A definition and an operation are judged by the guest's own functions
 * (kt_definition_judge(), .check of struct kt_op_ops), so that host and guest agree. What a
 * .setup_fn or .run function does cannot be validated.
 */

#include "framework/declaration/validate.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "framework/declaration/perf.h"
#include "framework/setup/uses.h"
#include "guest/scenario/definition.h"
#include "guest/scenario/lifetime.h"
#include "guest/scenario/op.h"
#include "guest/scenario/periodic.h"
#include "guest/test/check.h"
#include "guest/test/test.h"
#include "util/cleanup.h"
#include "util/io.h"

#define CPUS_MAX        255u
#define NODES_MAX       63u
#define NODE_MIB_MIN    4u
#define NAME_LEN_MAX    160u /* file names add a version, a round and an ending; NAME_MAX is 255 */
#define MEMORY_MIB_MIN  64u
#define MEMORY_MIB_MAX  65536u
#define DISK_MIB_MAX    65536u
#define CGROUPS_MAX     1024u
#define WATCHDOG_MS_MAX 30000u /* SCX_WATCHDOG_MAX_TIMEOUT, kernel/sched/ext_internal.h */
#define FRACTION_SLACK  1e-9   /* 1/3 + 1/3 + 1/3 may exceed 1 by rounding */

struct validation {
	const struct kt_test *test;
	FILE *out; /* for the faults */
	unsigned int n_faults;
	/* The cgroups that exist at this point of the steps, the backdrop's first; borrowed. */
	const char *cgroups[CGROUPS_MAX];
	size_t n_cgroups;
	size_t n_backdrop;
	bool names_unknown; /* a .setup_fn may create others */
	/* The names of the watches that are armed at this point; borrowed. */
	const char *watches[KT_WATCHES_ARMED];
	size_t n_watches;
};

__attribute__((format(printf, 2, 3))) static void fault(struct validation *v, const char *format,
							...)
{
	va_list ap;

	(void)fprintf(v->out, "%s:%u: %s: ", v->test->file, v->test->line, v->test->name);
	va_start(ap, format);
	(void)vfprintf(v->out, format, ap);
	va_end(ap);
	(void)fputc('\n', v->out);
	v->n_faults++;
}

/* A list of cores as it is declared, by the test or by its scheduler. False: it is wrong. */
static bool check_llc_cores(struct validation *v, const struct kt_topology *declared)
{
	unsigned int n = 0;

	while (n < KT_TOPOLOGY_LLCS && declared->llc_cores[n])
		n++;
	if (n && (declared->llcs || declared->cores)) {
		fault(v,
		      ".topology has .llc_cores for %u LLCs, which takes the place of .llcs (%u) "
		      "and .cores (%u)",
		      n, declared->llcs, declared->cores);
		return false;
	}
	for (unsigned int llc = n; llc < KT_TOPOLOGY_LLCS; llc++) {
		if (!declared->llc_cores[llc])
			continue;
		fault(v,
		      ".topology.llc_cores has %u for LLC %u and none for LLC %u; each LLC has "
		      "at least 1 core",
		      declared->llc_cores[llc], llc, n);
		return false;
	}
	return true;
}

/*
 * Linux ignores a node with less than NODE_MIB_MIN of memory. A native machine has no memory slots
 * for more than NODES_MAX nodes.
 */
static void check_nodes(struct validation *v, const struct kt_topology *topology)
{
	uint64_t n = (uint64_t)topology->numa_nodes + topology->memory_nodes;
	unsigned int mib = kt_test_memory_mib(v->test);

	if (topology->llcs % topology->numa_nodes)
		fault(v, ".topology cannot deal %u LLCs out to %u NUMA nodes evenly",
		      topology->llcs, topology->numa_nodes);
	if (n > NODES_MAX)
		fault(v, ".topology has %llu NUMA nodes, with CPUs and without; at most %u can be",
		      (unsigned long long)n, NODES_MAX);
	else if (n > 1 && mib / n < NODE_MIB_MIN)
		fault(v, ".memory_mib is %u for %llu NUMA nodes; each needs at least %u MiB", mib,
		      (unsigned long long)n, NODE_MIB_MIN);
}

/* Checks the topology after the defaults and the scheduler's topology have been filled in. */
static void check_topology(struct validation *v)
{
	struct kt_topology topology = kt_test_topology(v->test);

	if (!check_llc_cores(v, &v->test->topology) ||
	    (v->test->scheduler && !check_llc_cores(v, &v->test->scheduler->topology)))
		return;
	if (!topology.llcs || (!topology.cores && !topology.llc_cores[0])) {
		fault(v, ".topology has %u LLCs with %u cores each; both must be at least 1",
		      topology.llcs, topology.cores);
		return;
	}
	if (topology.llcs > CPUS_MAX || topology.cores > CPUS_MAX || topology.threads > CPUS_MAX ||
	    kt_topology_cpus(&topology) > CPUS_MAX)
		fault(v, ".topology has more than %u CPUs", CPUS_MAX);
	check_nodes(v, &topology);
}

static void check_snapshots(struct validation *v)
{
	struct kt_err err = KT_ERR_NULL;

	if (kt_periodic_check(v->test, &err) < 0)
		fault(v, "%s", err.text);
}

static void check_machine(struct validation *v)
{
	unsigned int mib = v->test->memory_mib, mips = v->test->mips;

	if (mips > 1000)
		fault(v, ".mips is %u; it must be within 1..1000", mips);
	if (mib && (mib < MEMORY_MIB_MIN || mib > MEMORY_MIB_MAX))
		fault(v, ".memory_mib is %u; it must be within %u..%u", mib, MEMORY_MIB_MIN,
		      MEMORY_MIB_MAX);
	if (v->test->disk_mib > DISK_MIB_MAX)
		fault(v, ".disk_mib is %u; it must be within 1..%u", v->test->disk_mib,
		      DISK_MIB_MAX);
}

/* The index of @name in v->cgroups; v->n_cgroups when it does not exist. */
static size_t find_cgroup(const struct validation *v, const char *name)
{
	size_t i = 0;

	while (i < v->n_cgroups && strcmp(v->cgroups[i], name))
		i++;
	return i;
}

/* Ignores a name that no cgroup can have; kt_definition_judge() and others report it. */
static void add_cgroup(struct validation *v, const char *where, const char *name)
{
	if (kt_definition_check_name(name, NULL) < 0)
		return;
	if (find_cgroup(v, name) < v->n_cgroups)
		fault(v, "%s: cgroup \"%s\" exists already", where, name);
	else if (v->n_cgroups == CGROUPS_MAX)
		fault(v, "%s: more than %u cgroups", where, CGROUPS_MAX);
	else
		v->cgroups[v->n_cgroups++] = name;
}

/* Keeps the order of the others: n_backdrop counts from the beginning. */
static void forget_cgroup(struct validation *v, size_t at)
{
	if (at >= v->n_cgroups)
		return;
	v->n_backdrop -= at < v->n_backdrop;
	memmove(&v->cgroups[at], &v->cgroups[at + 1],
		(--v->n_cgroups - at) * sizeof(v->cgroups[0]));
}

/* Where in the test a definition stands, for messages about it. */
struct place {
	struct validation *v;
	const char *where;
};

static int on_fault(void *data, const char *what)
{
	struct place *place = data;

	fault(place->v, "%s: %s", place->where, what);
	return 0; /* on to the next fault */
}

static void check_def(struct validation *v, const char *where, const struct kt_cgroup_def *def)
{
	struct kt_topology topology = kt_test_topology(v->test);
	struct place place = { v, where };

	add_cgroup(v, where, def->name);
	(void)kt_definition_judge(def, &topology, on_fault, &place);
}

/* KT_ADD_CGROUP(): a name without a definition. */
static void check_empty_cgroup(struct validation *v, const char *where, const char *name)
{
	struct kt_err err = KT_ERR_NULL;

	if (kt_definition_check_name(name, &err) < 0)
		fault(v, "%s: %s", where, err.text);
	add_cgroup(v, where, name);
}

/* Whether an operation may name this cgroup at this point. */
static bool is_known(const struct validation *v, const char *name, bool takes_init)
{
	if (!name)
		return false;
	if (*name && v->names_unknown)
		return true;
	return *name ? find_cgroup(v, name) < v->n_cgroups : takes_init;
}

static void check_known(struct validation *v, const char *where, const char *text, const char *name,
			bool takes_init)
{
	if (is_known(v, name, takes_init))
		return;
	if (name && !*name)
		fault(v, "%s: %s: \"\" cannot be used here: it is the cgroup of PID 1", where,
		      text);
	else
		fault(v, "%s: %s: no earlier step creates the cgroup \"%s\"", where, text,
		      name ?: "");
}

/*
 * @text: the operation as it is written. A name that is removed is free for the operations after
 * it.
 */
static void check_names(struct validation *v, const char *where, const struct kt_op *op,
			const struct kt_op_ops *ops, const char *text)
{
	if (op->cgroup || !ops->takes_any)
		check_known(v, where, text, op->cgroup, ops->takes_init);
	if (ops->uses_to)
		check_known(v, where, text, op->to, false);
	if (ops->effect == KT_OP_REMOVES && op->cgroup)
		forget_cgroup(v, find_cgroup(v, op->cgroup));
}

/* The workers whose tasks an operation accesses. */
static void check_workers(struct validation *v, const char *where, const struct kt_op *op,
			  const char *text)
{
	for (const struct kt_kernel_pair *pair = op->kernel; pair && !pair->end; pair++) {
		if (pair->target.kind == KT_KERNEL_TARGET_WORKER_FIELD && pair->target.name)
			check_known(v, where, text, pair->target.name, true);
	}
}

static size_t find_watch(const struct validation *v, const char *name)
{
	size_t i = 0;

	while (i < v->n_watches && strcmp(v->watches[i], name) != 0)
		i++;
	return i;
}

/* Backends can have fewer: what a machine cannot have is an error of the operation. */
static void check_arming(struct validation *v, const char *where, const char *text,
			 const struct kt_kernel_watch *watch)
{
	const char *name = watch->name ?: watch->path;

	if (!name)
		return;
	if (find_watch(v, name) < v->n_watches)
		fault(v, "%s: %s: a watch has the name '%s' already", where, text, name);
	else if (v->n_watches == KT_WATCHES_ARMED)
		fault(v, "%s: %s: more than %u watches at a time", where, text, KT_WATCHES_ARMED);
	else
		v->watches[v->n_watches++] = name;
}

static void check_unwatch(struct validation *v, const char *where, const char *text,
			  const char *name)
{
	size_t i = name ? find_watch(v, name) : v->n_watches;

	if (i < v->n_watches)
		v->watches[i] = v->watches[--v->n_watches];
	else if (name && *name)
		fault(v, "%s: %s: no watch has this name here", where, text);
}

static void check_op(struct validation *v, const char *step, unsigned int index,
		     const struct kt_op *op)
{
	const struct kt_op_ops *ops = kt_op_ops(op->kind);
	struct kt_topology topology = kt_test_topology(v->test);
	KT_FREE char *text = ops ? kt_op_text(op) : NULL;
	struct kt_err err = KT_ERR_NULL;
	char where[64];

	(void)snprintf(where, sizeof(where), "%s, operation %u", step, index);
	if (!ops) {
		fault(v, "%s: it has no kind; use the macros, as KT_ADD_CGROUP()", where);
		return;
	}
	if (ops->check && ops->check(op, &topology, &err) < 0)
		fault(v, "%s: %s: %s", where, text ?: ops->name, err.text);
	check_workers(v, where, op, text ?: ops->name);
	if (op->watch)
		check_arming(v, where, text ?: ops->name, op->watch);
	if (op->kind == KT_OP_UNWATCH)
		check_unwatch(v, where, text ?: ops->name, op->tag);
	if (op->def)
		check_def(v, where, op->def);
	else if (ops->effect == KT_OP_CREATES)
		check_empty_cgroup(v, where, op->cgroup);
	else if (ops->effect != KT_OP_NAMES_NONE)
		check_names(v, where, op, ops, text ?: ops->name);
}

/* Returns the hold's share of the test's duration; 0 for a loop, which lasts for the rest of it. */
static double check_hold(struct validation *v, unsigned int step, const struct kt_hold *hold)
{
	switch (hold->kind) {
	case KT_HOLD_NONE:
		return 0;
	case KT_HOLD_FRACTION:
		if (isgreater(hold->fraction, 0) && islessequal(hold->fraction, 1))
			return hold->fraction;
		fault(v, "step %u: .hold is the fraction %g; it must be within (0, 1]", step,
		      hold->fraction);
		return 0;
	case KT_HOLD_FIXED:
		return (double)hold->ms / kt_test_duration_ms(v->test);
	case KT_HOLD_REPEAT:
		if (!hold->ms)
			fault(v, "step %u: .hold repeats every 0 ms", step);
		return 0;
	}
	fault(v, "step %u: .hold has no kind; use KT_HOLD_FRAC() or KT_HOLD_MS()", step);
	return 0;
}

/* Forgets the cgroups that end with step @now. A later step may use their names again. */
static void end_lifetimes(struct validation *v, unsigned int now)
{
	for (size_t i = v->n_backdrop; i < v->n_cgroups;) {
		if (kt_lifetime_end(v->test->steps, now, v->cgroups[i]) > now)
			i++;
		else
			forget_cgroup(v, i);
	}
}

/* A step that does nothing and takes no time is a mistake, such as a forgotten .hold. */
static bool is_empty(const struct kt_step *step)
{
	return (!step->setup || step->setup->end) && !step->setup_fn &&
	       (!step->ops || step->ops->end) && step->hold.kind == KT_HOLD_NONE;
}

/* A .setup_fn creates cgroups that are unknown before the run; the guest checks names then. */
static bool has_factory(const struct kt_test *test)
{
	for (const struct kt_step *step = test->steps; !step->end; step++) {
		if (step->setup_fn)
			return true;
	}
	return false;
}

static void check_lists(struct validation *v, const char *where, const struct kt_cgroup_def *setup,
			const struct kt_op *ops)
{
	unsigned int index = 0;

	for (const struct kt_cgroup_def *def = setup; def && !def->end; def++)
		check_def(v, where, def);
	for (const struct kt_op *op = ops; op && !op->end; op++)
		check_op(v, where, index++, op);
}

/*
 * The order matters: the backdrop comes first, and each step sees the names that the ones before it
 * leave. Fractions of the duration must not add up to more than all of it.
 */
static void check_steps(struct validation *v)
{
	double sum = 0;
	unsigned int index = 0;

	if (v->test->steps->end)
		fault(v, ".steps has no steps");
	v->names_unknown = has_factory(v->test);
	check_lists(v, "backdrop", v->test->backdrop.setup, v->test->backdrop.ops);
	v->n_backdrop = v->n_cgroups;
	for (const struct kt_step *step = v->test->steps; !step->end; step++, index++) {
		char where[32];

		(void)snprintf(where, sizeof(where), "step %u", index);
		if (is_empty(step))
			fault(v, "step %u is empty: it has no setup, no operations and no hold",
			      index);
		if (step->setup && step->setup_fn)
			fault(v, "step %u has both .setup and .setup_fn", index);
		check_lists(v, where, step->setup, step->ops);
		sum += check_hold(v, index, &step->hold);
		end_lifetimes(v, index);
	}
	if (sum > 1 + FRACTION_SLACK)
		fault(v, "the holds of the steps add up to %.4g times the duration of %u ms", sum,
		      kt_test_duration_ms(v->test));
}

/* The name of a test is part of file names and of the command line. */
static void check_name(struct validation *v, const struct kt_test_node *tests)
{
	for (const struct kt_test_node *at = tests; at->test != v->test; at = at->next) {
		if (!strcmp(at->test->name, v->test->name)) {
			fault(v, "the name is taken by %s:%u", at->test->file, at->test->line);
			return;
		}
	}
	if (strlen(v->test->name) > NAME_LEN_MAX)
		fault(v, "the name has %zu characters; at most %u fit into the names of its files",
		      strlen(v->test->name), NAME_LEN_MAX);
	for (const char *c = v->test->name; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '_') {
			fault(v, "the name may hold letters, digits and underscores only");
			return;
		}
	}
}

static bool uses_scheduler(const struct kt_test *test)
{
	struct kt_uses uses;
	bool found = false;

	if (kt_uses_init(&uses, test) < 0)
		return true; /* out of memory: report no fault */
	for (size_t i = 0; i < uses.n; i++)
		found |= uses.at[i].kind != KT_USE_PAYLOAD;
	kt_uses_deinit(&uses);
	return found;
}

/* Whether an earlier gate of the test is about the same metric. */
static bool is_again(const struct kt_perf *gates, const struct kt_perf *perf)
{
	while (gates != perf && (!gates->metric || strcmp(gates->metric, perf->metric) != 0))
		gates++;
	return gates != perf;
}

static void check_perf(struct validation *v)
{
	for (const struct kt_perf *perf = v->test->perf; perf && !perf->end; perf++) {
		struct kt_err err = KT_ERR_NULL;

		if (kt_perf_check(perf, &err) < 0)
			fault(v, ".perf: %s", err.text);
		else if (is_again(v->test->perf, perf))
			fault(v, ".perf: '%s' has two gates", perf->metric);
	}
}

static unsigned int check_test(const struct kt_test_node *tests, const struct kt_test *test,
			       FILE *out)
{
	struct validation v = { .test = test, .out = out };

	check_name(&v, tests);
	check_topology(&v);
	check_machine(&v);
	check_snapshots(&v);
	if (test->watchdog_ms > WATCHDOG_MS_MAX)
		fault(&v, ".watchdog_ms is %u; the kernel takes 1..%u", test->watchdog_ms,
		      WATCHDOG_MS_MAX);
	if (!uses_scheduler(test) && (test->watchdog_ms || test->expect_scheduler_exit.kind ||
				      test->expect_scheduler_exit.reason_contains))
		fault(&v,
		      "%s has no effect: neither .scheduler, .schedulers nor a step names a "
		      "scheduler",
		      test->watchdog_ms ? ".watchdog_ms" : ".expect_scheduler_exit");
	if (kt_checks_fault(&test->checks))
		fault(&v, ".checks: %s", kt_checks_fault(&test->checks));
	check_perf(&v);
	if (!test->steps && !test->run)
		fault(&v, "it does nothing: give it .steps or .run");
	if (test->steps && test->run)
		fault(&v, "it has both .steps and .run; a .run can do what steps do");
	if (test->steps)
		check_steps(&v);
	return v.n_faults;
}

unsigned int kt_validate(const struct kt_test_node *tests, FILE *out)
{
	unsigned int n = 0;

	if (!tests) {
		(void)fputs("this binary holds no tests: no KTEST() was linked into it\n", out);
		return 1;
	}
	for (const struct kt_test_node *at = tests; at; at = at->next)
		n += check_test(tests, at->test, out);
	return n;
}
