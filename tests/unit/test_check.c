/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include <ktest/scheduler.h>

#include "framework/outcome/outcome.h"
#include "guest/test/check.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"

/* A worker that misses no limit, but for the members that follow. */
#pragma GCC diagnostic ignored "-Woverride-init"

UNIT_SUITE(check);
UNIT_SUITE(host);

#define MS KT_NSEC_PER_MSEC

/* A worker of cgroup "w" that misses no limit. */
#define FINE                                                                                       \
	.cgroup = "w", .work = "SpinWait", .iterations = 1000, .wall_ns = 1000 * MS,               \
	.cpu_ns = 500 * MS, .run_delay_ns = 500 * MS, .migrations = 10, .cpus = { 0x1 },           \
	.allowed = { 0x3 }, .max_gap_ns = 20 * MS, .n_latencies = 50, .latency_p99_ns = 300000,    \
	.latency_cv = 0.5, .pages = 100, .local_pages = 90, .node_migrations = 1

/* All limits, set so that a worker that is FINE misses none. */
#define WIDE                                                                                       \
	.not_starved = KT_ON, .isolation = KT_ON, .max_gap_ms = 50, .max_spread_pct = 20,          \
	.max_throughput_cv = 0.5, .min_work_rate = 100, .min_iteration_rate = 100,                 \
	.max_wake_p99_us = 1000, .max_wake_cv = 1, .max_migration_ratio = 0.1,                     \
	.min_page_locality = 0.8, .max_cross_node_ratio = 0.5

struct checked {
	enum kt_verdict verdict;
	size_t n_failures;
	char text[1024]; /* of the first failure, or the reason */
	bool host_may_explain;
};

Test(check, what_takes_long_may_take_what_the_test_has)
{
	const struct kt_test test = { .name = "t" };
	struct kt_ctx ctx;

	kt_ctx_init(&ctx, &test);
	ctx.asked_ns = kt_now_ns();
	ctx.limit_ns = 120 * KT_NSEC_PER_SEC; /* 8 s of them are the report's */
	cr_assert(eq(u64, kt_ctx_patient_deadline_ns(&ctx, 5000),
		     ctx.asked_ns + 112 * KT_NSEC_PER_SEC));
	/* A quarter of a short limit is; no wait takes the whole rest. */
	ctx.limit_ns = 4 * KT_NSEC_PER_SEC;
	cr_assert(eq(u64, kt_ctx_patient_deadline_ns(&ctx, 5000),
		     ctx.asked_ns + 3 * KT_NSEC_PER_SEC));
	cr_assert(eq(u64, kt_ctx_deadline_ns(&ctx, 5000), ctx.asked_ns + 3 * KT_NSEC_PER_SEC));
	kt_ctx_deinit(&ctx);
}

static struct checked check(const struct kt_checks *checks, const struct kt_worker_report *reports,
			    size_t n)
{
	const struct kt_test test = { .name = "t", .file = "f.c", .line = 1, .checks = *checks };
	const struct kt_reports list = { (struct kt_worker_report *)reports, n };
	struct checked checked = { .n_failures = 0 };
	struct kt_ctx ctx;

	kt_ctx_init(&ctx, &test);
	kt_check_reports(&ctx, &list);
	checked.verdict = ctx.result.verdict;
	checked.n_failures = ctx.result.n_failures;
	checked.host_may_explain = kt_result_is_limits_only(&ctx.result);
	(void)snprintf(checked.text, sizeof(checked.text), "%s",
		       ctx.result.n_failures ? ctx.result.failures[0].what
					     : ctx.result.reason ?: "");
	kt_ctx_deinit(&ctx);
	return checked;
}

Test(check, what_is_fine_passes_all)
{
	const struct kt_worker_report reports[] = { { FINE }, { FINE, .index = 1 } };
	const struct kt_checks wide = { WIDE };
	struct checked checked = check(&wide, reports, 2);

	cr_assert(eq(int, (int)checked.verdict, KT_VERDICT_PASS), "%s", checked.text);
}

Test(check, nothing_said_checks_nothing)
{
	const struct kt_checks none = { .not_starved = KT_UNSET };
	const struct kt_worker_report idle = { .cgroup = "w", .work = "SpinWait" };

	cr_assert(eq(int, (int)check(&none, &idle, 1).verdict, KT_VERDICT_PASS));
}

/* One worker that misses one limit, beside one that misses none. */
#define MISSES(...)                                                                                \
	{                                                                                          \
		FINE, .index = 7, __VA_ARGS__                                                      \
	}

Test(check, each_limit_can_be_missed)
{
	static const struct {
		const char *check;
		struct kt_worker_report bad;
		bool host_may_explain;
	} cases[] = {
		{ "not_starved", MISSES(.iterations = 0), true },
		{ "isolation", MISSES(.cpus = { 0x5 }), false },
		{ "max_gap_ms", MISSES(.max_gap_ns = 51 * MS), true },
		{ "max_spread_pct", MISSES(.run_delay_ns = 1500 * MS), true },
		{ "max_throughput_cv", MISSES(.iterations = 5000), true },
		{ "min_work_rate",
		  MISSES(.iterations = 101, .cpu_ns = 2000 * MS, .run_delay_ns = 2000 * MS), true },
		{ "min_iteration_rate", MISSES(.wall_ns = 20000 * MS), true },
		{ "max_wake_p99_us", MISSES(.latency_p99_ns = 1000001), true },
		{ "max_wake_cv", MISSES(.latency_cv = 1.1), true },
		{ "max_migration_ratio", MISSES(.migrations = 101), false },
		{ "min_page_locality", MISSES(.local_pages = 79), false },
		{ "max_cross_node_ratio", MISSES(.node_migrations = 6), false },
	};
	const struct kt_checks wide = { WIDE };

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		const struct kt_worker_report reports[] = { { FINE }, cases[i].bad };
		struct checked checked = check(&wide, reports, 2);

		cr_assert(eq(int, (int)checked.verdict, KT_VERDICT_FAIL), "%s", cases[i].check);
		cr_assert(ne(ptr, strstr(checked.text, "of SpinWait in cgroup 'w'"), NULL), "%s",
			  checked.text);
		if (strcmp(cases[i].check, "min_work_rate")) /* other limits depend on it */
			cr_assert(eq(int,
				     strncmp(checked.text, cases[i].check, strlen(cases[i].check)),
				     0),
				  "%s: %s", cases[i].check, checked.text);
		cr_assert(checked.host_may_explain == cases[i].host_may_explain, "%s",
			  cases[i].check);
	}
}

Test(check, what_was_not_measured_is_inconclusive)
{
	static const struct {
		struct kt_checks checks;
		struct kt_worker_report report;
	} cases[] = {
		{ { .max_wake_p99_us = 5 }, { FINE, .n_latencies = 0 } },
		{ { .max_wake_cv = 5 }, { FINE, .n_latencies = 0 } },
		{ { .min_page_locality = 0.5 }, { FINE, .pages = 0 } },
		{ { .min_work_rate = 5 }, { FINE, .cpu_ns = 0 } },
		{ { .max_migration_ratio = 5 }, { FINE, .iterations = 0 } },
		{ { .max_spread_pct = 5 }, { FINE } }, /* of one worker */
		{ { .max_throughput_cv = 5 }, { FINE } },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct checked checked = check(&cases[i].checks, &cases[i].report, 1);

		cr_assert(eq(int, (int)checked.verdict, KT_VERDICT_INCONCLUSIVE), "case %zu: %s", i,
			  checked.text);
	}
}

Test(check, a_failure_outweighs_what_was_not_measured)
{
	const struct kt_checks checks = { .max_gap_ms = 1, .max_wake_p99_us = 5 };
	const struct kt_worker_report report = { FINE, .n_latencies = 0 };

	cr_assert(eq(int, (int)check(&checks, &report, 1).verdict, KT_VERDICT_FAIL));
}

Test(check, no_workers_are_inconclusive)
{
	const struct kt_checks checks = { .not_starved = KT_ON };

	cr_assert(eq(int, (int)check(&checks, NULL, 0).verdict, KT_VERDICT_INCONCLUSIVE));
}

Test(check, groups_are_not_compared_with_one_another)
{
	const struct kt_checks checks = { .max_spread_pct = 5, .max_throughput_cv = 0.1 };
	const struct kt_worker_report reports[] = {
		{ FINE, .group = 0 },
		{ FINE, .group = 0, .index = 1 },
		{ FINE, .group = 1, .run_delay_ns = 0, .iterations = 9 },
		{ FINE, .group = 1, .index = 1, .run_delay_ns = 0, .iterations = 9 },
	};

	cr_assert(eq(int, (int)check(&checks, reports, 4).verdict, KT_VERDICT_PASS));
}

Test(check, a_limit_of_none_at_all)
{
	const struct kt_checks checks = { .max_migration_ratio = KT_NONE_AT_ALL };
	const struct kt_worker_report moved = { FINE }, stayed = { FINE, .migrations = 0 };

	cr_assert(eq(int, (int)check(&checks, &moved, 1).verdict, KT_VERDICT_FAIL));
	cr_assert(eq(int, (int)check(&checks, &stayed, 1).verdict, KT_VERDICT_PASS));
}

/* The default remains set, so this must be the last in its process. */
Test(check, the_tests_own_limits_come_over_the_binarys)
{
	const struct kt_checks binary = { .not_starved = KT_ON, .max_gap_ms = 10 };
	const struct kt_test silent = { .name = "a" };
	const struct kt_test own = { .name = "b",
				     .checks = { .not_starved = KT_OFF, .max_gap_ms = 99 } };
	const struct kt_scheduler scheduler = {
		.name = "s",
		.checks = { .not_starved = KT_OFF, .max_gap_ms = 50, .max_spread_pct = 9 }
	};
	const struct kt_test scheduled = { .name = "c",
					   .scheduler = &scheduler,
					   .checks = { .max_spread_pct = 7 } };

	kt_checks_set_default(&binary);
	cr_assert(eq(int, (int)kt_checks_of(&silent).not_starved, KT_ON));
	cr_assert(eq(dbl, kt_checks_of(&silent).max_gap_ms, 10));
	cr_assert(eq(int, (int)kt_checks_of(&own).not_starved, KT_OFF));
	cr_assert(eq(dbl, kt_checks_of(&own).max_gap_ms, 99));
	/* The checks of a scheduler come between both. */
	cr_assert(eq(int, (int)kt_checks_of(&scheduled).not_starved, KT_OFF));
	cr_assert(eq(dbl, kt_checks_of(&scheduled).max_gap_ms, 50));
	cr_assert(eq(dbl, kt_checks_of(&scheduled).max_spread_pct, 7));
}

/* ---- what the host may explain --------------------------------------------------------------- */

/* The verdict of a test with one failed limit, if the host took that much of 1000 ms. */
static enum kt_verdict judged(uint64_t excess_ns, double excess_share, uint64_t stolen_ms)
{
	const struct kt_failure failure = { .what = "a limit",
					    .excess_ns = excess_ns,
					    .excess_share = excess_share };
	struct kt_outcome outcome = KT_OUTCOME_NULL;
	enum kt_verdict verdict;

	cr_assert(eq(int, kt_result_add_failure(&outcome.result, &failure), 0));
	kt_outcome_judge_host(&outcome, stolen_ms * MS, 1000 * MS);
	verdict = outcome.result.verdict;
	cr_assert(verdict == KT_VERDICT_FAIL || outcome.result.reason);
	kt_result_deinit(&outcome.result);
	return verdict;
}

Test(host, only_more_than_was_missed_explains_it)
{
	cr_assert(eq(int, (int)judged(50 * MS, 0, 49), KT_VERDICT_FAIL));
	cr_assert(eq(int, (int)judged(50 * MS, 0, 50), KT_VERDICT_INCONCLUSIVE));
	cr_assert(eq(int, (int)judged(0, 0.2, 199), KT_VERDICT_FAIL));
	cr_assert(eq(int, (int)judged(0, 0.2, 200), KT_VERDICT_INCONCLUSIVE));
	cr_assert(eq(int, (int)judged(0, 0, 1000), KT_VERDICT_FAIL));
}

Test(host, one_other_failure_is_a_failure)
{
	const struct kt_failure limit = { .what = "a limit", .excess_ns = 1 };
	const struct kt_failure other = { .what = "an assertion" };
	struct kt_outcome outcome = KT_OUTCOME_NULL;

	(void)kt_result_add_failure(&outcome.result, &limit);
	(void)kt_result_add_failure(&outcome.result, &other);
	kt_outcome_judge_host(&outcome, 900 * MS, 1000 * MS);
	cr_assert(eq(int, (int)outcome.result.verdict, KT_VERDICT_FAIL));
	kt_result_deinit(&outcome.result);
}

Test(host, the_verdict_survives_the_way_to_the_runner)
{
	const struct kt_failure limit = { .what = "a limit", .excess_ns = 1 };
	struct kt_result result = KT_RESULT_NULL, back;
	KT_FREE void *data = NULL;
	size_t len;

	(void)kt_result_add_failure(&result, &limit);
	result.verdict = KT_VERDICT_INCONCLUSIVE;
	cr_assert(eq(int, kt_result_encode(&result, &data, &len), 0));
	cr_assert(eq(int, kt_result_decode(data, len, &back, NULL), 0));
	cr_assert(eq(int, (int)back.verdict, KT_VERDICT_INCONCLUSIVE));
	cr_assert(eq(sz, back.n_failures, 1));
	kt_result_deinit(&result);
	kt_result_deinit(&back);
}
