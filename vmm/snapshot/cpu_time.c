/* SPDX-License-Identifier: MIT */
#include "vmm/snapshot/cpu_time.h"

#include <errno.h>

#include "util/cleanup.h"
#include "vmm/inspect/record.h"

/* The kernel has the indices of its numbers as enumerators without a name of their own. */

static const struct {
	const char *name, *path;
} TIMES[] = {
	{ "user", "cpustat[CPUTIME_USER]" },     { "nice", "cpustat[CPUTIME_NICE]" },
	{ "system", "cpustat[CPUTIME_SYSTEM]" }, { "softirq", "cpustat[CPUTIME_SOFTIRQ]" },
	{ "irq", "cpustat[CPUTIME_IRQ]" },       { "idle", "cpustat[CPUTIME_IDLE]" },
	{ "iowait", "cpustat[CPUTIME_IOWAIT]" }, { "steal", "cpustat[CPUTIME_STEAL]" },
	{ "guest", "cpustat[CPUTIME_GUEST]" },   { "guest_nice", "cpustat[CPUTIME_GUEST_NICE]" },
};

static const char *const SOFTIRQS[] = { "hi",   "timer",   "net_tx", "net_rx",  "block",
					"poll", "tasklet", "sched",  "hrtimer", "rcu" };

/* The place of a per-CPU variable's copy. */
static int place_of(struct kt_inspect *inspect, const char *symbol, const char *type,
		    unsigned int cpu, struct kt_place *ret_place, struct kt_err *reterr)
{
	uint64_t kva;

	return kt_inspect_symbol(inspect, symbol, &kva, reterr) ?:
	       kt_inspect_per_cpu(inspect, kva, cpu, &kva, reterr) ?:
	       kt_inspect_place(inspect, kva, type, ret_place, reterr);
}

/* A number from a place on; false when the kernel has none. */
static bool number_at(struct kt_inspect *inspect, const struct kt_place *from, const char *steps,
		      uint64_t *ret_value)
{
	struct kt_place place;

	return kt_inspect_follow(inspect, from, steps, &place, NULL) == 0 &&
	       kt_inspect_load(inspect, &place, ret_value, NULL) == 0;
}

static int add_times(struct kt_inspect *inspect, unsigned int cpu, json_t *json,
		     struct kt_err *reterr)
{
	struct kt_place place;
	uint64_t value;
	int r = place_of(inspect, "kernel_cpustat", "struct kernel_cpustat", cpu, &place, reterr);

	for (size_t i = 0; r == 0 && i < KT_ARRAY_LEN(TIMES); i++) {
		if (number_at(inspect, &place, TIMES[i].path, &value))
			(void)json_object_set_new(json, TIMES[i].name, kt_tree_unsigned(value));
	}
	return r;
}

static json_t *softirqs_json(struct kt_inspect *inspect, const struct kt_place *kstat)
{
	json_t *json = json_object();
	uint64_t value;

	for (unsigned int i = 0; json && i < KT_ARRAY_LEN(SOFTIRQS); i++) {
		char steps[] = "softirqs[0]";

		steps[9] = (char)('0' + i);
		if (number_at(inspect, kstat, steps, &value))
			(void)json_object_set_new(json, SOFTIRQS[i], kt_tree_unsigned(value));
	}
	return json;
}

static int add_interrupts(struct kt_inspect *inspect, unsigned int cpu, json_t *json,
			  struct kt_err *reterr)
{
	struct kt_place place;
	uint64_t value;
	int r = place_of(inspect, "kstat", "struct kernel_stat", cpu, &place, reterr);

	if (r < 0)
		return r;
	if (number_at(inspect, &place, "irqs_sum", &value))
		(void)json_object_set_new(json, "irqs", kt_tree_unsigned(value));
	return json_object_set_new(json, "softirqs", softirqs_json(inspect, &place)) < 0
		       ? kt_err_oom(reterr)
		       : 0;
}

int kt_cpu_time_json(struct kt_walk *walk, json_t **ret_json, struct kt_err *reterr)
{
	unsigned int n_cpus = kt_inspect_facts(walk->inspect)->n_cpus;
	json_t *array = json_array();
	int r = array ? 0 : kt_err_oom(reterr);

	for (unsigned int cpu = 0; r == 0 && cpu < n_cpus; cpu++) {
		json_t *json = json_pack("{s:I}", "cpu", (json_int_t)cpu);

		if (kt_walk_is_late(walk)) {
			json_decref(json);
			kt_walk_cut(array, n_cpus - cpu);
			break;
		}
		r = json ? add_times(walk->inspect, cpu, json, reterr)
				    ?: add_interrupts(walk->inspect, cpu, json, reterr)
			 : kt_err_oom(reterr);
		(void)json_array_append_new(array, json);
	}
	if (r < 0) {
		json_decref(array);
		return kt_err_prefix(reterr, r, "times of CPUs");
	}
	*ret_json = array;
	return 0;
}
