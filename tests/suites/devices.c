/* SPDX-License-Identifier: MIT */
/* The disk and the network cards of a machine, and the work on them. */
#include <ktest.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define DISK_MIB  16
#define BLOCK_LEN 4096
#define SECTORS   (BLOCK_LEN / 512) /* of a block; the kernel counts these */

/* All tests share a machine, and so a template. */
#define DEVICES .disk_mib = DISK_MIB, .net = true

static char block[BLOCK_LEN] __attribute__((aligned(BLOCK_LEN)));

/* What the kernel counts of the disk (Documentation/block/stat.rst). */
struct disk_stat {
	unsigned long long reads, read_sectors, writes, written_sectors;
};

static bool read_disk_stat(struct disk_stat *stat_)
{
	struct stat st;
	char path[64];
	FILE *file;
	int n = 0;

	if (stat(KT_DISK_PATH, &st) < 0)
		return false;
	(void)snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/stat", major(st.st_rdev),
		       minor(st.st_rdev));
	file = fopen(path, "re");
	if (file) {
		n = fscanf(file, "%llu %*u %llu %*u %llu %*u %llu", &stat_->reads,
			   &stat_->read_sectors, &stat_->writes, &stat_->written_sectors);
		(void)fclose(file);
	}
	return n == 4;
}

static void fill(unsigned int number)
{
	for (unsigned int i = 0; i < BLOCK_LEN; i++)
		block[i] = (char)(number * 31 + i % 251);
}

/* How many bytes of the block are not what fill() makes them. */
static unsigned int n_wrong(unsigned int number)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < BLOCK_LEN; i++)
		n += block[i] != (char)(number * 31 + i % 251);
	return n;
}

/* Past the page cache: what is read has been on the disk. */
static int disk_run(struct kt_ctx *ctx)
{
	const unsigned int at[] = { 0, 1, 100, DISK_MIB * 256 - 1 };
	struct disk_stat before, after;
	int fd = open(KT_DISK_PATH, O_RDWR | O_DIRECT | O_CLOEXEC);

	KT_ASSERT_GE(ctx, fd, 0);
	KT_ASSERT(ctx, read_disk_stat(&before));
	KT_EXPECT_EQ(ctx, lseek(fd, 0, SEEK_END), DISK_MIB << 20);
	KT_EXPECT_EQ(ctx, pread(fd, block, BLOCK_LEN, 8 << 20), BLOCK_LEN);
	KT_EXPECT_EQ(ctx, block[0], 0);
	KT_EXPECT(ctx, !memcmp(block, block + 1, BLOCK_LEN - 1));
	for (unsigned int i = 0; i < 4; i++) {
		fill(at[i]);
		KT_EXPECT_EQ(ctx, pwrite(fd, block, BLOCK_LEN, (off_t)at[i] * BLOCK_LEN),
			     BLOCK_LEN);
	}
	KT_EXPECT_EQ(ctx, fdatasync(fd), 0);
	for (unsigned int i = 0; i < 4; i++) {
		memset(block, 0, BLOCK_LEN);
		KT_EXPECT_EQ(ctx, pread(fd, block, BLOCK_LEN, (off_t)at[i] * BLOCK_LEN), BLOCK_LEN);
		KT_EXPECT_EQ(ctx, n_wrong(at[i]), 0);
	}
	(void)close(fd);
	KT_ASSERT(ctx, read_disk_stat(&after));
	KT_EXPECT_EQ(ctx, after.written_sectors - before.written_sectors, 4 * SECTORS);
	KT_EXPECT_EQ(ctx, after.read_sectors - before.read_sectors, 5 * SECTORS);
	return 0;
}

KTEST(disk, .summary = "what is written to the disk is read back from it", DEVICES,
      .run = disk_run);

static int no_devices_run(struct kt_ctx *ctx)
{
	KT_EXPECT(ctx, access(KT_DISK_PATH, F_OK) < 0);
	KT_EXPECT(ctx, access("/sys/class/net/eth0", F_OK) < 0);
	return 0;
}

KTEST(no_devices, .summary = "a machine has no disk and no cards unless its test asks for them",
      .run = no_devices_run);

/* The work is alone on the disk, and begins with a disk that nobody has used. */
#define ON_DISK(type, ...)                                                                         \
	DEVICES,                                                                                   \
		.duration_ms = 200,                                                                \
		.steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(type, __VA_ARGS__) }), \
				    .hold = KT_HOLD_FRAC(1.0) })

static int sync_write_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;
	struct disk_stat now;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_ASSERT(ctx, read_disk_stat(&now));
	KT_EXPECT_GT(ctx, sum.iterations, 1);
	KT_EXPECT_GE(ctx, now.writes, sum.iterations * 16);
	KT_EXPECT_GE(ctx, now.written_sectors, sum.iterations * 16 * SECTORS);
	KT_EXPECT_LE(ctx, now.written_sectors, (sum.iterations + 2) * 16 * SECTORS);
	return 0;
}

KTEST(disk_sync_write, .summary = "each write of IoSyncWrite is on the disk before the next",
      ON_DISK(KT_IO_SYNC_WRITE, .workers = 2), .check = sync_write_check);

/* A worker that is stopped may have been in its next iteration. */
static int rand_read_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;
	struct disk_stat now;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_ASSERT(ctx, read_disk_stat(&now));
	KT_EXPECT_GT(ctx, sum.iterations, 20);
	KT_EXPECT_GE(ctx, now.reads, sum.iterations);
	KT_EXPECT_GE(ctx, now.read_sectors, sum.iterations * SECTORS);
	KT_EXPECT_EQ(ctx, now.writes, 0);
	return 0;
}

KTEST(disk_rand_read, .summary = "each read of IoRandRead is a request to the disk",
      ON_DISK(KT_IO_RAND_READ, .workers = 2, .kib = 1024), .check = rand_read_check);

static int convoy_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;
	struct disk_stat now;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_ASSERT(ctx, read_disk_stat(&now));
	KT_EXPECT_GT(ctx, sum.iterations, 20);
	KT_EXPECT_GE(ctx, now.reads, sum.iterations);
	KT_EXPECT_GE(ctx, now.writes, sum.iterations);
	KT_EXPECT_LE(ctx, now.writes, sum.iterations + 2);
	return 0;
}

KTEST(disk_convoy, .summary = "IoConvoy reads the disk as often as it writes it",
      ON_DISK(KT_IO_CONVOY, .workers = 2, .kib = 1024), .check = convoy_check);

/* ---- network cards ---- */

/* The name of the interrupt of eth1 in /proc/interrupts: "virtio1-input.0". */
static void name_interrupt(char *name, size_t size)
{
	char device[256] = "";
	ssize_t len = readlink("/sys/class/net/eth1/device", device, sizeof(device) - 1);
	const char *slash;

	device[len > 0 ? len : 0] = '\0';
	slash = strrchr(device, '/');
	(void)snprintf(name, size, "%.32s-input.0", slash ? slash + 1 : "none");
}

/* Interrupts of eth1 on a CPU since the machine was made. */
static unsigned long long n_interrupts(unsigned int cpu)
{
	FILE *file = fopen("/proc/interrupts", "re");
	unsigned long long n = 0;
	char line[512], name[64];

	name_interrupt(name, sizeof(name));
	while (file && fgets(line, sizeof(line), file)) {
		char *at = strchr(line, ':');

		if (!at++ || !strstr(line, name))
			continue;
		for (unsigned int i = 0; i <= cpu; i++)
			n = strtoull(at, &at, 10);
	}
	if (file)
		(void)fclose(file);
	return n;
}

static unsigned long long n_received(void)
{
	FILE *file = fopen("/sys/class/net/eth1/statistics/rx_packets", "re");
	unsigned long long n = 0;

	if (file && fscanf(file, "%llu", &n) != 1)
		n = 0;
	if (file)
		(void)fclose(file);
	return n;
}

#define ON_NET(type, ...)                                                                          \
	DEVICES,                                                                                   \
		.duration_ms = 200,                                                                \
		.steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(type, __VA_ARGS__) }), \
				    .hold = KT_HOLD_FRAC(1.0) })

static int traffic_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_GT(ctx, sum.iterations, 20);
	/* The last frame of each worker may be on its way. */
	KT_EXPECT_GE(ctx, n_received() + 2, sum.iterations);
	KT_EXPECT_LE(ctx, n_received(), sum.iterations + 2);
	KT_EXPECT_GE(ctx, n_interrupts(0) + n_interrupts(1), sum.iterations / 8);
	return 0;
}

KTEST(net_traffic, .summary = "what NetTraffic sends arrives at the other card, by interrupts",
      ON_NET(KT_NET_TRAFFIC, .workers = 2, .frame_bytes = 1514), .check = traffic_check);

static int wake_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_GT(ctx, sum.iterations, 20);
	KT_EXPECT_EQ(ctx, sum.n_latencies, sum.iterations);
	KT_EXPECT_GE(ctx, n_received(), sum.iterations);
	/* One frame at a time, an interval apart: each needs an interrupt of its own. */
	KT_EXPECT_GE(ctx, n_interrupts(0) + n_interrupts(1), sum.iterations);
	return 0;
}

KTEST(net_irq_wake, .summary = "each frame of IrqWake wakes its worker by an interrupt",
      ON_NET(KT_IRQ_WAKE, .workers = 1, .interval_us = 2000), .check = wake_check);
