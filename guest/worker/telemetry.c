/* SPDX-License-Identifier: MIT */
#include "guest/worker/telemetry.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

/*
 * What a worker measures about itself. All functions but kt_telemetry_schedstat() and
 * kt_telemetry_report() run in the worker, in its innermost loop: a tick reads the clock and the
 * CPU through the vDSO. It makes a system call, to read the kernel's schedstat, only after a gap
 * and every LOOK_NS.
 *
 * The question behind it: a worker did not run for a while; did the guest's scheduler or the host
 * cause that? The kernel counts the time that a task waits on a runqueue (the "run delay"). If the
 * run delay grew, the guest's scheduler let the worker wait. If not, the worker was on a vCPU all
 * the time, and the host had stopped that vCPU. Invariant: the clock and the run delay of one look
 * belong to the same moment, and a gap is compared with a look that is at most LOOK_NS older than
 * the gap.
 */

#define GAP_MIN_NS KT_NSEC_PER_MSEC        /* shorter gaps are not examined */
#define LOOK_NS    (10 * KT_NSEC_PER_MSEC) /* the oldest that a run delay may be at a look */
#define SUB_BITS   4                       /* log2 of the buckets in an octave */

/* A text that is not three numbers gives zeroes. */
static void parse_schedstat(const char *text, uint64_t values[3])
{
	memset(values, 0, 3 * sizeof(values[0]));
	(void)sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &values[0], &values[1], &values[2]);
}

/* The kernel writes the file anew at each read from offset 0. */
static void read_own_schedstat(const struct kt_telemetry *telemetry, uint64_t values[3])
{
	char text[96] = "";

	(void)!pread(telemetry->schedstat_fd, text, sizeof(text) - 1, 0);
	parse_schedstat(text, values);
}

/*
 * Reads schedstat and the clock as of one moment, and returns that moment. A worker that is
 * preempted between the two would find the waiting in only one of them, so a slow look is repeated,
 * up to three times in all.
 */
static uint64_t look_at_schedstat(struct kt_telemetry *telemetry, uint64_t values[3])
{
	uint64_t begin_ns, now_ns = kt_now_ns();
	unsigned int tries = 3;

	do {
		begin_ns = now_ns;
		read_own_schedstat(telemetry, values);
		now_ns = kt_now_ns();
	} while (now_ns - begin_ns > GAP_MIN_NS && --tries);
	telemetry->looked_ns = telemetry->tick_ns = now_ns;
	return now_ns;
}

void kt_telemetry_schedstat(pid_t pid, pid_t tid, uint64_t values[3])
{
	KT_FREE char *text = NULL;
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/schedstat", (int)pid, (int)tid);
	parse_schedstat(kt_file_read(path, 4096, &text, NULL) < 0 ? "" : text, values);
}

/* glibc's getcpu() uses the vDSO: no system call. */
static void look_at_cpu(struct kt_telemetry *telemetry, bool first)
{
	unsigned int cpu = 0, node = 0;

	if (getcpu(&cpu, &node) < 0)
		return;
	if (cpu < KT_REPORT_CPUS)
		telemetry->cpus[cpu / 64] |= UINT64_C(1) << cpu % 64;
	telemetry->migrations += !first && cpu != telemetry->cpu;
	telemetry->node_migrations += !first && node != telemetry->node;
	telemetry->cpu = cpu;
	telemetry->node = node;
}

/* The look at schedstat is last: what the worker does before it is not part of its work. */
void kt_telemetry_begin(struct kt_telemetry *telemetry)
{
	telemetry->schedstat_fd = open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC);
	look_at_cpu(telemetry, true);
	telemetry->begin_ns = look_at_schedstat(telemetry, telemetry->begin_schedstat);
	telemetry->tick_run_delay_ns = telemetry->begin_schedstat[1];
}

void kt_telemetry_end(struct kt_telemetry *telemetry)
{
	read_own_schedstat(telemetry, telemetry->end_schedstat);
	telemetry->end_ns = kt_now_ns();
	(void)kt_close(telemetry->schedstat_fd);
}

/*
 * Splits the time since the last tick into a gap (the run delay grew: the guest's scheduler left
 * the worker on a runqueue) and a stall (the rest: the host stopped the vCPU).
 */
static void look_into_gap(struct kt_telemetry *telemetry)
{
	uint64_t schedstat[3], since_ns = telemetry->tick_ns;
	uint64_t now_ns = look_at_schedstat(telemetry, schedstat), gap_ns = now_ns - since_ns;
	uint64_t waited_ns = KT_MIN(schedstat[1] - telemetry->tick_run_delay_ns, gap_ns);

	telemetry->tick_run_delay_ns = schedstat[1];
	telemetry->max_stall_ns = KT_MAX(telemetry->max_stall_ns, gap_ns - waited_ns);
	if (waited_ns <= telemetry->max_gap_ns)
		return;
	telemetry->max_gap_ns = waited_ns;
	telemetry->max_gap_at_ns = now_ns - telemetry->begin_ns;
	telemetry->max_gap_cpu = telemetry->cpu;
}

/*
 * Without a gap it still looks every LOOK_NS: the run delay since the last look is charged to the
 * next gap, and many short waits must not add up to one long gap.
 */
void kt_telemetry_tick(struct kt_telemetry *telemetry)
{
	uint64_t now_ns = kt_now_ns();

	look_at_cpu(telemetry, false);
	if (now_ns - telemetry->tick_ns > GAP_MIN_NS || now_ns - telemetry->looked_ns > LOOK_NS)
		look_into_gap(telemetry);
	else
		telemetry->tick_ns = now_ns;
}

/*
 * The wait that ends here is not a gap, but the worker may have waited for a CPU after its wake-up.
 * That run delay must not be charged to the next gap, so an old look is renewed.
 */
void kt_telemetry_resume(struct kt_telemetry *telemetry)
{
	uint64_t schedstat[3], now_ns = kt_now_ns();

	look_at_cpu(telemetry, false);
	telemetry->sleeps = true;
	telemetry->tick_ns = now_ns;
	if (now_ns - telemetry->looked_ns <= LOOK_NS)
		return;
	(void)look_at_schedstat(telemetry, schedstat);
	telemetry->tick_run_delay_ns = schedstat[1];
}

/*
 * The histogram of latencies: one bucket for each value below 16 ns, then 16 buckets for each power
 * of two. A bucket is at most 1/16 of its value wide; the last one ends at 2^43 ns (2.4 hours).
 */
static unsigned int bucket_of(uint64_t ns)
{
	unsigned int octave, bucket;

	if (ns < 1u << SUB_BITS)
		return (unsigned int)ns;
	octave = 63u - (unsigned int)__builtin_clzll(ns);
	bucket = ((octave - SUB_BITS + 1) << SUB_BITS) + (unsigned int)(ns >> (octave - SUB_BITS)) -
		 (1u << SUB_BITS);
	return KT_MIN(bucket, KT_LATENCY_BUCKETS - 1u);
}

/* The largest value of a bucket, so that a percentile is never below the true one. */
static uint64_t bucket_end(unsigned int bucket)
{
	unsigned int octave = bucket >> SUB_BITS;
	uint64_t sub = bucket & ((1u << SUB_BITS) - 1);

	if (!octave)
		return sub;
	return (((UINT64_C(1) << SUB_BITS) + sub + 1) << (octave - 1)) - 1;
}

void kt_telemetry_latency(struct kt_telemetry *telemetry, uint64_t ns)
{
	telemetry->latencies[bucket_of(ns)]++;
	telemetry->n_latencies++;
	telemetry->latency_sum += (double)ns;
	telemetry->latency_squares += (double)ns * (double)ns;
	telemetry->latency_max_ns = KT_MAX(telemetry->latency_max_ns, ns);
}

/* 0 without latencies. */
static uint64_t percentile(const struct kt_telemetry *telemetry, unsigned int percent)
{
	uint64_t rank = (telemetry->n_latencies * percent + 99) / 100, seen = 0;

	for (unsigned int i = 0; rank && i < KT_LATENCY_BUCKETS; i++) {
		seen += telemetry->latencies[i];
		if (seen >= rank)
			return KT_MIN(bucket_end(i), telemetry->latency_max_ns);
	}
	return 0;
}

/* The coefficient of variation: standard deviation over mean. 0 without latencies. */
static double variation(const struct kt_telemetry *telemetry)
{
	double n = (double)telemetry->n_latencies, mean = telemetry->latency_sum / n;
	double variance = telemetry->latency_squares / n - mean * mean;

	return n > 0 && mean > 0 && variance > 0 ? sqrt(variance) / mean : 0;
}

/* The difference, but 0 when PID 1 read @now before the worker read @begin. */
static uint64_t since(uint64_t now, uint64_t begin)
{
	return now > begin ? now - begin : 0;
}

/*
 * The gap that is still open at the end. Only a worker that ticks and never sleeps is known to have
 * wanted to run.
 */
static void close_gap(const struct kt_telemetry *telemetry, uint64_t run_delay_ns, uint64_t end_ns,
		      struct kt_worker_report *report)
{
	uint64_t gap_ns = since(end_ns, telemetry->tick_ns);
	uint64_t waited_ns = KT_MIN(since(run_delay_ns, telemetry->tick_run_delay_ns), gap_ns);

	if (telemetry->sleeps || telemetry->tick_ns <= telemetry->begin_ns ||
	    gap_ns <= GAP_MIN_NS || waited_ns <= report->max_gap_ns)
		return;
	report->max_gap_ns = waited_ns;
	report->max_gap_at_ns = end_ns - telemetry->begin_ns;
	report->max_gap_cpu = telemetry->cpu;
}

void kt_telemetry_report(const struct kt_telemetry *telemetry, const uint64_t schedstat[3],
			 struct kt_worker_report *report)
{
	uint64_t end_ns = telemetry->end_ns ?: kt_now_ns();

	/* The worker's own last look belongs to the same moment as its iterations. */
	if (telemetry->end_schedstat[2])
		schedstat = telemetry->end_schedstat;
	report->tid = telemetry->tid;
	report->iterations = telemetry->iterations;
	report->wall_ns = telemetry->begin_ns ? end_ns - telemetry->begin_ns : 0;
	report->cpu_ns = since(schedstat[0], telemetry->begin_schedstat[0]);
	report->run_delay_ns = since(schedstat[1], telemetry->begin_schedstat[1]);
	report->switches = since(schedstat[2], telemetry->begin_schedstat[2]);
	report->migrations = telemetry->migrations;
	report->node_migrations = telemetry->node_migrations;
	memcpy(report->cpus, telemetry->cpus, sizeof(report->cpus));
	report->max_gap_ns = telemetry->max_gap_ns;
	report->max_gap_at_ns = telemetry->max_gap_at_ns;
	report->max_gap_cpu = telemetry->max_gap_cpu;
	close_gap(telemetry, schedstat[1], end_ns, report);
	report->max_stall_ns = telemetry->max_stall_ns;
	report->n_latencies = telemetry->n_latencies;
	report->latency_p50_ns = percentile(telemetry, 50);
	report->latency_p99_ns = percentile(telemetry, 99);
	report->latency_max_ns = telemetry->latency_max_ns;
	report->latency_cv = variation(telemetry);
	report->pages = telemetry->pages;
	report->local_pages = telemetry->local_pages;
}
