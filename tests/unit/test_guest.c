/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ktest/scheduler.h>

#include "guest/cgroup/cpuset.h"
#include "guest/payload/set.h"
#include "guest/test/test.h"
#include "guest/worker/telemetry.h"
#include "guest/worker/type.h"
#include "guest/worker/work/alu.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"

UNIT_SUITE(topology);
UNIT_SUITE(cpuset);
UNIT_SUITE(telemetry);
UNIT_SUITE(worktype);
UNIT_SUITE(alu);
UNIT_SUITE(payload_set);

/* ---- topologies ------------------------------------------------------------------------------ */

static struct kt_topology filled(struct kt_topology of_test, struct kt_topology of_scheduler)
{
	const struct kt_scheduler scheduler = { .name = "s", .topology = of_scheduler };
	const struct kt_test test = { .topology = of_test, .scheduler = &scheduler };

	return kt_test_topology(&test);
}

Test(topology, llcs_are_listed_or_counted)
{
	const struct kt_topology none = { .llcs = 0 }, listed = { .llc_cores = { 4, 2 } };
	struct kt_topology got = filled(listed, none);

	cr_expect(eq(u32, got.llcs, 2));
	cr_expect(eq(u32, got.cores, 0));
	cr_expect(eq(u32, kt_topology_cpus(&got), 6));
	got = filled(none, listed);
	cr_expect(eq(u32, kt_topology_cpus(&got), 6));
	/* The numbers of one declaration are not mixed with the list of the other. */
	got = filled((struct kt_topology){ .llcs = 1, .cores = 3, .memory_nodes = 2 }, listed);
	cr_expect(eq(u32, kt_topology_cpus(&got), 3));
	cr_expect(eq(u32, kt_topology_nodes(&got), 3));
	got = filled(listed, (struct kt_topology){ .llcs = 3, .cores = 3, .threads = 2 });
	cr_expect(eq(u32, kt_topology_cpus(&got), 12));
	cr_expect(eq(u32, got.llcs, 2));
}

/* They need no machine that can have LLCs that differ, and share a template with others. */
Test(topology, a_list_of_equal_llcs_is_two_numbers)
{
	const struct kt_topology none = { .llcs = 0 };
	struct kt_topology got = filled((struct kt_topology){ .llc_cores = { 2, 2, 2 } }, none);
	struct kt_topology want = filled((struct kt_topology){ .llcs = 3, .cores = 2 }, none);

	cr_expect(zero(int, memcmp(&got, &want, sizeof(got))));
	got = filled((struct kt_topology){ .memory_nodes = 1 }, none);
	cr_expect(eq(u32, got.llcs, 0)); /* which validation tells: something else was said */
}

/* ---- sets of CPUs ---------------------------------------------------------------------------- */

#define TOPOLOGY(n, l, c, t)                                                                       \
	((struct kt_topology){ .numa_nodes = (n), .llcs = (l), .cores = (c), .threads = (t) })
#define SPEC(...) ((const struct kt_cpuset)__VA_ARGS__)

/* The CPUs of @spec as text, or the error's text; valid until the next call. */
static char *resolved(struct kt_cpuset spec, struct kt_topology topology)
{
	static char text[KT_CPUSET_TEXT_LEN];
	static struct kt_err err;
	cpu_set_t cpus;

	err = KT_ERR_NULL;
	if (kt_cpuset_resolve(&spec, &topology, &cpus, &err) == 0)
		return kt_cpuset_text(&cpus, text);
	cr_expect(err.text[0] != 0, "an error without a text");
	return err.text;
}

Test(cpuset, usable_are_all_but_the_last)
{
	for (unsigned int n = 1; n <= 255; n++) {
		struct kt_topology topology = TOPOLOGY(1, 1, n, 1);

		cr_assert(eq(u32, kt_cpuset_usable(&topology), n <= 2 ? n : n - 1));
	}
}

Test(cpuset, every_kind_on_several_machines)
{
	const struct kt_topology one = TOPOLOGY(1, 1, 1, 1), two = TOPOLOGY(1, 1, 2, 1),
				 three = TOPOLOGY(1, 1, 3, 1), big = TOPOLOGY(2, 4, 2, 2);
	const struct kt_topology uneven = {
		.numa_nodes = 2, .llcs = 4, .threads = 2, .llc_cores = { 1, 3, 2, 1 }
	};
	const struct {
		struct kt_cpuset spec;
		struct kt_topology topology;
		char *want;
	} cases[] = {
		{ { .kind = KT_CPUS_UNSET }, one, "0" },
		{ { .kind = KT_CPUS_UNSET }, three, "0-2" },
		{ { .kind = KT_CPUS_UNSET }, big, "0-15" },
		{ KT_CPUSET_LLC(0), one, "0" },
		{ KT_CPUSET_LLC(0), three, "0-2" },
		{ KT_CPUSET_LLC(3), big, "12-15" },
		{ KT_CPUSET_NUMA(0), two, "0-1" },
		{ KT_CPUSET_NUMA(1), big, "8-15" },
		{ { .kind = KT_CPUS_UNSET }, uneven, "0-13" },
		{ KT_CPUSET_LLC(0), uneven, "0-1" },
		{ KT_CPUSET_LLC(2), uneven, "8-11" },
		{ KT_CPUSET_NUMA(0), uneven, "0-7" },
		{ KT_CPUSET_NUMA(1), uneven, "8-13" },
		{ KT_CPUSET_RANGE(0, 1), one, "0" },
		{ KT_CPUSET_RANGE(0, 1), two, "0-1" },
		{ KT_CPUSET_RANGE(0, 1), three, "0-1" },
		{ KT_CPUSET_RANGE(0, 0.5), three, "0" },
		{ KT_CPUSET_RANGE(0.5, 1), three, "1" },
		{ KT_CPUSET_RANGE(0.2, 0.6), big, "3-8" },
		{ KT_CPUSET_DISJOINT(0, 1), one, "0" },
		{ KT_CPUSET_DISJOINT(0, 2), two, "0" },
		{ KT_CPUSET_DISJOINT(1, 2), two, "1" },
		{ KT_CPUSET_DISJOINT(1, 2), three, "1" },
		{ KT_CPUSET_DISJOINT(2, 3), big, "10-14" },
		{ KT_CPUSET_OVERLAP(0, 1, 1), one, "0" },
		{ KT_CPUSET_OVERLAP(1, 2, 0), three, "1" },
		{ KT_CPUSET_OVERLAP(1, 2, 1), three, "0-1" },
		{ KT_CPUSET_EXACT("0"), one, "0" },
		{ KT_CPUSET_EXACT("2"), three, "2" },
		{ KT_CPUSET_EXACT("7,0-3,5"), big, "0-3,5,7" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++)
		cr_expect(eq(str, resolved(cases[i].spec, cases[i].topology), cases[i].want),
			  "case %zu", i);
}

Test(cpuset, what_cannot_be_is_named)
{
	const struct kt_topology one = TOPOLOGY(1, 1, 1, 1), big = TOPOLOGY(2, 4, 2, 2);
	const struct kt_topology memory = {
		.numa_nodes = 1, .llcs = 1, .cores = 2, .threads = 1, .memory_nodes = 1
	};
	const struct {
		struct kt_cpuset spec;
		struct kt_topology topology;
		const char *want;
	} cases[] = {
		{ KT_CPUSET_LLC(4), big, "LLC 4, counted from 0, of 4" },
		{ KT_CPUSET_NUMA(2), big, "NUMA node 2, counted from 0, of 2" },
		{ KT_CPUSET_NUMA(1), memory, "NUMA node 1 has memory and no CPUs" },
		{ KT_CPUSET_NUMA(2), memory, "NUMA node 2, counted from 0, of 1" },
		{ KT_CPUSET_RANGE(NAN, 1), big, "nan..1" },
		{ KT_CPUSET_RANGE(0, NAN), big, "0..nan" },
		{ KT_CPUSET_RANGE(-0.1, 1), big, "-0.1..1" },
		{ KT_CPUSET_RANGE(0, 1.1), big, "0..1.1" },
		{ KT_CPUSET_RANGE(0, INFINITY), big, "0..inf" },
		{ KT_CPUSET_RANGE(0.5, 0.5), big, "0.5..0.5" },
		{ KT_CPUSET_RANGE(0.6, 0.5), big, "0.6..0.5" },
		{ KT_CPUSET_RANGE(0.5, 0.51), big, "is empty: 15 usable" },
		{ KT_CPUSET_DISJOINT(0, 0), big, "part 0 (counted from 0) of 0" },
		{ KT_CPUSET_DISJOINT(3, 3), big, "part 3 (counted from 0) of 3" },
		{ KT_CPUSET_DISJOINT(0, 2), one, "is empty: 1 usable" },
		{ KT_CPUSET_OVERLAP(0, 2, 1), one, "is empty: 1 usable" },
		{ KT_CPUSET_OVERLAP(0, 2, NAN), big, "the overlap nan" },
		{ KT_CPUSET_OVERLAP(0, 2, -1), big, "the overlap -1" },
		{ KT_CPUSET_OVERLAP(0, 2, 1.5), big, "the overlap 1.5" },
		{ KT_CPUSET_EXACT("16"), big, "\"16\" names a CPU that is not below 16" },
		{ KT_CPUSET_EXACT("0-16"), big, "\"0-16\" names a CPU" },
		{ KT_CPUSET_EXACT(NULL), big, "\"\" is not a list" },
		{ { .kind = (enum kt_cpuset_kind)99 }, big, "it has no kind" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		const char *text = resolved(cases[i].spec, cases[i].topology);

		cr_expect(strstr(text, cases[i].want) != NULL, "case %zu: %s", i, text);
		cr_expect(strstr(text, "set of CPUs") != NULL, "case %zu: %s", i, text);
	}
}

Test(cpuset, on_failure_nothing_is_promised_but_an_error)
{
	struct kt_topology topology = TOPOLOGY(1, 1, 2, 1);
	cpu_set_t cpus;

	cr_assert(eq(int, kt_cpuset_resolve(&SPEC(KT_CPUSET_LLC(1)), &topology, &cpus, NULL),
		     -EINVAL));
}

/* Each usable CPU is in exactly one part. Sizes of parts differ by at most one. */
Test(cpuset, disjoint_parts_are_a_partition)
{
	for (unsigned int n = 1; n <= 40; n++) {
		struct kt_topology topology = TOPOLOGY(1, 1, n, 1);
		unsigned int usable = kt_cpuset_usable(&topology);

		for (unsigned int of = 1; of <= usable; of++) {
			cpu_set_t all, part, shared;
			int smallest = CPU_SETSIZE, largest = 0;

			CPU_ZERO(&all);
			for (unsigned int i = 0; i < of; i++) {
				cr_assert(eq(int,
					     kt_cpuset_resolve(&SPEC(KT_CPUSET_DISJOINT(i, of)),
							       &topology, &part, NULL),
					     0));
				CPU_AND(&shared, &all, &part);
				cr_assert(eq(int, CPU_COUNT(&shared), 0), "%u: %u/%u", n, i, of);
				CPU_OR(&all, &all, &part);
				smallest = KT_MIN(smallest, CPU_COUNT(&part));
				largest = KT_MAX(largest, CPU_COUNT(&part));
			}
			cr_assert(eq(int, CPU_COUNT(&all), (int)usable));
			cr_assert(largest - smallest <= 1, "%u CPUs, %u parts", n, of);
		}
	}
}

static int last_cpu(const cpu_set_t *cpus)
{
	int cpu = CPU_SETSIZE - 1;

	while (cpu >= 0 && !CPU_ISSET(cpu, cpus))
		cpu--;
	return cpu;
}

/*
 * Each part is extended by the fraction of its own size on both sides, without gaps, within the
 * usable CPUs.
 */
Test(cpuset, overlap_reaches_into_its_neighbours)
{
	static const double fractions[] = { 0, 0.25, 0.5, 1 };
	const struct kt_topology topology = TOPOLOGY(1, 1, 25, 1);

	for (size_t f = 0; f < KT_ARRAY_LEN(fractions); f++) {
		for (unsigned int of = 1; of <= 24; of++) {
			for (unsigned int i = 0; i < of; i++) {
				cpu_set_t part, wide;
				int first, last, reach;

				(void)kt_cpuset_resolve(&SPEC(KT_CPUSET_DISJOINT(i, of)), &topology,
							&part, NULL);
				cr_assert(eq(int,
					     kt_cpuset_resolve(
						     &SPEC(KT_CPUSET_OVERLAP(i, of, fractions[f])),
						     &topology, &wide, NULL),
					     0));
				reach = (int)round(CPU_COUNT(&part) * fractions[f]);
				first = KT_MAX((int)kt_cpuset_nth(&part, 0) - reach, 0);
				last = KT_MIN(last_cpu(&part) + reach, 23);
				cr_expect(eq(int, (int)kt_cpuset_nth(&wide, 0), first), "%u/%u", i,
					  of);
				cr_expect(eq(int, last_cpu(&wide), last), "%u/%u", i, of);
				cr_expect(eq(int, CPU_COUNT(&wide), last - first + 1), "%u/%u", i,
					  of);
			}
		}
	}
}

Test(cpuset, part_numbers_as_large_as_can_be)
{
	const struct kt_topology topology = TOPOLOGY(1, 1, 101, 1);

	/* 100 CPUs in 4294967295 parts: the last part has the last CPU. */
	cr_expect(eq(str, resolved(SPEC(KT_CPUSET_DISJOINT(UINT32_MAX - 1, UINT32_MAX)), topology),
		     "99"));
	cr_expect(strstr(resolved(SPEC(KT_CPUSET_DISJOINT(0, UINT32_MAX)), topology), "is empty") !=
		  NULL);
}

Test(cpuset, text_and_back)
{
	char text[KT_CPUSET_TEXT_LEN], again[KT_CPUSET_TEXT_LEN];
	cpu_set_t cpus, back;

	srand(1);
	for (unsigned int round = 0; round < 500; round++) {
		CPU_ZERO(&cpus);
		for (unsigned int cpu = 0; cpu < 255; cpu++) {
			if ((unsigned int)rand() % 500 < round)
				CPU_SET(cpu, &cpus);
		}
		if (!CPU_COUNT(&cpus))
			continue;
		cr_assert(eq(int,
			     kt_cpuset_parse(kt_cpuset_text(&cpus, text), 255, "CPU", &back, NULL),
			     0));
		cr_assert(eq(int, CPU_EQUAL(&cpus, &back), 1), "%s", text);
		cr_assert(eq(str, kt_cpuset_text(&back, again), text));
	}
	CPU_ZERO(&cpus);
	cr_assert(eq(str, kt_cpuset_text(&cpus, text), ""));
}

/* The longest possible text: every second CPU of a full set. */
Test(cpuset, text_does_not_overflow)
{
	char text[KT_CPUSET_TEXT_LEN];
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	for (unsigned int cpu = 0; cpu < CPU_SETSIZE; cpu += 2)
		CPU_SET(cpu, &cpus);
	cr_assert(strlen(kt_cpuset_text(&cpus, text)) < sizeof(text));
}

Test(cpuset, bad_lists_are_named)
{
	static const struct {
		const char *list, *want;
	} cases[] = {
		{ "", "\"\" is not a list of CPUs like \"0-3,5\"" },
		{ NULL, "\"\" is not a list" },
		{ " 0", "\" 0\" is not a list" },
		{ "0 ", "\"0 \" is not a list" },
		{ "0,", "\"0,\" is not a list" },
		{ ",0", "\",0\" is not a list" },
		{ "0,,1", "is not a list" },
		{ "0-", "\"0-\" is not a list" },
		{ "-1", "\"-1\" is not a list" },
		{ "3-1", "\"3-1\" is not a list" },
		{ "0-1-2", "is not a list" },
		{ "a", "is not a list" },
		{ "0x1", "is not a list" },
		{ "+1", "is not a list" },
		{ "8", "\"8\" names a CPU that is not below 8" },
		{ "0-8", "\"0-8\" names a CPU that is not below 8" },
		{ "99999999999999999999999", "names a CPU that is not below 8" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_err err = KT_ERR_NULL;
		cpu_set_t cpus;

		cr_expect(eq(int, kt_cpuset_parse(cases[i].list, 8, "CPU", &cpus, &err), -EINVAL),
			  "case %zu", i);
		cr_expect(strstr(err.text, cases[i].want) != NULL, "case %zu: %s", i, err.text);
	}
}

Test(cpuset, nth_begins_anew)
{
	cpu_set_t cpus;

	cr_assert(eq(int, kt_cpuset_parse("1,4-5", 8, "CPU", &cpus, NULL), 0));
	cr_expect(eq(u32, kt_cpuset_nth(&cpus, 0), 1));
	cr_expect(eq(u32, kt_cpuset_nth(&cpus, 2), 5));
	cr_expect(eq(u32, kt_cpuset_nth(&cpus, 3), 1));
	cr_expect(eq(u32, kt_cpuset_nth(&cpus, UINT32_MAX), 1)); /* a multiple of 3 */
}

Test(cpuset, cores_are_threads_in_a_row)
{
	struct kt_topology topology = TOPOLOGY(1, 2, 2, 2);
	char text[KT_CPUSET_TEXT_LEN];
	cpu_set_t cpus;

	kt_cpuset_core(&topology, 3, &cpus);
	cr_expect(eq(str, kt_cpuset_text(&cpus, text), "6-7"));
}

/* ---- what workers note ----------------------------------------------------------------------- */

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static struct kt_worker_report report_of(const uint64_t *values, size_t n)
{
	struct kt_telemetry *telemetry = aligned_alloc(64, sizeof(*telemetry));
	struct kt_worker_report report = { .tid = 0 };

	memset(telemetry, 0, sizeof(*telemetry));
	for (size_t i = 0; i < n; i++)
		kt_telemetry_latency(telemetry, values[i]);
	kt_telemetry_report(telemetry, (uint64_t[3]){ 0 }, &report);
	free(telemetry);
	return report;
}

/* The smallest value that is not below @percent per cent of the values. */
static uint64_t reference_percentile(const uint64_t *sorted, size_t n, unsigned int percent)
{
	return sorted[(n * percent + 99) / 100 - 1];
}

static void expect_close(uint64_t got, uint64_t want, const char *what)
{
	cr_expect(got >= want && got - want <= want / 16, "%s: %lu instead of %lu", what, got,
		  want);
}

Test(telemetry, percentiles_are_right_to_a_sixteenth)
{
	srand(1);
	for (unsigned int round = 0; round < 300; round++) {
		size_t n = 1 + (size_t)rand() % 1000;
		KT_FREE uint64_t *values = calloc(n, sizeof(*values));
		struct kt_worker_report report;

		/* From nanoseconds to minutes, with the same number of values in each octave. */
		for (size_t i = 0; i < n; i++)
			values[i] = ((uint64_t)rand() << 8 ^ (uint64_t)rand()) >> rand() % 39;
		report = report_of(values, n);
		qsort(values, n, sizeof(*values), compare_u64);
		cr_expect(eq(u64, report.n_latencies, n));
		cr_expect(eq(u64, report.latency_max_ns, values[n - 1]));
		expect_close(report.latency_p50_ns, reference_percentile(values, n, 50), "p50");
		expect_close(report.latency_p99_ns, reference_percentile(values, n, 99), "p99");
	}
}

Test(telemetry, small_values_are_exact)
{
	for (uint64_t ns = 0; ns < 32; ns++) {
		struct kt_worker_report report = report_of((uint64_t[]){ ns, ns, 1000 }, 3);

		cr_expect(eq(u64, report.latency_p50_ns, ns));
	}
}

Test(telemetry, edges_of_octaves)
{
	for (unsigned int bit = 0; bit < 43; bit++) {
		for (int off = -1; off <= 1; off++) {
			uint64_t ns = (UINT64_C(1) << bit) + (uint64_t)(int64_t)off;
			/* the maximum limits a percentile: add a larger value */
			struct kt_worker_report report =
				report_of((uint64_t[]){ ns, ns, UINT64_C(1) << 50 }, 3);

			expect_close(report.latency_p50_ns, ns, "p50");
		}
	}
}

/* Latencies beyond the histogram are counted in its last bucket. The maximum is exact. */
Test(telemetry, longer_than_the_histogram)
{
	struct kt_worker_report report = report_of((uint64_t[]){ UINT64_MAX, 1 }, 2);

	cr_expect(eq(u64, report.latency_max_ns, UINT64_MAX));
	cr_expect(eq(u64, report.latency_p50_ns, 1));
	cr_expect(report.latency_p99_ns >= UINT64_C(1) << 42);
}

Test(telemetry, variation)
{
	/* mean 5, variance 4 */
	struct kt_worker_report report = report_of((uint64_t[]){ 2, 4, 4, 4, 5, 5, 7, 9 }, 8);

	cr_expect(fabs(report.latency_cv - 0.4) < 1e-9, "%g", report.latency_cv);
	report = report_of((uint64_t[]){ 1000000000000, 1000000000000, 1000000000000 }, 3);
	cr_expect(report.latency_cv < 1e-3, "%g", report.latency_cv);
	report = report_of((uint64_t[]){ 7 }, 1);
	cr_expect(eq(dbl, report.latency_cv, 0));
	report = report_of((uint64_t[]){ 0, 0 }, 2);
	cr_expect(eq(dbl, report.latency_cv, 0));
}

Test(telemetry, nothing_measured_is_0)
{
	struct kt_worker_report report = report_of(NULL, 0);

	cr_expect(eq(u64, report.n_latencies, 0));
	cr_expect(eq(u64, report.latency_p50_ns, 0));
	cr_expect(eq(u64, report.latency_p99_ns, 0));
	cr_expect(eq(u64, report.latency_max_ns, 0));
	cr_expect(eq(dbl, report.latency_cv, 0));
	cr_expect(eq(u64, report.wall_ns, 0));
	cr_expect(eq(u64, report.cpu_ns, 0));
}

/* A worker that the kernel has no numbers of any more has 0, not negative numbers. */
Test(telemetry, schedstat_counts_from_the_begin)
{
	struct kt_telemetry *telemetry = aligned_alloc(64, sizeof(*telemetry));
	struct kt_worker_report report = { .tid = 0 };

	memset(telemetry, 0, sizeof(*telemetry));
	telemetry->begin_ns = 100;
	telemetry->end_ns = 400;
	memcpy(telemetry->begin_schedstat, (uint64_t[3]){ 10, 20, 3 }, 24);
	kt_telemetry_report(telemetry, (uint64_t[3]){ 110, 70, 5 }, &report);
	cr_expect(eq(u64, report.wall_ns, 300));
	cr_expect(eq(u64, report.cpu_ns, 100));
	cr_expect(eq(u64, report.run_delay_ns, 50));
	cr_expect(eq(u64, report.switches, 2));
	report = (struct kt_worker_report){ .tid = 0 };
	kt_telemetry_report(telemetry, (uint64_t[3]){ 0 }, &report);
	cr_expect(eq(u64, report.cpu_ns, 0));
	free(telemetry);
}

/* ---- work types ------------------------------------------------------------------------------ */

#define FAULT(topology, ...) kt_work_fault(&(const struct kt_work){ __VA_ARGS__ }, &(topology))
#define COUNT(n, ...)        kt_work_count(&(const struct kt_work){ __VA_ARGS__ }, n)

static void nothing(struct kt_custom *worker)
{
	(void)worker;
}

Test(worktype, how_many_workers)
{
	cr_expect(eq(u32, COUNT(4, .type = KT_SPIN_WAIT), 2));
	cr_expect(eq(u32, COUNT(4, .type = KT_SPIN_WAIT, .workers = 7), 7));
	cr_expect(eq(u32, COUNT(4, .type = KT_CACHE_PIPE), 2));
	cr_expect(eq(u32, COUNT(4, .type = KT_CACHE_PIPE, .workers = 6), 6));
	cr_expect(eq(u32, COUNT(4, .type = KT_SPIN_WAIT, .workers_pct = 100), 4));
	cr_expect(eq(u32, COUNT(4, .type = KT_SPIN_WAIT, .workers_pct = 250), 10));
	cr_expect(eq(u32, COUNT(3, .type = KT_SPIN_WAIT, .workers_pct = 50), 2));
	cr_expect(eq(u32, COUNT(1, .type = KT_SPIN_WAIT, .workers_pct = 1), 1));
	cr_expect(eq(u32, COUNT(100, .type = KT_SPIN_WAIT, .workers_pct = 7), 7));
}

/* With its defaults, every type is a group that can run. */
Test(worktype, defaults_have_no_fault)
{
	const struct kt_topology topology = TOPOLOGY(2, 2, 2, 2);

	for (int type = KT_WORK_NONE + 1; type < KT_N_WORK_TYPES; type++) {
		/* Members that some types require. */
		const struct kt_work work = {
			.type = (enum kt_work_type)type,
			.custom = nothing,
			.phases = KT_PHASES({ KT_SEQ_SPIN, 1 }),
			.dest = "elsewhere",
		};
		const char *why;

		cr_assert(kt_work_ops(work.type) != NULL, "type %d has no row", type);
		why = kt_work_fault(&work, &topology);
		cr_expect(why == NULL, "%s: %s", kt_work_ops(work.type)->name, why);
		cr_expect(eq(u32, kt_work_count(&work, 8) % kt_work_unit_size(&work), 0));
	}
}

Test(worktype, no_type)
{
	const struct kt_topology topology = TOPOLOGY(1, 1, 2, 1);

	cr_expect(kt_work_ops(KT_WORK_NONE) == NULL);
	cr_expect(kt_work_ops(KT_N_WORK_TYPES) == NULL);
	cr_expect(kt_work_ops((enum kt_work_type) - 1) == NULL);
	cr_expect(FAULT(topology, .type = KT_WORK_NONE) != NULL);
	cr_expect(FAULT(topology, .type = KT_N_WORK_TYPES) != NULL);
}

Test(worktype, faults_are_named)
{
	const struct kt_topology topology = TOPOLOGY(1, 1, 2, 1);
	const struct {
		struct kt_work work;
		const char *want;
	} cases[] = {
		{ { .type = KT_SPIN_WAIT, .workers = 1, .workers_pct = 50 }, "both .workers and" },
		{ { .type = KT_SPIN_WAIT, .workers_pct = -1 }, ".workers_pct must be" },
		{ { .type = KT_SPIN_WAIT, .workers_pct = 10001 }, ".workers_pct must be" },
		{ { .type = KT_SPIN_WAIT, .workers_pct = NAN }, ".workers_pct must be" },
		{ { .type = KT_SPIN_WAIT, .workers = 4097 }, "more than 4096" },
		{ { .type = KT_CACHE_PIPE, .workers = 3 }, "not a multiple" },
		{ { .type = KT_SPIN_WAIT, .nice = 20 }, ".nice" },
		{ { .type = KT_SPIN_WAIT, .nice = -21 }, ".nice" },
		{ { .type = KT_SPIN_WAIT, .comm = "0123456789abcdef" }, ".comm" },
		{ { .type = KT_SPIN_WAIT, .sched = { KT_SCHED_FIFO } }, "within 1..99" },
		{ { .type = KT_SPIN_WAIT, .sched = { KT_SCHED_RR, .priority = 100 } }, "1..99" },
		{ { .type = KT_SPIN_WAIT, .sched = { KT_SCHED_OTHER, .priority = 1 } }, "only a" },
		{ { .type = KT_SPIN_WAIT, .sched = { (enum kt_sched_policy)99 } }, "not exist" },
		{ { .type = KT_SPIN_WAIT,
		    .sched = { KT_SCHED_DEADLINE, .runtime_us = 20, .deadline_us = 10 } },
		  "runtime <= deadline" },
		{ { .type = KT_SPIN_WAIT, .affinity = { KT_AFFINITY_RANDOM_SUBSET } }, "0 CPUs" },
		{ { .type = KT_SPIN_WAIT, .affinity = KT_SMT_SIBLINGS }, ".threads = 2" },
		{ { .type = KT_CUSTOM }, "needs .custom" },
		{ { .type = KT_ALU_HOT, .alu = (enum kt_alu_width)99 }, ".alu" },
		{ { .type = KT_SMT_SIBLING_SPIN }, ".threads = 2" },
		{ { .type = KT_CACHE_PRESSURE, .stride = 32769 }, ".stride" },
		{ { .type = KT_CACHE_YIELD, .kib = 1, .stride = 1025 }, ".stride" },
		{ { .type = KT_CACHE_PIPE, .kib = 1, .stride = 1025 }, ".stride" },
		{ { .type = KT_PAGE_FAULT_CHURN, .kib = 1020 }, ".touches" },
		{ { .type = KT_PAGE_FAULT_CHURN, .touches = 1025 }, ".touches" },
		{ { .type = KT_PAGE_FAULT_CHURN, .kib = 3, .touches = 1 }, ".touches" },
		{ { .type = KT_NUMA_SWEEP, .nodes = "1" }, ".nodes" },
		{ { .type = KT_NUMA_SWEEP, .nodes = "" }, ".nodes" },
		{ { .type = KT_NUMA_SWEEP, .kib = 3 }, ".kib" },
		{ { .type = KT_IO_RAND_READ, .kib = 3 }, ".kib" },
		{ { .type = KT_IO_CONVOY, .kib = 3 }, ".kib" },
		{ { .type = KT_NET_TRAFFIC, .frame_bytes = 59 }, ".frame_bytes" },
		{ { .type = KT_IRQ_WAKE, .frame_bytes = 1515 }, ".frame_bytes" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		const char *why = kt_work_fault(&cases[i].work, &topology);

		cr_expect(why && strstr(why, cases[i].want) != NULL, "case %zu: %s", i,
			  why ?: "no fault");
	}
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

/* The same by hand, one lane after another, as the definition says. */
static void reference_run(uint64_t *state, unsigned int steps)
{
	for (unsigned int lane = 0; lane < KT_ALU_LANES; lane++) {
		for (unsigned int i = 0; i < steps; i++)
			state[lane] =
				0xfffeb81bull * (state[lane] & 0xffffffff) + (state[lane] >> 32);
	}
}

Test(alu, every_width_computes_the_same)
{
	static const unsigned int lanes[] = {
		[KT_ALU_SCALAR] = 1, [KT_ALU_128] = 2, [KT_ALU_256] = 4, [KT_ALU_512] = 8
	};
	uint64_t want[KT_ALU_LANES], got[KT_ALU_LANES];

	for (unsigned int width = KT_ALU_SCALAR; width <= KT_ALU_512; width++) {
		const struct kt_alu *alu = kt_alu_find(width, kt_alu_available());

		if (!alu)
			continue;
		kt_alu_init(want, 12345);
		kt_alu_init(got, 12345);
		reference_run(want, 1001);
		alu->run(got, 1001);
		cr_expect(memcmp(want, got, sizeof(want)) == 0, "%s", alu->extension);
		cr_expect(eq(u32, alu->lanes, lanes[width]));
	}
}

Test(alu, the_widest_that_there_is)
{
	const unsigned int scalar = 1u << KT_ALU_SCALAR, sse2 = 1u << KT_ALU_128;

	cr_expect(eq(u32, kt_alu_find(KT_ALU_WIDEST, scalar)->lanes, 1));
	cr_expect(eq(u32, kt_alu_find(KT_ALU_WIDEST, scalar | sse2)->lanes, 2));
	cr_expect(eq(u32, kt_alu_find(KT_ALU_WIDEST, scalar | sse2 | 1u << KT_ALU_512)->lanes, 8));
	cr_expect(kt_alu_find(KT_ALU_256, scalar | sse2) == NULL);
	cr_expect(kt_alu_find((enum kt_alu_width)99, ~0u) == NULL);
}

Test(alu, what_the_cpu_lacks_is_named)
{
	unsigned int available = kt_alu_available();

	cr_expect(kt_alu_lacks(KT_ALU_WIDEST) == NULL);
	cr_expect(kt_alu_lacks(KT_ALU_SCALAR) == NULL);
	cr_expect(kt_alu_lacks(KT_ALU_128) == NULL); /* part of every x86-64 CPU */
	if (!(available & 1u << KT_ALU_512))
		cr_expect(strstr(kt_alu_lacks(KT_ALU_512), "AVX-512F") != NULL);
}

/* No lane keeps its value, and no two lanes are the same. */
Test(alu, lanes_are_alive)
{
	uint64_t state[KT_ALU_LANES], before[KT_ALU_LANES];

	kt_alu_init(state, 0);
	memcpy(before, state, sizeof(state));
	kt_alu_find(KT_ALU_SCALAR, kt_alu_available())->run(state, 100);
	for (unsigned int i = 0; i < KT_ALU_LANES; i++) {
		cr_expect(ne(u64, state[i], before[i]));
		for (unsigned int k = 0; k < i; k++)
			cr_expect(ne(u64, state[i], state[k]));
	}
}

/* ---- what is noted of payloads --------------------------------------------------------------- */

static const struct kt_payload noted = { .name = "noted", .binary = "true" };
static const struct kt_test notes = { .name = "notes" };

Test(payload_set, the_first_500_are_noted_and_all_are_counted)
{
	struct kt_payload_outcome outcome = KT_PAYLOAD_OUTCOME_NULL;
	struct kt_payload_set set;
	const json_t *last;
	struct kt_ctx ctx;

	kt_ctx_init(&ctx, &notes);
	kt_payload_set_init(&set, &ctx);
	for (int i = 0; i < 600; i++) {
		outcome.status = i;
		kt_payload_set_note(&set, &noted, i == 499 ? "a" : NULL, &outcome, false);
	}
	cr_assert(eq(sz, set.n_done, 600));
	cr_assert(eq(sz, json_array_size(set.done), 500));
	last = json_array_get(set.done, 499);
	cr_assert(eq(long, json_integer_value(json_object_get(last, "status")), 499));
	cr_assert(eq(str, (char *)json_string_value(json_object_get(last, "name")), "noted"));
	cr_assert(eq(str, (char *)json_string_value(json_object_get(last, "cgroup")), "a"));
	last = json_array_get(set.done, 0);
	cr_assert(eq(str, (char *)json_string_value(json_object_get(last, "cgroup")), ""));
	kt_payload_set_deinit(&set);
	kt_ctx_deinit(&ctx);
}

/* Its lock may belong to a thread that the child has not. */
Test(payload_set, a_child_of_the_test_notes_nothing)
{
	const struct kt_payload_outcome outcome = KT_PAYLOAD_OUTCOME_NULL;
	struct kt_payload_set set;
	struct kt_ctx ctx;
	int status;
	pid_t pid;

	kt_ctx_init(&ctx, &notes);
	kt_payload_set_init(&set, &ctx);
	(void)pthread_mutex_lock(&ctx.lock);
	pid = fork();
	if (pid == 0) {
		(void)alarm(5);
		kt_payload_set_note(&set, &noted, NULL, &outcome, false);
		_exit(set.n_done == 0 ? 0 : 1);
	}
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_assert(zero(int, status));
	(void)pthread_mutex_unlock(&ctx.lock);
	kt_payload_set_deinit(&set);
	kt_ctx_deinit(&ctx);
}
