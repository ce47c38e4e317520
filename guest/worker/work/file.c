/* SPDX-License-Identifier: MIT */
/*
 * Work on the disk of the machine (.disk_mib). A machine without one has a file in /tmp instead,
 * which is a tmpfs: what these types load then is the page cache and the system calls, and only
 * fdatasync(2) is marked as a wait.
 *
 * On the disk every request waits until the device has answered, and is marked as a wait: writes of
 * IoSyncWrite are synchronous, and the other types bypass the page cache. No type records
 * latencies.
 */
#include "guest/worker/type.h"

#include <fcntl.h>
#include <unistd.h>

#include <ktest/test.h>

#include "util/cleanup.h"

#define DIR         "/tmp"
#define BLOCK_LEN   4096u  /* bytes of one read or write */
#define SYNC_BLOCKS 16u    /* writes between two fdatasync(2) */
#define DEFAULT_KIB 16384u /* of the file that is read */

/* Where a worker reads and writes. */
struct file {
	int fd;
	bool waits;        /* each read and write waits for the device */
	uint64_t first;    /* block, of the worker's own part */
	uint64_t n_blocks; /* of that part */
};

/* A file without a name: the kernel frees it with its last descriptor, however the worker ends. */
static struct file open_tmpfs(const struct kt_worker *worker, uint64_t n_blocks)
{
	struct file file = { .n_blocks = n_blocks };

	file.fd = open(DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (file.fd < 0)
		kt_worker_fail(worker, "a file in " DIR);
	return file;
}

/*
 * Each worker has a part of the disk, the next behind the one before it, which begins again at the
 * disk's end. A disk with less than one part is used whole.
 */
static struct file open_file(const struct kt_worker *worker, uint64_t n_blocks, int flags)
{
	struct file file = { .waits = true };
	uint64_t disk_blocks;
	off_t len;

	if (access(KT_DISK_PATH, F_OK) < 0)
		return open_tmpfs(worker, n_blocks);
	file.fd = open(KT_DISK_PATH, O_RDWR | O_CLOEXEC | flags);
	len = file.fd < 0 ? -1 : lseek(file.fd, 0, SEEK_END);
	if (len < (off_t)BLOCK_LEN)
		kt_worker_fail(worker, "the disk " KT_DISK_PATH);
	disk_blocks = (uint64_t)len / BLOCK_LEN;
	file.n_blocks = KT_MIN(n_blocks, disk_blocks);
	file.first = worker->index % (disk_blocks / file.n_blocks) * file.n_blocks;
	return file;
}

static void begin_wait(struct kt_worker *worker, const struct file *file)
{
	if (file->waits)
		kt_worker_block(worker);
}

static void end_wait(struct kt_worker *worker, const struct file *file)
{
	if (file->waits)
		kt_worker_unblock(worker);
}

static void write_block(struct kt_worker *worker, const struct file *file, uint64_t block)
{
	_Alignas(BLOCK_LEN) char data[BLOCK_LEN] = { (char)block };
	off_t at = (off_t)((file->first + block) * BLOCK_LEN);

	begin_wait(worker, file);
	if (pwrite(file->fd, data, BLOCK_LEN, at) != BLOCK_LEN)
		kt_worker_fail(worker, "writing");
	end_wait(worker, file);
}

static void read_random_block(struct kt_worker *worker, const struct file *file)
{
	_Alignas(BLOCK_LEN) char data[BLOCK_LEN];
	uint64_t block = kt_worker_random(worker) % file->n_blocks;
	off_t at = (off_t)((file->first + block) * BLOCK_LEN);

	begin_wait(worker, file);
	if (pread(file->fd, data, BLOCK_LEN, at) != BLOCK_LEN)
		kt_worker_fail(worker, "reading");
	end_wait(worker, file);
}

static void sync_file(struct kt_worker *worker, const struct file *file)
{
	kt_worker_block(worker);
	if (fdatasync(file->fd) < 0)
		kt_worker_fail(worker, "fdatasync");
	kt_worker_unblock(worker);
}

/* Writes the same blocks again and again, so the file does not grow. */
static void io_sync_write(struct kt_worker *worker)
{
	struct file file = open_file(worker, SYNC_BLOCKS, O_SYNC);

	while (!kt_worker_stopping(worker)) {
		for (unsigned int i = 0; i < SYNC_BLOCKS; i++)
			write_block(worker, &file, i % file.n_blocks);
		sync_file(worker, &file);
		kt_worker_done(worker);
	}
	(void)close(file.fd);
}

/* A hole in a file of tmpfs would be read as zeroes, without a page in the page cache. */
static void fill(struct kt_worker *worker, const struct file *file)
{
	for (uint64_t i = 0; !file->waits && i < file->n_blocks; i++) {
		if (kt_worker_stopping(worker))
			return;
		write_block(worker, file, i);
		kt_worker_tick(worker);
	}
}

static uint64_t file_blocks(const struct kt_worker *worker)
{
	return (worker->work->kib ?: DEFAULT_KIB) * UINT64_C(1024) / BLOCK_LEN;
}

static void io_rand_read(struct kt_worker *worker)
{
	struct file file = open_file(worker, file_blocks(worker), O_DIRECT);

	fill(worker, &file);
	while (!kt_worker_stopping(worker)) {
		read_random_block(worker, &file);
		kt_worker_done(worker);
	}
	(void)close(file.fd);
}

/* The writes go through the file in order, and begin again at its end. */
static void io_convoy(struct kt_worker *worker)
{
	struct file file = open_file(worker, file_blocks(worker), O_DIRECT);

	fill(worker, &file);
	for (uint64_t n = 0; !kt_worker_stopping(worker); n++) {
		write_block(worker, &file, n % file.n_blocks);
		read_random_block(worker, &file);
		if (n % SYNC_BLOCKS == SYNC_BLOCKS - 1)
			sync_file(worker, &file);
		kt_worker_done(worker);
	}
	(void)close(file.fd);
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
