/* SPDX-License-Identifier: MIT */
/* Work on files, proved by the kernel's counts of reads and writes, and by its tracepoints. */
#include <ktest.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define ONE_CPU .topology = { .llcs = 1, .cores = 1 }
#define TRACING "/sys/kernel/tracing/"

/* What PID 1 and the processes that it has reaped have read and written (proc(5)). */
struct io {
	unsigned long long rchar, wchar, syscr, syscw;
};

static struct io io_of_workers(void)
{
	FILE *file = fopen("/proc/self/io", "re");
	struct io io = { 0 };

	if (!file)
		return io;
	if (fscanf(file, "rchar: %llu wchar: %llu syscr: %llu syscw: %llu", &io.rchar, &io.wchar,
		   &io.syscr, &io.syscw) != 4)
		io = (struct io){ 0 };
	(void)fclose(file);
	return io;
}

/* System calls whose entries can be traced, one bit of a tracer's argument for each. */
#define SYNCS  1u
#define READS  2u
#define WRITES 4u
static const char *const events[] = { "fdatasync", "pread64", "pwrite64" };

static bool trace_event(const char *event)
{
	char path[128];
	bool ok;
	int fd;

	(void)snprintf(path, sizeof(path), TRACING "events/syscalls/sys_enter_%s/enable", event);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ok = fd >= 0 && write(fd, "1", 1) == 1;
	if (fd >= 0)
		(void)close(fd);
	return ok;
}

/* Custom work of the step before: when it ends, the kernel traces these events. */
static void trace(struct kt_custom *worker)
{
	bool ok = true;

	for (unsigned int i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		if (kt_custom_arg(worker) & 1u << i)
			ok = trace_event(events[i]) && ok;
	if (ok)
		kt_custom_done(worker);
	while (!kt_custom_stopping(worker))
		kt_custom_sleep_us(worker, 1000);
}

#define TRACED(calls, type, ...)                                                                   \
	.duration_ms = 500,                                                                        \
	.steps = KT_STEPS({ KT_SETUP({ .name = "trace",                                            \
				       .work = KT_WORK(KT_CUSTOM, .workers = 1, .custom = trace,   \
						       .arg = (calls)) }),                         \
			    .hold = KT_HOLD_FRAC(0.4) },                                           \
			  { KT_SETUP({ .name = "w", .work = KT_WORK(type, __VA_ARGS__) }),         \
			    .hold = KT_HOLD_FRAC(0.6) })

/* Events in the ring of the only CPU, including those that newer ones have overwritten. */
static unsigned long long n_traced(void)
{
	FILE *file = fopen(TRACING "per_cpu/cpu0/stats", "re");
	unsigned long long entries = 0, overrun = 0;

	if (!file)
		return 0;
	if (fscanf(file, "entries: %llu overrun: %llu", &entries, &overrun) != 2)
		entries = overrun = 0;
	(void)fclose(file);
	return entries + overrun;
}

static int sync_write_check(struct kt_ctx *ctx)
{
	struct kt_worker_report tracer, sum;
	struct io io = io_of_workers();

	KT_ASSERT(ctx, kt_sum_reports(ctx, "trace", &tracer));
	KT_ASSERT_EQ(ctx, tracer.iterations, 1);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_GT(ctx, sum.iterations, 1);
	KT_EXPECT_GE(ctx, io.syscw, sum.iterations * 16);
	KT_EXPECT_LE(ctx, io.syscw, sum.iterations * 16 + 500);
	KT_EXPECT_GE(ctx, io.wchar, sum.iterations * 16 * 4096);
	KT_EXPECT_EQ(ctx, n_traced(), sum.iterations);
	return 0;
}

KTEST(work_io_sync_write, .summary = "IoSyncWrite syncs after 16 writes of 4 KiB", ONE_CPU,
      TRACED(SYNCS, KT_IO_SYNC_WRITE, .workers = 2), .check = sync_write_check);

#define READ_KIB  2048
#define READS_MAX 1000 /* so many are examined */

/* The reads of 4 KiB in the trace, counted by where they are relative to the one before. */
struct reads {
	unsigned int n, forward, backward, outside;
};

static struct reads look_into_trace(void)
{
	FILE *file = fopen(TRACING "trace", "re");
	struct reads reads = { 0 };
	char line[256];
	unsigned long pos, last = 0;

	while (file && reads.n < READS_MAX && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, "count: 0x1000, pos: ");

		if (!at)
			continue;
		pos = strtoul(at + strlen("count: 0x1000, pos: "), NULL, 0);
		reads.n++;
		reads.outside += pos % 4096 || pos >= READ_KIB * 1024ul;
		reads.forward += pos > last + 4096;
		reads.backward += pos < last;
		last = pos;
	}
	if (file)
		(void)fclose(file);
	return reads;
}

static int rand_read_check(struct kt_ctx *ctx)
{
	struct kt_worker_report tracer, sum;
	struct io io = io_of_workers();
	struct reads reads = look_into_trace();

	KT_ASSERT(ctx, kt_sum_reports(ctx, "trace", &tracer));
	KT_ASSERT_EQ(ctx, tracer.iterations, 1);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_GT(ctx, sum.iterations, 50);
	KT_EXPECT_GE(ctx, io.wchar, READ_KIB * 1024);
	KT_EXPECT_GE(ctx, io.rchar, sum.iterations * 4096);
	KT_EXPECT_GE(ctx, n_traced(), sum.iterations);
	/* Half of the reads are at a lower offset than the one before. */
	KT_ASSERT_GE(ctx, reads.n, sum.iterations < READS_MAX ? sum.iterations : READS_MAX);
	KT_EXPECT_EQ(ctx, reads.outside, 0);
	KT_EXPECT_GT(ctx, reads.forward, reads.n / 4);
	KT_EXPECT_GT(ctx, reads.backward, reads.n / 4);
	return 0;
}

KTEST(work_io_rand_read, .summary = "IoRandRead reads 4 KiB at random places of its file", ONE_CPU,
      TRACED(READS, KT_IO_RAND_READ, .workers = 1, .kib = READ_KIB), .check = rand_read_check);

/* What IoConvoy did, as the trace tells it up to READS_MAX reads. */
struct convoy {
	unsigned int writes, in_order;         /* writes, and those that follow the one before */
	unsigned int reads, forward, backward; /* reads, by where they are relative to it */
	unsigned int syncs, after_16;          /* syncs but the first, and those after 16 pairs */
	unsigned int pairs;                    /* writes followed by a read, since the last sync */
	unsigned long last_write, last_read;
	bool synced, wrote;
};

static void add_write(struct convoy *convoy, unsigned long pos)
{
	bool at_end = convoy->last_write == READ_KIB * 1024ul - 4096;

	convoy->writes++;
	convoy->in_order += pos == (at_end ? 0 : convoy->last_write + 4096);
	convoy->last_write = pos;
	convoy->wrote = true;
}

static void add_read(struct convoy *convoy, unsigned long pos)
{
	convoy->reads++;
	convoy->pairs += convoy->wrote;
	convoy->wrote = false;
	convoy->forward += pos > convoy->last_read + 4096;
	convoy->backward += pos < convoy->last_read;
	convoy->last_read = pos;
}

/* The trace may begin, and the worker's first sync come, at any place of a round. */
static void add_sync(struct convoy *convoy)
{
	convoy->syncs += convoy->synced;
	convoy->after_16 += convoy->synced && convoy->pairs == 16;
	convoy->synced = true;
	convoy->pairs = 0;
}

static struct convoy look_at_convoy(void)
{
	FILE *file = fopen(TRACING "trace", "re");
	struct convoy convoy = { 0 };
	char line[2048]; /* newer kernels show a part of what is written */

	while (file && convoy.reads < READS_MAX && fgets(line, sizeof(line), file)) {
		const char *at = strstr(line, "count: 0x1000, pos: ");
		unsigned long pos = at ? strtoul(at + strlen("count: 0x1000, pos: "), NULL, 0) : 0;

		if (!strstr(line, "IoConvoy-"))
			continue;
		if (at && strstr(line, "sys_pwrite64("))
			add_write(&convoy, pos);
		else if (at && strstr(line, "sys_pread64("))
			add_read(&convoy, pos);
		else if (strstr(line, "sys_fdatasync("))
			add_sync(&convoy);
	}
	if (file)
		(void)fclose(file);
	return convoy;
}

static int convoy_check(struct kt_ctx *ctx)
{
	struct kt_worker_report tracer, sum;
	struct io io = io_of_workers();
	struct convoy convoy = look_at_convoy();

	KT_ASSERT(ctx, kt_sum_reports(ctx, "trace", &tracer));
	KT_ASSERT_EQ(ctx, tracer.iterations, 1);
	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_GE(ctx, io.wchar, READ_KIB * 1024 + sum.iterations * 4096);
	KT_EXPECT_GE(ctx, io.rchar, sum.iterations * 4096);
	KT_EXPECT_GT(ctx, convoy.syncs, 2);
	KT_EXPECT_EQ(ctx, convoy.after_16, convoy.syncs);
	/* The first write of the trace follows none. */
	KT_EXPECT_GE(ctx, convoy.in_order + 1, convoy.writes);
	KT_EXPECT_GT(ctx, convoy.writes, 50);
	KT_EXPECT_GT(ctx, convoy.reads, 50);
	KT_EXPECT_GT(ctx, convoy.forward, convoy.reads / 4);
	KT_EXPECT_GT(ctx, convoy.backward, convoy.reads / 4);
	return 0;
}

KTEST(work_io_convoy, .summary = "IoConvoy writes in order, reads at random places, syncs after 16",
      ONE_CPU, TRACED(SYNCS | READS | WRITES, KT_IO_CONVOY, .workers = 1, .kib = READ_KIB),
      .check = convoy_check);
