/* SPDX-License-Identifier: MIT */
#pragma once
/* What workers have done: their reports, for .check and .run functions. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct kt_ctx;

/* The number of CPUs that the bit masks of a report have room for. */
#define KT_REPORT_CPUS 256

/**
 * struct kt_worker_report - what one worker has done, from its start to its end
 * @cgroup:        the cgroup that the worker was in at its end; "" for the root cgroup.
 * @work:          name of its work type: "SpinWait".
 * @group:         number of its group, in the order of their start in the test, from 0.
 * @index:         number of the worker within its group, from 0.
 * @tid:           its thread ID.
 * @iterations:    iterations that it has done; docs/workloads.md says what one is.
 * @wall_ns:       time from its start to its end (CLOCK_MONOTONIC).
 * @cpu_ns:        time that it was on a CPU (schedstat).
 * @run_delay_ns:  time that it waited on a runqueue (schedstat).
 * @switches:      how often it was put on a CPU (schedstat).
 * @migrations:    how often it was seen on a different CPU than in the previous sample.
 * @cpus:          CPUs that it was seen on: bit N % 64 of element N / 64 is CPU N.
 * @allowed:       CPUs of all cpusets that applied to it at any time, as @cpus.
 * @max_gap_ns:    the longest time that it waited on a runqueue in one stretch while it had work
 *                 to do. Times below one millisecond are not recorded.
 * @max_gap_at_ns: when that gap ended, since the start of the worker.
 * @max_gap_cpu:   the CPU that it ran on after that gap.
 * @max_stall_ns:  the longest time that it made no progress although the kernel had it on a CPU.
 *                 The host causes this when it takes the CPU of the machine away.
 * @n_latencies:   number of wake-ups that it has measured.
 * @latency_p50_ns, @latency_p99_ns: median and 99th percentile of these latencies, rounded up by
 *                 at most 1/16. 0 without any.
 * @latency_max_ns: the longest of them. 0 without any.
 * @latency_cv:    their coefficient of variation: standard deviation over mean. 0 without any.
 * @pages:         pages whose place it has looked up (KT_NUMA_SWEEP).
 * @local_pages:   the part of @pages that was on the node of its CPU.
 * @node_migrations: how often it was seen on a different NUMA node than in the previous sample.
 * @killed:        whether it was killed because it did not end in time when it was asked to.
 * @status:        how its process ended, as waitpid(2) reports: 0 unless it failed, crashed or was
 *                 killed. The threads of a process share it.
 *
 * All times are in nanoseconds of the guest. /proc/PID/schedstat is described in
 * Documentation/scheduler/sched-stats.rst of the kernel.
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
 * @ret_n: number of reports.
 *
 * In .check, all workers have ended. Returns NULL if there are no reports. Valid until the next
 * operation; the test must not free them. Guest only.
 */
const struct kt_worker_report *kt_worker_reports(const struct kt_ctx *ctx, size_t *ret_n);

/**
 * kt_sum_reports() - the sum of the reports of all workers that ended in @cgroup
 * @ret_sum: counts and times are added up; maxima, percentiles and @latency_cv are the largest
 *           ones; masks are united; @index is the number of workers. All zero if there are none.
 *
 * Returns false if no worker ended in @cgroup. Guest only.
 */
bool kt_sum_reports(const struct kt_ctx *ctx, const char *cgroup, struct kt_worker_report *ret_sum);

#ifdef __cplusplus
}
#endif
