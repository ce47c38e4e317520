/* SPDX-License-Identifier: MIT */
#pragma once
/* What workers have done, for .check and .run functions. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_ctx;

/* CPUs that a report can tell apart. */
#define KT_REPORT_CPUS 256

/**
 * struct kt_worker_report - one worker, from its start to its end
 * @cgroup:        where it was at its end; "" where PID 1 is.
 * @work:          name of its type: "SpinWait".
 * @group, @index: which group of workers of the test it belonged to, in order of their start, and which
 *                 worker of the group it was.
 * @tid:           its thread ID.
 * @iterations:    what it has done (docs/workloads.md says what one is).
 * @wall_ns:       from the start to the end (CLOCK_MONOTONIC).
 * @cpu_ns:        that it was on a CPU (schedstat).
 * @run_delay_ns:  that it waited on a runqueue to be run (schedstat).
 * @switches:      how many times it was put on a CPU (schedstat).
 * @migrations:    how many times it was seen on another CPU than before.
 * @cpus:          the CPUs it was seen on, a bit each.
 * @allowed:       the CPUs of all cpusets that it was in.
 * @max_gap_ns:    the longest that it waited on a runqueue in one stretch in which it was to run, to
 *                 the resolution of a millisecond; @max_gap_cpu where it ran next; @max_gap_at_ns when,
 *                 since its start.
 * @max_stall_ns:  the longest that it made no progress though the kernel had it on a CPU: the host's
 *                 doing.
 * @n_latencies:   wake-ups that it has measured; @latency_p50_ns, @latency_p99_ns, @latency_max_ns of
 *                 those, to 1/16, and @latency_cv, their coefficient of variation. 0 without any.
 * @pages, @local_pages: of memory whose place it has looked up, and of those on the node of its CPU.
 * @node_migrations: how many times it was seen on another node than before.
 * @killed:        it did not end when it was asked to.
 * @status:        how it ended, as from waitpid(2): 0 unless it failed, crashed or was killed.
 */
struct kt_worker_report {
	const char *cgroup;
	const char *work;
	unsigned int group;
	unsigned int index;
	pid_t tid;
	uint64_t iterations;
	uint64_t wall_ns;
	uint64_t cpu_ns;
	uint64_t run_delay_ns;
	uint64_t switches;
	uint64_t migrations;
	uint64_t cpus[KT_REPORT_CPUS / 64];
	uint64_t allowed[KT_REPORT_CPUS / 64];
	uint64_t max_gap_ns;
	uint64_t max_gap_at_ns;
	unsigned int max_gap_cpu;
	uint64_t max_stall_ns;
	uint64_t n_latencies;
	uint64_t latency_p50_ns;
	uint64_t latency_p99_ns;
	uint64_t latency_max_ns;
	double latency_cv;
	uint64_t pages;
	uint64_t local_pages;
	uint64_t node_migrations;
	bool killed;
	int status;
};

/**
 * kt_worker_reports() - the reports of all workers that have ended, in the order of their end
 * @ret_n: how many there are.
 *
 * In .check those are all of the scenario's. Valid until the next operation. Guest only.
 */
const struct kt_worker_report *kt_worker_reports(const struct kt_ctx *ctx, size_t *ret_n);

/**
 * kt_sum_reports() - all workers that ended in @cgroup as one
 *
 * Counts and times are summed up, maxima and percentiles are the largest, @index is the number of
 * workers. Returns false when there were none.
 */
bool kt_sum_reports(const struct kt_ctx *ctx, const char *cgroup, struct kt_worker_report *ret_sum);

#ifdef __cplusplus
}
#endif
