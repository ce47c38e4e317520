/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "guest/worker/telemetry.h"
#include "guest/worker/type.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"

UNIT_SUITE(work);

static const struct kt_topology two_cpus = { .numa_nodes = 1, .llcs = 1, .cores = 2, .threads = 1 };

Test(work, how_many_belong_together)
{
	static const struct {
		struct kt_work work;
		unsigned int n;
	} cases[] = {
		{ { .type = KT_BURSTY }, 1 },
		{ { .type = KT_PIPE_IO }, 2 },
		{ { .type = KT_SIGNAL_STORM }, 2 },
		{ { .type = KT_FUTEX_FAN_OUT }, 5 },
		{ { .type = KT_FAN_OUT_COMPUTE, .fan_out = 2 }, 3 },
		{ { .type = KT_THUNDERING_HERD }, 8 },
		{ { .type = KT_WAKE_CHAIN }, 4 },
		{ { .type = KT_WAKE_CHAIN, .depth = 32 }, 32 },
		{ { .type = KT_PRODUCER_CONSUMER }, 3 },
		{ { .type = KT_EPOLL_STORM, .producers = 2, .consumers = 1 }, 3 },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++)
		cr_assert(eq(u32, kt_work_unit_size(&cases[i].work), cases[i].n), "case %zu", i);
}

/* They must be refused before they are counted: the sum of such numbers is 0. */
Test(work, parameters_that_cannot_be)
{
	const struct {
		struct kt_work work;
		const char *text;
	} cases[] = {
		{ { .type = KT_SEQUENCE }, "needs .phases" },
		{ { .type = KT_SEQUENCE, .phases = KT_PHASES({ KT_SEQ_END, 1 }) },
		  "needs .phases" },
		{ { .type = KT_SEQUENCE,
		    .phases = KT_PHASES({ KT_SEQ_SPIN, 1 }, { KT_SEQ_IO, 0 }) },
		  "0 us" },
		{ { .type = KT_SEQUENCE, .phases = KT_PHASES({ (enum kt_work_phase_kind)77, 1 }) },
		  "kind" },
		{ { .type = KT_WAKE_CHAIN, .depth = 1 }, ".depth within 2..4095" },
		{ { .type = KT_WAKE_CHAIN, .depth = 33 }, "at most 32" },
		{ { .type = KT_WAKE_CHAIN, .wake = KT_WAKE_FUTEX, .depth = UINT32_MAX }, ".depth" },
		{ { .type = KT_WAKE_CHAIN, .wake = (enum kt_wake_kind)2 }, "kind of wake-up" },
		{ { .type = KT_FUTEX_FAN_OUT, .fan_out = UINT32_MAX }, ".fan_out" },
		{ { .type = KT_FAN_OUT_COMPUTE, .fan_out = UINT32_MAX }, ".fan_out" },
		{ { .type = KT_FAN_OUT_COMPUTE, .kib = UINT32_MAX }, ".kib" },
		{ { .type = KT_THUNDERING_HERD, .fan_out = UINT32_MAX }, ".fan_out" },
		{ { .type = KT_PRODUCER_CONSUMER, .producers = UINT32_MAX }, "4095 producers" },
		{ { .type = KT_PRODUCER_CONSUMER, .depth = 1 }, ".depth" },
		{ { .type = KT_PRODUCER_CONSUMER, .depth = UINT32_MAX }, ".depth" },
		{ { .type = KT_PRODUCER_CONSUMER, .rate_hz = 2000000000 }, ".rate_hz" },
		{ { .type = KT_EPOLL_STORM, .producers = 64 }, "63 producers" },
		{ { .type = KT_EPOLL_STORM, .consumers = UINT32_MAX }, "4095 consumers" },
		{ { .type = KT_EPOLL_STORM, .ops = UINT32_MAX }, ".ops" },
		{ { .type = KT_PIPE_IO, .workers = 3 }, "belong together" },
		{ { .type = KT_ASYMMETRIC_WAKER, .sched2 = { .policy = KT_SCHED_FIFO } }, "1..99" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		const char *why = kt_work_fault(&cases[i].work, &two_cpus);

		cr_assert(why && strstr(why, cases[i].text), "case %zu: %s", i, why ?: "none");
	}
}

static const struct kt_topology four_cpus = {
	.numa_nodes = 1, .llcs = 1, .cores = 4, .threads = 1
};

/* @text: a part of the fault's text; NULL: there is no fault. */
static void expect(const char *text, struct kt_work work)
{
	const char *why = kt_work_fault(&work, &four_cpus);

	if (!text)
		cr_assert_null(why, "%s", why ?: "");
	else
		cr_assert(why && strstr(why, text), "\"%s\" holds no \"%s\"", why ?: "", text);
}

Test(work, locks_and_priorities)
{
	expect(NULL, (struct kt_work){ .type = KT_MUTEX_CONTENTION, .workers = 8 });
	expect("not a multiple", (struct kt_work){ .type = KT_MUTEX_CONTENTION, .workers = 5 });
	expect("not a multiple", (struct kt_work){ .type = KT_PRIORITY_INVERSION, .workers = 4 });
	expect(NULL, (struct kt_work){ .type = KT_PRIORITY_INVERSION, .workers = 4, .medium = 2 });
	expect("above 20", (struct kt_work){ .type = KT_PRIORITY_INVERSION, .rt_priority = 20 });
	expect("1..99", (struct kt_work){ .type = KT_PRIORITY_INVERSION, .rt_priority = 100 });
	expect("root", (struct kt_work){ .type = KT_RT_STARVATION, .uid = 1 });
	expect("1..99", (struct kt_work){ .type = KT_PREEMPT_STORM, .rt_priority = 100 });
	expect("not a multiple",
	       (struct kt_work){ .type = KT_PREEMPT_STORM, .cfs = 3, .workers = 3 });
}

Test(work, what_churns)
{
	expect("root", (struct kt_work){ .type = KT_NICE_SWEEP, .uid = 1 });
	expect("root", (struct kt_work){ .type = KT_POLICY_CHURN, .uid = 1 });
	expect("1..99", (struct kt_work){ .type = KT_POLICY_CHURN, .rt_priority = 100 });
	expect(NULL, (struct kt_work){ .type = KT_AFFINITY_CHURN, .uid = 1, .threads = true });
	expect("threads", (struct kt_work){ .type = KT_FORK_EXIT, .threads = true });
	expect("threads", (struct kt_work){ .type = KT_CGROUP_CHURN, .threads = true });
	expect("at least 2", (struct kt_work){ .type = KT_CGROUP_CHURN, .groups = 1 });
	expect("at most 1000", (struct kt_work){ .type = KT_CGROUP_CHURN, .groups = 1001 });
	expect(".period_ms", (struct kt_work){ .type = KT_CGROUP_CHURN, .period_ms = 2000000 });
	expect(".dest", (struct kt_work){ .type = KT_CGROUP_ATTACH_STORM });
	expect(".dest", (struct kt_work){ .type = KT_CGROUP_ATTACH_STORM, .dest = "../x" });
	expect("root", (struct kt_work){ .type = KT_CGROUP_ATTACH_STORM, .dest = "d", .uid = 1 });
	expect(NULL, (struct kt_work){ .type = KT_CGROUP_ATTACH_STORM, .dest = "d" });
}

#define MS UINT64_C(1000000)

/* Until a worker ticks again its gap is open, also at the end of the test. */
Test(work, a_gap_that_is_open_at_the_end_counts)
{
	const struct kt_telemetry telemetry = {
		.begin_ns = 1000 * MS,
		.end_ns = 3000 * MS,
		.tick_ns = 2000 * MS,
		.tick_run_delay_ns = 10 * MS,
		.end_schedstat = { 500 * MS, 910 * MS, 5 },
		.max_gap_ns = 20 * MS,
		.cpu = 1,
	};
	const uint64_t unused[3] = { 0 }, killed[3] = { 500 * MS, 310 * MS, 5 };
	struct kt_telemetry other = telemetry;
	struct kt_worker_report report = { 0 };

	kt_telemetry_report(&telemetry, unused, &report);
	cr_assert(eq(u64, report.max_gap_ns, 900 * MS));
	cr_assert(eq(u64, report.max_gap_at_ns, 2000 * MS));
	cr_assert(eq(u32, report.max_gap_cpu, 1));

	other.end_schedstat[2] = 0; /* it was killed: PID 1 has looked */
	kt_telemetry_report(&other, killed, &report);
	cr_assert(eq(u64, report.max_gap_ns, 300 * MS));

	other = telemetry;
	other.sleeps = true;
	kt_telemetry_report(&other, unused, &report);
	cr_assert(eq(u64, report.max_gap_ns, 20 * MS), "a sleeper did not want to run");

	other = telemetry;
	other.tick_ns = other.begin_ns;
	kt_telemetry_report(&other, unused, &report);
	cr_assert(eq(u64, report.max_gap_ns, 20 * MS), "its type may have no ticks");

	other = telemetry;
	other.tick_run_delay_ns = 905 * MS;
	kt_telemetry_report(&other, unused, &report);
	cr_assert(eq(u64, report.max_gap_ns, 20 * MS), "it had a longer gap before");
}
