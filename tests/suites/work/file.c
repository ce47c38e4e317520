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

/* Custom work of the step before: when it ends, the kernel traces these events. */
static void trace(struct kt_custom *worker)
{
	static const char *const events[] = { "sys_enter_fdatasync", "sys_enter_pread64" };
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), TRACING "events/syscalls/%s/enable",
		       events[kt_custom_arg(worker)]);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "1", 1) == 1)
		kt_custom_done(worker);
	while (!kt_custom_stopping(worker))
		kt_custom_sleep_us(worker, 1000);
}

#define TRACED(event, type, ...)                                                                   \
	.duration_ms = 500,                                                                        \
	.steps = KT_STEPS({ KT_SETUP({ .name = "trace",                                            \
				       .work = KT_WORK(KT_CUSTOM, .workers = 1, .custom = trace,   \
						       .arg = (event)) }),                         \
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
      TRACED(0, KT_IO_SYNC_WRITE, .workers = 2), .check = sync_write_check);

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
      TRACED(1, KT_IO_RAND_READ, .workers = 1, .kib = READ_KIB), .check = rand_read_check);
