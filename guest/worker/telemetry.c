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

#define GAP_MIN_NS KT_NSEC_PER_MSEC        /* shorter ones are not looked into */
#define LOOK_NS    (10 * KT_NSEC_PER_MSEC) /* schedstat is not older at a look into a gap */
#define SUB_BITS   4                       /* of a bucket's place within its octave */

static void parse_schedstat(const char *text, uint64_t values[3])
{
	memset(values, 0, 3 * sizeof(values[0]));
	(void)sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &values[0], &values[1], &values[2]);
}

static void read_own_schedstat(const struct kt_telemetry *telemetry, uint64_t values[3])
{
	char text[96] = "";

	(void)!pread(telemetry->schedstat_fd, text, sizeof(text) - 1, 0);
	parse_schedstat(text, values);
}

/*
 * As of one moment, which it returns: a worker that was preempted between the file and the clock would
 * find its waiting in one of them only, and looks again.
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

/* getcpu(2) by its vDSO entry is what glibc's sched_getcpu() is; the node comes with it. */
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
 * The wall clock alone cannot tell the guest's scheduler, which left the worker on a runqueue, from a
 * host that stopped the whole CPU: the kernel's count of the time on runqueues can.
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

/* Also once in a while without a gap: what was waited before must not be taken for one's own. */
void kt_telemetry_tick(struct kt_telemetry *telemetry)
{
	uint64_t now_ns = kt_now_ns();

	look_at_cpu(telemetry, false);
	if (now_ns - telemetry->tick_ns > GAP_MIN_NS || now_ns - telemetry->looked_ns > LOOK_NS)
		look_into_gap(telemetry);
	else
		telemetry->tick_ns = now_ns;
}

/* The wake-up that came before is no gap, but it may have waited for the CPU. */
void kt_telemetry_resume(struct kt_telemetry *telemetry)
{
	uint64_t schedstat[3], now_ns = kt_now_ns();

	look_at_cpu(telemetry, false);
	telemetry->tick_ns = now_ns;
	if (now_ns - telemetry->looked_ns <= LOOK_NS)
		return;
	(void)look_at_schedstat(telemetry, schedstat);
	telemetry->tick_run_delay_ns = schedstat[1];
}

/* Exact below 16 ns, then 16 buckets for each power of two. */
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

/* The largest value of a bucket. */
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

/* Standard deviation over mean. */
static double variation(const struct kt_telemetry *telemetry)
{
	double n = (double)telemetry->n_latencies, mean = telemetry->latency_sum / n;
	double variance = telemetry->latency_squares / n - mean * mean;

	return n > 0 && mean > 0 && variance > 0 ? sqrt(variance) / mean : 0;
}

/* PID 1 may have looked before the worker did for the first time. */
static uint64_t since(uint64_t now, uint64_t begin)
{
	return now > begin ? now - begin : 0;
}

void kt_telemetry_report(const struct kt_telemetry *telemetry, const uint64_t schedstat[3],
			 struct kt_worker_report *report)
{
	uint64_t end_ns = telemetry->end_ns ?: kt_now_ns();

	/* Its own look is of the same moment as its iterations. */
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
	report->max_stall_ns = telemetry->max_stall_ns;
	report->n_latencies = telemetry->n_latencies;
	report->latency_p50_ns = percentile(telemetry, 50);
	report->latency_p99_ns = percentile(telemetry, 99);
	report->latency_max_ns = telemetry->latency_max_ns;
	report->latency_cv = variation(telemetry);
	report->pages = telemetry->pages;
	report->local_pages = telemetry->local_pages;
}
