/* SPDX-License-Identifier: MIT */
#pragma once
/* What a worker notes about itself while it works, in memory that PID 1 shares. */

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/report.h>

#define KT_LATENCY_BUCKETS 640 /* 40 octaves of nanoseconds, 16 parts each */
#define KT_SETUP_FAULT_LEN 48

/* Written by the worker; PID 1 reads @iterations at any time, the rest when the worker has ended. */
struct kt_telemetry {
	_Atomic uint64_t iterations;
	_Atomic int32_t tid; /* 0 before it is known */
	int32_t setup_error; /* negative errno, for what @setup_fault says */
	char setup_fault[KT_SETUP_FAULT_LEN];
	uint64_t begin_ns;
	uint64_t end_ns; /* 0: it has not ended by itself */
	/* the last look at the clock */
	uint64_t tick_ns;
	uint64_t looked_ns;         /* when schedstat was looked at last */
	uint64_t tick_run_delay_ns; /* as it was then */
	int32_t schedstat_fd;
	uint32_t cpu;
	uint32_t node;
	uint64_t begin_schedstat[3]; /* CPU time, run delay, switches */
	uint64_t end_schedstat[3];   /* at @end_ns */
	/* as in struct kt_worker_report */
	uint64_t max_gap_ns, max_gap_at_ns, max_stall_ns;
	uint32_t max_gap_cpu;
	uint64_t migrations, node_migrations;
	uint64_t cpus[KT_REPORT_CPUS / 64];
	uint64_t pages, local_pages;
	uint64_t n_latencies, latency_max_ns;
	double latency_sum, latency_squares;
	uint32_t latencies[KT_LATENCY_BUCKETS];
} __attribute__((aligned(64)));

/* In the worker, when it starts to work and when it has ended. */
void kt_telemetry_begin(struct kt_telemetry *telemetry);
void kt_telemetry_end(struct kt_telemetry *telemetry);

/* A moment at which the worker runs, after having been meant to run since the last one. */
void kt_telemetry_tick(struct kt_telemetry *telemetry);

/* A moment at which it runs, after having waited by itself. */
void kt_telemetry_resume(struct kt_telemetry *telemetry);

void kt_telemetry_latency(struct kt_telemetry *telemetry, uint64_t ns);

/* The three numbers of /proc/PID/task/TID/schedstat; all 0 when it is gone. */
void kt_telemetry_schedstat(pid_t pid, pid_t tid, uint64_t values[3]);

/* Fills in what comes from here; @schedstat as read last, for one that has not ended by itself. */
void kt_telemetry_report(const struct kt_telemetry *telemetry, const uint64_t schedstat[3],
			 struct kt_worker_report *report);
