/* SPDX-License-Identifier: MIT */
/* Work on memory, proved by the faults, migrations and switches that the kernel counts. */
#include <ktest.h>

#include <inttypes.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define ONE_CPU .topology = { .llcs = 1, .cores = 1 }
#define WORKER(cgroup, type, ...)                                                                  \
	{                                                                                          \
		.name = (cgroup), .work = KT_WORK(type, .workers = 1, __VA_ARGS__)                 \
	}
#define ALONE(type, ...)                                                                           \
	.duration_ms = 500,                                                                        \
	.steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(type, __VA_ARGS__) }),         \
			    .hold = KT_HOLD_FULL })

/* The page faults of all workers that have ended. */
static struct rusage used(void)
{
	struct rusage usage = { .ru_minflt = 0 };

	(void)getrusage(RUSAGE_CHILDREN, &usage);
	return usage;
}

/* ---- caches ---------------------------------------------------------------------------------- */

/* Iterations per second of CPU time; 0 if there are none. */
static double rate(struct kt_ctx *ctx, const char *cgroup)
{
	struct kt_worker_report sum;

	if (!kt_sum_reports(ctx, cgroup, &sum) || !sum.cpu_ns)
		return 0;
	return (double)sum.iterations * 1e9 / (double)sum.cpu_ns;
}

/* One eighth of the buffer, or of the accesses in it, takes one eighth of the time. */
static int pressure_check(struct kt_ctx *ctx)
{
	double large = rate(ctx, "large");
	struct kt_worker_report sum;

	KT_ASSERT_GT(ctx, large, 0);
	KT_EXPECT_GT(ctx, rate(ctx, "small") / large, 4);
	KT_EXPECT_LT(ctx, rate(ctx, "small") / large, 16);
	KT_EXPECT_GT(ctx, rate(ctx, "sparse") / large, 4);
	KT_EXPECT_LT(ctx, rate(ctx, "sparse") / large, 16);
	/* Each page of the buffers was written to. */
	KT_EXPECT_GT(ctx, used().ru_minflt, (1024 + 128 + 1024) / 4);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "large", &sum));
	KT_EXPECT(ctx, !sum.killed);
	return 0;
}

KTEST(work_cache_pressure, .summary = "CachePressure strides through its buffer", ONE_CPU,
      .duration_ms = 600,
      .steps = KT_STEPS({ KT_SETUP(WORKER("large", KT_CACHE_PRESSURE, .kib = 1024),
				   WORKER("small", KT_CACHE_PRESSURE, .kib = 128),
				   WORKER("sparse", KT_CACHE_PRESSURE, .kib = 1024, .stride = 512)),
			  .hold = KT_HOLD_FULL }),
      .check = pressure_check);

static int cache_yield_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_GT(ctx, sum.iterations, 10);
	/*
	 * Each yield lets the other worker run. Without yields, there are only as many switches as
	 * ticks.
	 */
	KT_EXPECT_GT(ctx, sum.switches, sum.iterations / 4);
	return 0;
}

KTEST(work_cache_yield, .summary = "CacheYield strides and gives the CPU up", ONE_CPU,
      ALONE(KT_CACHE_YIELD, .workers = 2), .check = cache_yield_check);

static int cache_pipe_check(struct kt_ctx *ctx)
{
	size_t n;
	const struct kt_worker_report *reports = kt_worker_reports(ctx, &n);
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_ASSERT_EQ(ctx, n, 4);
	KT_EXPECT_GT(ctx, sum.iterations, 10);
	/* Two partners advance together, and independently of another pair. */
	for (size_t i = 0; i < n; i += 2) {
		KT_EXPECT_LE(ctx, reports[i].iterations, reports[i + 1].iterations + 1);
		KT_EXPECT_LE(ctx, reports[i + 1].iterations, reports[i].iterations + 1);
	}
	/*
	 * On one CPU, the first of two partners waits for the other, unless it was preempted at
	 * that moment.
	 */
	KT_EXPECT_GT(ctx, used().ru_nvcsw, sum.iterations / 4);
	KT_EXPECT_GT(ctx, sum.n_latencies, sum.iterations / 8);
	KT_EXPECT(ctx, !sum.killed);
	return 0;
}

KTEST(work_cache_pipe, .summary = "CachePipe's partners wait for each other's byte", ONE_CPU,
      ALONE(KT_CACHE_PIPE, .workers = 4), .check = cache_pipe_check);

KTEST(work_cache_pipe_threads, .summary = "CachePipe's partners can be threads", ONE_CPU,
      ALONE(KT_CACHE_PIPE, .workers = 4, .threads = true), .check = cache_pipe_check);

/* ---- page faults ----------------------------------------------------------------------------- */

static int churn_check(struct kt_ctx *ctx, unsigned int touches)
{
	struct kt_worker_report sum;
	long faults = used().ru_minflt;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_GT(ctx, sum.iterations, sum.index);
	/*
	 * The last iteration of each worker may have been cut short. Each process has some more
	 * faults.
	 */
	KT_EXPECT_GE(ctx, faults, (sum.iterations - sum.index) * touches);
	KT_EXPECT_LE(ctx, faults, sum.iterations * touches + 500);
	return 0;
}

static int churn_default_check(struct kt_ctx *ctx)
{
	return churn_check(ctx, 256);
}

KTEST(work_page_fault_churn, .summary = "PageFaultChurn faults once for each page it touches",
      ONE_CPU, ALONE(KT_PAGE_FAULT_CHURN, .workers = 2), .check = churn_default_check);

static int churn_small_check(struct kt_ctx *ctx)
{
	return churn_check(ctx, 16);
}

KTEST(work_page_fault_churn_small, .summary = "PageFaultChurn touches as many pages as it is told",
      ONE_CPU, ALONE(KT_PAGE_FAULT_CHURN, .workers = 2, .kib = 64, .touches = 16, .threads = true),
      .check = churn_small_check);

/* ---- NUMA nodes ------------------------------------------------------------------------------ */

/* A counter of /proc/vmstat; -1 if it does not exist. */
static long long vmstat(const char *name)
{
	FILE *file = fopen("/proc/vmstat", "re");
	char line[128], found[64];
	long long value = -1, at;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%63s %lld", found, &at) == 2 && !strcmp(found, name))
			value = at;
	}
	if (file)
		(void)fclose(file);
	return value;
}

#define AWAY_PAGES  256u
#define SWEEP_PAGES 128u

static int sweep_check(struct kt_ctx *ctx)
{
	struct kt_worker_report home, away, sweep;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "home", &home));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "away", &away));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "sweep", &sweep));
	KT_EXPECT_GT(ctx, home.pages, 0);
	KT_EXPECT_EQ(ctx, home.local_pages, home.pages);
	KT_EXPECT_GT(ctx, away.pages, 0);
	KT_EXPECT_EQ(ctx, away.local_pages, 0);
	KT_EXPECT_GT(ctx, sweep.local_pages, 0);
	KT_EXPECT_LT(ctx, sweep.local_pages, sweep.pages);
	/*
	 * The first move is to the node that the memory is on. Each page of a later move migrates.
	 */
	KT_EXPECT_GE(ctx, vmstat("pgmigrate_success"), AWAY_PAGES + sweep.pages - SWEEP_PAGES);
	return 0;
}

#define SWEEP(cgroup, pages, ...)                                                                  \
	WORKER(cgroup, KT_NUMA_SWEEP, .kib = (pages)*4, .period_ms = 20,                           \
	       .affinity = KT_EXACT_CPUS(KT_CPUSET_NUMA(0)), __VA_ARGS__)

KTEST(work_numa_sweep, .summary = "NumaSweep moves its pages to the nodes it is told",
      .topology = { .numa_nodes = 2, .llcs = 2, .cores = 1 }, .duration_ms = 800,
      .steps = KT_STEPS({ KT_SETUP(SWEEP("home", 64, .nodes = "0"),
				   SWEEP("away", AWAY_PAGES, .nodes = "1"),
				   SWEEP("sweep", SWEEP_PAGES, .nodes = NULL)),
			  .hold = KT_HOLD_FULL }),
      .check = sweep_check);
