/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Telemetry: what a worker measures about itself while it runs (iterations, CPUs, gaps, latencies),
 * in memory that it shares with PID 1.
 *
 * It is not a report: after the worker has ended, PID 1 makes the report (struct kt_worker_report)
 * from the telemetry. It is not a record either (guest/scenario/record.h: usage of a cgroup in one
 * step), and has nothing to do with metrics (guest/payload/metrics.h: numbers that a payload
 * prints).
 */

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/report.h>

#define KT_LATENCY_BUCKETS 640 /* 40 octaves of nanoseconds, 16 parts each */
#define KT_SETUP_FAULT_LEN 48  /* bytes of the message, with its NUL */

/*
 * One worker's telemetry. Only the worker writes it. PID 1 reads @iterations and @tid at any time,
 * the set-up error when the worker is ready, and the rest when the worker has ended. All times are
 * CLOCK_MONOTONIC in nanoseconds; schedstat is described at kt_telemetry_schedstat().
 */
struct kt_telemetry {
	_Atomic uint64_t iterations;
	_Atomic int32_t tid;                  /* 0 until the worker has started */
	int32_t setup_error;                  /* negative errno of kt_worker_set_up(), or 0 */
	char setup_fault[KT_SETUP_FAULT_LEN]; /* its message, possibly cut */
	uint64_t begin_ns;                    /* 0: the worker never began its work */
	uint64_t end_ns;                      /* 0: its body never returned: it was killed */
	uint64_t tick_ns;                     /* the last moment at which it was seen running */
	uint64_t looked_ns;                   /* when it last read schedstat */
	uint64_t tick_run_delay_ns;           /* the run delay that it read then */
	bool sleeps;                          /* it has called kt_telemetry_resume() */
	int32_t schedstat_fd;                 /* its own /proc/thread-self/schedstat */
	uint32_t cpu, node;                   /* where it was at the last tick */
	uint64_t begin_schedstat[3];          /* at @begin_ns */
	uint64_t end_schedstat[3];            /* at @end_ns */
	/* as in struct kt_worker_report */
	uint64_t max_gap_ns, max_gap_at_ns, max_stall_ns;
	uint32_t max_gap_cpu;
	uint64_t migrations, node_migrations;
	uint64_t cpus[KT_REPORT_CPUS / 64];
	uint64_t pages, local_pages;
	uint64_t n_latencies, latency_max_ns;
	double latency_sum, latency_squares;    /* of ns and ns^2, for the variation */
	uint32_t latencies[KT_LATENCY_BUCKETS]; /* counts; see bucket_of() */
} __attribute__((aligned(64)));

/* The worker calls these immediately before and after the body of its work. */
void kt_telemetry_begin(struct kt_telemetry *telemetry);
void kt_telemetry_end(struct kt_telemetry *telemetry);

/*
 * Says that the worker runs now, and wanted to run all the time since the last tick or resume. Any
 * time in between that it did not run is a gap (it waited on a runqueue) or a stall (the host
 * stopped the vCPU).
 */
void kt_telemetry_tick(struct kt_telemetry *telemetry);

/* Says that the worker runs now, after its work made it sleep or wait: no gap ends here. */
void kt_telemetry_resume(struct kt_telemetry *telemetry);

/* Records a wake-up that took @ns nanoseconds. */
void kt_telemetry_latency(struct kt_telemetry *telemetry, uint64_t ns);

/*
 * Reads the three numbers of /proc/PID/task/TID/schedstat: time on a CPU in ns, time waiting on a
 * runqueue in ns ("run delay"), number of times it was put on a CPU. All are 0 when the thread is
 * gone. (kernel: Documentation/scheduler/sched-stats.rst)
 */
void kt_telemetry_schedstat(pid_t pid, pid_t tid, uint64_t values[3]);

/*
 * Fills in the part of @report that comes from telemetry. @schedstat is what PID 1 read last; it
 * counts only when the worker was killed before it could read its own. A worker that never sleeps
 * and had no CPU from its last tick to the end has a gap there, too.
 */
void kt_telemetry_report(const struct kt_telemetry *telemetry, const uint64_t schedstat[3],
			 struct kt_worker_report *report);
