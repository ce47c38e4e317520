/* SPDX-License-Identifier: MIT */
/*
 * Work on files in /tmp, which is a tmpfs: no disk is involved, so what these types load is the
 * page cache and the system calls. IoSyncWrite and IoConvoy mark their fdatasync(2) as a wait.
 * Reads and writes never wait, and no type records latencies.
 */
#include "guest/worker/type.h"

#include <fcntl.h>
#include <unistd.h>

#include "util/cleanup.h"

#define DIR         "/tmp"
#define BLOCK_LEN   4096u  /* bytes of one read or write */
#define SYNC_BLOCKS 16u    /* writes between two fdatasync(2) */
#define DEFAULT_KIB 16384u /* of the file that is read */

/* A file without a name: the kernel frees it with its last descriptor, however the worker ends. */
static int open_file(const struct kt_worker *worker)
{
	int fd = open(DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		kt_worker_fail(worker, "a file in " DIR);
	return fd;
}

static void write_block(struct kt_worker *worker, int fd, uint64_t block)
{
	char data[BLOCK_LEN] = { (char)block };

	if (pwrite(fd, data, BLOCK_LEN, (off_t)(block * BLOCK_LEN)) != BLOCK_LEN)
		kt_worker_fail(worker, "writing to a file in " DIR);
}

static void read_random_block(struct kt_worker *worker, int fd, uint64_t n_blocks)
{
	char data[BLOCK_LEN];
	uint64_t block = kt_worker_random(worker) % n_blocks;

	/* No block or unblock: a read from tmpfs copies memory and does not sleep. */
	if (pread(fd, data, BLOCK_LEN, (off_t)(block * BLOCK_LEN)) != BLOCK_LEN)
		kt_worker_fail(worker, "reading from a file in " DIR);
}

static void sync_file(struct kt_worker *worker, int fd)
{
	kt_worker_block(worker);
	if (fdatasync(fd) < 0)
		kt_worker_fail(worker, "fdatasync of a file in " DIR);
	kt_worker_unblock(worker);
}

/* Writes the same blocks again and again, so the file does not grow. */
static void io_sync_write(struct kt_worker *worker)
{
	int fd = open_file(worker);

	while (!kt_worker_stopping(worker)) {
		for (unsigned int i = 0; i < SYNC_BLOCKS; i++)
			write_block(worker, fd, i);
		sync_file(worker, fd);
		kt_worker_done(worker);
	}
	(void)close(fd);
}

/* A hole in the file would be read as zeroes, without a page in the page cache. */
static void fill(struct kt_worker *worker, int fd, uint64_t n_blocks)
{
	for (uint64_t i = 0; i < n_blocks && !kt_worker_stopping(worker); i++) {
		write_block(worker, fd, i);
		kt_worker_tick(worker);
	}
}

static uint64_t file_blocks(const struct kt_worker *worker)
{
	return (worker->work->kib ?: DEFAULT_KIB) * UINT64_C(1024) / BLOCK_LEN;
}

static void io_rand_read(struct kt_worker *worker)
{
	uint64_t n_blocks = file_blocks(worker);
	int fd = open_file(worker);

	fill(worker, fd, n_blocks);
	while (!kt_worker_stopping(worker)) {
		read_random_block(worker, fd, n_blocks);
		kt_worker_done(worker);
	}
	(void)close(fd);
}

/* The writes go through the file in order, and begin again at its end. */
static void io_convoy(struct kt_worker *worker)
{
	uint64_t n_blocks = file_blocks(worker);
	int fd = open_file(worker);

	fill(worker, fd, n_blocks);
	for (uint64_t n = 0; !kt_worker_stopping(worker); n++) {
		write_block(worker, fd, n % n_blocks);
		read_random_block(worker, fd, n_blocks);
		if (n % SYNC_BLOCKS == SYNC_BLOCKS - 1)
			sync_file(worker, fd);
		kt_worker_done(worker);
	}
	(void)close(fd);
}

static const char *file_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	return work->kib && work->kib < BLOCK_LEN / 1024 ? ".kib is less than one read of 4 KiB"
							 : NULL;
}

const struct kt_work_ops kt_file_works[KT_N_WORK_TYPES] = {
	[KT_IO_SYNC_WRITE] = { .name = "IoSyncWrite", .body = io_sync_write },
	[KT_IO_RAND_READ] = { .name = "IoRandRead", .body = io_rand_read, .fault = file_fault },
	[KT_IO_CONVOY] = { .name = "IoConvoy", .body = io_convoy, .fault = file_fault },
};
