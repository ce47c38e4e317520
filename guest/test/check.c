/* SPDX-License-Identifier: MIT */
/*
 * Compares what workers have reported with the limits of the test.
 *
 * Some checks are about one worker, others compare the workers of a group (one KT_WORK()). Limits
 * on time are missed on a slow host without any fault of the kernel. Each failure therefore carries
 * by how much it was missed (struct excess), and the host decides whether the time that it took
 * from the vCPUs explains it (kt_outcome_judge_host()). If there is no measurement for a limit, the
 * check must not pass: the test is INCONCLUSIVE.
 */

#include "guest/test/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <ktest/check.h>
#include <ktest/scheduler.h>

#include "guest/cgroup/cpuset.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * Limits come from three places, each of which overrides the one before: the binary
 * (kt_checks_set_default()), the test's scheduler, and the test itself.
 */
static struct kt_checks defaults; /* of the binary */

void kt_checks_set_default(const struct kt_checks *checks)
{
	defaults = *checks;
}

/* ---- the limits ------------------------------------------------------------------------------ */

/* Pointers to the members of @checks that are numbers, ended by NULL. 0 means: no limit is set. */
static double *const *number_members(struct kt_checks *checks, double *members[16])
{
	size_t n = 0;

	members[n++] = &checks->max_gap_ms;
	members[n++] = &checks->max_spread_pct;
	members[n++] = &checks->max_throughput_cv;
	members[n++] = &checks->min_work_rate;
	members[n++] = &checks->min_iteration_rate;
	members[n++] = &checks->max_wake_p99_us;
	members[n++] = &checks->max_wake_cv;
	members[n++] = &checks->max_migration_ratio;
	members[n++] = &checks->min_page_locality;
	members[n++] = &checks->max_cross_node_ratio;
	members[n] = NULL;
	return members;
}

/* Members that @own sets replace those of @merged. */
static void merge(struct kt_checks *merged, struct kt_checks own)
{
	double *to[16], *from[16];

	if (own.not_starved != KT_UNSET)
		merged->not_starved = own.not_starved;
	if (own.isolation != KT_UNSET)
		merged->isolation = own.isolation;
	(void)number_members(merged, to);
	(void)number_members(&own, from);
	for (size_t i = 0; from[i]; i++) {
		if (*from[i] != 0)
			*to[i] = *from[i];
	}
}

struct kt_checks kt_checks_of(const struct kt_test *test)
{
	struct kt_checks merged = defaults;

	if (test->scheduler)
		merge(&merged, test->scheduler->checks);
	merge(&merged, test->checks);
	return merged;
}

const char *kt_checks_fault(const struct kt_checks *checks)
{
	struct kt_checks copy = *checks;
	double *members[16];

	(void)number_members(&copy, members);
	for (size_t i = 0; members[i]; i++) {
		if (!isfinite(*members[i]) || (*members[i] < 0 && *members[i] != KT_NONE_AT_ALL))
			return "a limit is negative or not a number";
	}
	if (checks->min_page_locality > 1 || checks->max_cross_node_ratio > 1)
		return "a share is above 1";
	if ((unsigned int)checks->not_starved > KT_OFF || (unsigned int)checks->isolation > KT_OFF)
		return "a switch is neither KT_ON nor KT_OFF";
	return NULL;
}

/* ---- one check ------------------------------------------------------------------------------- */

struct checker {
	struct kt_ctx *ctx;
	struct kt_checks checks;
	const struct kt_worker_report *at; /* the reports of one group; borrowed */
	size_t n;                          /* its workers */
};

/* Writes "max_gap_ms of SpinWait in cgroup 'w', worker 3"; without the worker when it is -1. */
static void describe(const struct checker *checker, const char *check, int worker, char *text,
		     size_t room)
{
	char who[32] = "";

	if (worker >= 0)
		(void)snprintf(who, sizeof(who), ", worker %u", checker->at[worker].index);
	(void)snprintf(text, room, "%s of %s in cgroup '%s'%s", check, checker->at->work,
		       checker->at->cgroup, who);
}

/* By how much a limit was missed, as time or share. Both 0: a slow host cannot be the cause. */
struct excess {
	double ns;    /* nanoseconds */
	double share; /* of the limit: 1 is all of it */
};

static void fail(const struct checker *checker, const char *check, int worker, const char *expected,
		 const char *got, struct excess excess)
{
	const struct kt_test *test = checker->ctx->test;
	char what[256];

	describe(checker, check, worker, what, sizeof(what));
	kt_ctx_fail_limit(checker->ctx, (struct kt_where){ test->file, test->line }, what, expected,
			  got, (uint64_t)ceil(excess.ns), excess.share);
}

/* Makes the test INCONCLUSIVE: "max_wake_p99_us of ...: no wake-ups were measured". */
static void nothing_measured(const struct checker *checker, const char *check, const char *of_what)
{
	char what[256];

	describe(checker, check, -1, what, sizeof(what));
	(void)kt_inconclusive(checker->ctx, "%s: no %s", what, of_what);
}

/* 0 means "no limit" in a declaration; KT_NONE_AT_ALL is the limit 0. */
static double limit_of(double limit)
{
	return limit == KT_NONE_AT_ALL ? 0 : limit;
}

static void check_most(const struct checker *checker, const char *check, int worker, double limit,
		       double value, const char *unit, struct excess excess)
{
	char expected[64], got[64];

	limit = limit_of(limit);
	if (value <= limit)
		return;
	(void)snprintf(expected, sizeof(expected), "at most %g%s", limit, unit);
	(void)snprintf(got, sizeof(got), "%.4g%s", value, unit);
	fail(checker, check, worker, expected, got, excess);
}

static void check_least(const struct checker *checker, const char *check, int worker, double limit,
			double value, const char *unit, struct excess excess)
{
	char expected[64], got[64];

	if (value >= limit_of(limit))
		return;
	(void)snprintf(expected, sizeof(expected), "at least %g%s", limit_of(limit), unit);
	(void)snprintf(got, sizeof(got), "%.4g%s", value, unit);
	fail(checker, check, worker, expected, got, excess);
}

static const struct excess no_excess = { 0, 0 };

/* ---- each worker ----------------------------------------------------------------------------- */

static void check_starved(const struct checker *checker, int i)
{
	const struct kt_worker_report *report = &checker->at[i];

	/* A host that took all of the time explains a starved worker. */
	if (!report->iterations || !report->cpu_ns)
		fail(checker, "not_starved", i, "at least one iteration",
		     report->cpu_ns ? "none, on a CPU" : "none, never on a CPU",
		     (struct excess){ (double)report->wall_ns, 0 });
}

/* No excess: a slow host does not make a worker run on another CPU. */
static void check_isolation(const struct checker *checker, int i)
{
	const struct kt_worker_report *report = &checker->at[i];
	char expected[KT_CPUSET_TEXT_LEN], got[KT_CPUSET_TEXT_LEN];
	cpu_set_t allowed, seen;
	bool outside = false;

	CPU_ZERO(&allowed);
	CPU_ZERO(&seen);
	for (unsigned int cpu = 0; cpu < KT_REPORT_CPUS; cpu++) {
		uint64_t bit = UINT64_C(1) << cpu % 64;

		if (report->allowed[cpu / 64] & bit)
			CPU_SET(cpu, &allowed);
		if (report->cpus[cpu / 64] & bit)
			CPU_SET(cpu, &seen);
		outside |= report->cpus[cpu / 64] & ~report->allowed[cpu / 64] & bit;
	}
	if (!outside)
		return;
	fail(checker, "isolation", i, kt_cpuset_text(&allowed, expected),
	     kt_cpuset_text(&seen, got), no_excess);
}

static void check_gap(const struct checker *checker, int i)
{
	const struct kt_worker_report *report = &checker->at[i];
	double limit_ms = limit_of(checker->checks.max_gap_ms);
	double gap_ms = (double)report->max_gap_ns / KT_NSEC_PER_MSEC;
	char expected[64], got[96];

	if (gap_ms <= limit_ms)
		return;
	(void)snprintf(expected, sizeof(expected), "at most %g ms", limit_ms);
	(void)snprintf(got, sizeof(got), "%.1f ms, ending on CPU %u at %.0f ms", gap_ms,
		       report->max_gap_cpu, (double)report->max_gap_at_ns / KT_NSEC_PER_MSEC);
	fail(checker, "max_gap_ms", i, expected, got,
	     (struct excess){ (gap_ms - limit_ms) * KT_NSEC_PER_MSEC, 0 });
}

/* @n per second in @ns nanoseconds; 0 for no time. */
static double per_second(uint64_t n, uint64_t ns)
{
	return ns ? (double)n * KT_NSEC_PER_SEC / (double)ns : 0;
}

/* The distance from the limit as a share of it. */
static struct excess missed_by(double limit, double value)
{
	return (struct excess){ 0, limit > 0 ? fabs(value - limit) / limit : 1 };
}

static void check_rates(const struct checker *checker, int i)
{
	const struct kt_worker_report *report = &checker->at[i];
	const struct kt_checks *checks = &checker->checks;
	double work = per_second(report->iterations, report->cpu_ns);
	double wall = per_second(report->iterations, report->wall_ns);

	if (checks->min_work_rate != 0 && report->cpu_ns)
		check_least(checker, "min_work_rate", i, checks->min_work_rate, work,
			    " per second of CPU time", missed_by(checks->min_work_rate, work));
	if (checks->min_iteration_rate != 0)
		check_least(checker, "min_iteration_rate", i, checks->min_iteration_rate, wall,
			    " per second", missed_by(checks->min_iteration_rate, wall));
	if (checks->max_migration_ratio != 0 && report->iterations)
		check_most(checker, "max_migration_ratio", i, checks->max_migration_ratio,
			   (double)report->migrations / (double)report->iterations,
			   " per iteration", no_excess);
}

static void check_wakes(const struct checker *checker, int i)
{
	const struct kt_worker_report *report = &checker->at[i];
	const struct kt_checks *checks = &checker->checks;
	double p99_us = (double)report->latency_p99_ns / KT_NSEC_PER_USEC;

	if (!report->n_latencies)
		return;
	if (checks->max_wake_p99_us != 0)
		check_most(checker, "max_wake_p99_us", i, checks->max_wake_p99_us, p99_us, " us",
			   (struct excess){ (p99_us - limit_of(checks->max_wake_p99_us)) *
						    KT_NSEC_PER_USEC,
					    0 });
	if (checks->max_wake_cv != 0)
		check_most(checker, "max_wake_cv", i, checks->max_wake_cv, report->latency_cv, "",
			   missed_by(checks->max_wake_cv, report->latency_cv));
}

static void check_numa(const struct checker *checker, int i)
{
	const struct kt_worker_report *report = &checker->at[i];
	const struct kt_checks *checks = &checker->checks;

	if (checks->min_page_locality != 0 && report->pages)
		check_least(checker, "min_page_locality", i, checks->min_page_locality,
			    (double)report->local_pages / (double)report->pages, "", no_excess);
	if (checks->max_cross_node_ratio != 0 && report->migrations)
		check_most(checker, "max_cross_node_ratio", i, checks->max_cross_node_ratio,
			   (double)report->node_migrations / (double)report->migrations, "",
			   no_excess);
}

static void check_worker(const struct checker *checker, int i)
{
	if (checker->checks.not_starved == KT_ON)
		check_starved(checker, i);
	if (checker->checks.isolation == KT_ON)
		check_isolation(checker, i);
	if (checker->checks.max_gap_ms != 0)
		check_gap(checker, i);
	check_rates(checker, i);
	check_wakes(checker, i);
	check_numa(checker, i);
}

/* ---- the workers of a group against one another ---------------------------------------------- */

/*
 * Compares how long the workers waited for a CPU, as a share of the time in which they wanted one.
 * Time that a worker slept counts for neither.
 */
static void check_spread(const struct checker *checker)
{
	double least = 100, most = 0;
	size_t measured = 0;

	for (size_t i = 0; i < checker->n; i++) {
		const struct kt_worker_report *report = &checker->at[i];
		double wanted = (double)(report->cpu_ns + report->run_delay_ns);
		double share = wanted > 0 ? 100 * (double)report->run_delay_ns / wanted : 0;

		if (wanted <= 0)
			continue;
		measured++;
		least = KT_MIN(least, share);
		most = KT_MAX(most, share);
	}
	if (measured < 2)
		nothing_measured(checker, "max_spread_pct", "two workers that wanted a CPU");
	else
		check_most(checker, "max_spread_pct", -1, checker->checks.max_spread_pct,
			   most - least, " %",
			   (struct excess){
				   0, (most - least - limit_of(checker->checks.max_spread_pct)) /
					      100 });
}

/* The coefficient of variation of the workers' iterations per second of CPU time. */
static void check_throughput(const struct checker *checker)
{
	double sum = 0, squares = 0, n = 0, mean, variance, cv, limit;

	for (size_t i = 0; i < checker->n; i++) {
		double rate = per_second(checker->at[i].iterations, checker->at[i].cpu_ns);

		if (!checker->at[i].cpu_ns)
			continue;
		sum += rate;
		squares += rate * rate;
		n++;
	}
	if (n < 2 || sum <= 0) {
		nothing_measured(checker, "max_throughput_cv", "two workers with CPU time");
		return;
	}
	mean = sum / n;
	variance = KT_MAX(squares / n - mean * mean, 0.0); /* rounding can make it negative */
	cv = sqrt(variance) / mean;
	limit = limit_of(checker->checks.max_throughput_cv);
	check_most(checker, "max_throughput_cv", -1, limit, cv, "",
		   (struct excess){ 0, cv - limit });
}

/* Limits for which no worker of the group has measured anything. */
static void check_measured(const struct checker *checker)
{
	const struct kt_checks *checks = &checker->checks;
	uint64_t cpu_ns = 0, iterations = 0, wakes = 0, pages = 0;

	for (size_t i = 0; i < checker->n; i++) {
		cpu_ns += checker->at[i].cpu_ns;
		iterations += checker->at[i].iterations;
		wakes += checker->at[i].n_latencies;
		pages += checker->at[i].pages;
	}
	if (checks->min_work_rate != 0 && !cpu_ns)
		nothing_measured(checker, "min_work_rate", "CPU time");
	if (checks->max_migration_ratio != 0 && !iterations)
		nothing_measured(checker, "max_migration_ratio", "iterations");
	if ((checks->max_wake_p99_us != 0 || checks->max_wake_cv != 0) && !wakes)
		nothing_measured(checker, "max_wake_p99_us", "wake-ups were measured");
	if (checks->min_page_locality != 0 && !pages)
		nothing_measured(checker, "min_page_locality", "pages were looked up");
}

static void check_group(const struct checker *checker)
{
	for (size_t i = 0; i < checker->n; i++)
		check_worker(checker, (int)i);
	check_measured(checker);
	if (checker->checks.max_spread_pct != 0)
		check_spread(checker);
	if (checker->checks.max_throughput_cv != 0)
		check_throughput(checker);
}

/* Whether any limit is set. Only then must there be workers to be checked. */
static bool says_anything(const struct kt_checks *checks)
{
	static const struct kt_checks nothing;

	return memcmp(checks, &nothing, sizeof(nothing)) != 0;
}

void kt_check_reports(struct kt_ctx *ctx, const struct kt_reports *reports)
{
	struct checker checker = { .ctx = ctx, .checks = kt_checks_of(ctx->test) };

	if (!says_anything(&checker.checks))
		return;
	if (!reports->n)
		(void)kt_inconclusive(ctx, "there were no workers to be checked");
	/* Reports are appended a whole group at a time (kt_worker_group_stop()). */
	for (size_t i = 0; i < reports->n; i += checker.n) {
		checker.at = &reports->at[i];
		checker.n = 1;
		while (i + checker.n < reports->n &&
		       checker.at[checker.n].group == checker.at->group)
			checker.n++;
		check_group(&checker);
	}
}
