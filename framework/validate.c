/* SPDX-License-Identifier: MIT */
#include "framework/validate.h"

#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "guest/cgroup.h"
#include "guest/ctx.h"
#include "guest/lifetime.h"
#include "guest/op.h"
#include "guest/worktype.h"

#define CPUS_MAX       255u
#define MEMORY_MIB_MIN 64u
#define MEMORY_MIB_MAX 65536u
#define CGROUPS_MAX    1024u
#define FRACTION_SLACK 1e-9 /* three thirds are one */

struct validation {
	const struct kt_test *test;
	FILE *out;
	unsigned int n_faults;
	/* Names that exist at this point of the steps; borrowed from the test. */
	const char *cgroups[CGROUPS_MAX];
	size_t n_cgroups;
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

static void check_topology(struct validation *v)
{
	struct kt_topology topology = kt_test_topology(v->test);

	if (!topology.llcs || !topology.cores) {
		fault(v, ".topology has %u LLCs with %u cores each; both must be at least 1",
		      topology.llcs, topology.cores);
		return;
	}
	if (topology.llcs > CPUS_MAX || topology.cores > CPUS_MAX || topology.threads > CPUS_MAX ||
	    kt_topology_cpus(&topology) > CPUS_MAX)
		fault(v, ".topology has more than %u CPUs", CPUS_MAX);
	if (topology.llcs % topology.numa_nodes)
		fault(v, ".topology cannot deal %u LLCs out to %u NUMA nodes evenly", topology.llcs,
		      topology.numa_nodes);
}

static void check_memory(struct validation *v)
{
	unsigned int mib = v->test->memory_mib;

	if (mib && (mib < MEMORY_MIB_MIN || mib > MEMORY_MIB_MAX))
		fault(v, ".memory_mib is %u; it must be within %u..%u", mib, MEMORY_MIB_MIN,
		      MEMORY_MIB_MAX);
}

static size_t find_cgroup(const struct validation *v, const char *name)
{
	size_t i = 0;

	while (i < v->n_cgroups && strcmp(v->cgroups[i], name))
		i++;
	return i;
}

static void add_cgroup(struct validation *v, unsigned int step, const char *name)
{
	const char *why = kt_cgroup_name_fault(name);

	if (why) {
		fault(v, "step %u: cgroup name \"%s\": %s", step, name ?: "", why);
		return;
	}
	if (find_cgroup(v, name) < v->n_cgroups)
		fault(v, "step %u: cgroup \"%s\" exists already", step, name);
	else if (v->n_cgroups == CGROUPS_MAX)
		fault(v, "step %u: more than %u cgroups", step, CGROUPS_MAX);
	else
		v->cgroups[v->n_cgroups++] = name;
}

static void check_def(struct validation *v, unsigned int step, const struct kt_cgroup_def *def)
{
	add_cgroup(v, step, def->name);
	for (const struct kt_work *work = def->work; work && !work->end; work++) {
		struct kt_topology topology = kt_test_topology(v->test);
		const char *why = kt_work_fault(work, &topology);

		if (why)
			fault(v, "step %u: work of cgroup \"%s\": %s", step, def->name ?: "", why);
	}
}

static void check_op(struct validation *v, unsigned int step, unsigned int index,
		     const struct kt_op *op)
{
	const struct kt_op_ops *ops = kt_op_ops(op->kind);
	size_t at;

	if (!ops) {
		fault(v,
		      "step %u, operation %u: it has no kind; use the macros, as KT_ADD_CGROUP()",
		      step, index);
		return;
	}
	if (ops->effect == KT_OP_CREATES) {
		add_cgroup(v, step, op->cgroup);
		return;
	}
	at = op->cgroup ? find_cgroup(v, op->cgroup) : v->n_cgroups;
	if (at == v->n_cgroups)
		fault(v, "step %u, operation %u: %s(\"%s\"): no step before creates that cgroup",
		      step, index, ops->name, op->cgroup ?: "");
	else if (ops->effect == KT_OP_REMOVES)
		v->cgroups[at] = v->cgroups[--v->n_cgroups];
}

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
	}
	fault(v, "step %u: .hold has no kind; use KT_HOLD_FRAC() or KT_HOLD_MS()", step);
	return 0;
}

/* Forgets the cgroups that end with step @now: their names are free again. */
static void end_lifetimes(struct validation *v, unsigned int now)
{
	for (size_t i = 0; i < v->n_cgroups;) {
		if (kt_lifetime_end(v->test->steps, now, v->cgroups[i]) > now)
			i++;
		else
			v->cgroups[i] = v->cgroups[--v->n_cgroups];
	}
}

static bool is_empty(const struct kt_step *step)
{
	return (!step->setup || step->setup->end) && (!step->ops || step->ops->end) &&
	       step->hold.kind == KT_HOLD_NONE;
}

static void check_steps(struct validation *v)
{
	double sum = 0;
	unsigned int index = 0;

	if (v->test->steps->end)
		fault(v, ".steps has no steps");
	for (const struct kt_step *step = v->test->steps; !step->end; step++, index++) {
		unsigned int op_index = 0;

		if (is_empty(step))
			fault(v, "step %u is empty: it has no setup, no operations and no hold",
			      index);
		for (const struct kt_cgroup_def *def = step->setup; def && !def->end; def++)
			check_def(v, index, def);
		for (const struct kt_op *op = step->ops; op && !op->end; op++)
			check_op(v, index, op_index++, op);
		sum += check_hold(v, index, &step->hold);
		end_lifetimes(v, index);
	}
	if (sum > 1 + FRACTION_SLACK)
		fault(v, "the holds of the steps add up to %.4g times the duration of %u ms", sum,
		      kt_test_duration_ms(v->test));
}

static void check_name(struct validation *v, const struct kt_test_node *tests)
{
	for (const struct kt_test_node *at = tests; at->test != v->test; at = at->next) {
		if (!strcmp(at->test->name, v->test->name)) {
			fault(v, "the name is taken by %s:%u", at->test->file, at->test->line);
			return;
		}
	}
	for (const char *c = v->test->name; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '_') {
			fault(v, "the name may hold letters, digits and underscores only");
			return;
		}
	}
}

static unsigned int check_test(const struct kt_test_node *tests, const struct kt_test *test,
			       FILE *out)
{
	struct validation v = { .test = test, .out = out };

	check_name(&v, tests);
	check_topology(&v);
	check_memory(&v);
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
