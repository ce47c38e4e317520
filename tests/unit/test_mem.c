/* SPDX-License-Identifier: MIT */
/* A guest's memory: whatever holds it, nothing outside of it is reached. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "tests/unit/tiny_guest.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "vmm/mem.h"

UNIT_SUITE(mem);

#define GIB (UINT64_C(1) << 30)

Test(mem, ram_is_split_where_the_machine_splits_it)
{
	static const struct {
		uint64_t ram, low, high;
	} cases[] = {
		{ GIB / 2, GIB / 2, 0 },
		{ 11 * GIB / 4 - 1, 11 * GIB / 4 - 1, 0 },
		{ 11 * GIB / 4, 2 * GIB, 3 * GIB / 4 },
		{ 4 * GIB, 2 * GIB, 2 * GIB },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_mem_layout layout = kt_mem_layout(cases[i].ram);

		cr_assert(eq(u64, layout.low_len, cases[i].low), "case %zu", i);
		cr_assert(eq(u64, layout.high_len, cases[i].high), "case %zu", i);
	}
}

/* Guests of 3 GiB have RAM at 0..2 GiB and 4..5 GiB. */
#define RAM_LEN (3 * GIB)

static void check_refused(const struct kt_mem *mem, uint64_t gpa, size_t len, uint64_t named)
{
	uint8_t bytes[16], untouched[16], before[16] = "", after[16] = "";
	size_t n_good = named - gpa < 16 ? (size_t)(named - gpa) : 0;
	char address[32];
	struct kt_err err = KT_ERR_NULL;

	(void)snprintf(address, sizeof(address), "0x%" PRIx64 " ", named);
	memset(bytes, 0xee, sizeof(bytes));
	memset(untouched, 0xee, sizeof(untouched));
	cr_assert(eq(int, kt_mem_read(mem, gpa, bytes, len, &err), -EFAULT), "0x%" PRIx64, gpa);
	cr_assert(zero(int, memcmp(bytes, untouched, sizeof(bytes))), "0x%" PRIx64, gpa);
	cr_assert(strstr(err.text, address) != NULL, "0x%" PRIx64 ": %s", gpa, err.text);
	err = KT_ERR_NULL;
	cr_assert(zero(int, kt_mem_read(mem, gpa, before, n_good, NULL)));
	cr_assert(eq(int, kt_mem_write(mem, gpa, bytes, len, &err), -EFAULT), "0x%" PRIx64, gpa);
	cr_assert(strstr(err.text, address) != NULL, "0x%" PRIx64 ": %s", gpa, err.text);
	cr_assert(zero(int, kt_mem_read(mem, gpa, after, n_good, NULL)));
	cr_assert(zero(int, memcmp(before, after, sizeof(after))), "0x%" PRIx64, gpa);
}

static void check_works(const struct kt_mem *mem, uint64_t gpa, size_t len)
{
	uint8_t bytes[16], back[16] = "";

	for (size_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)(gpa >> 28 ^ (i + 1));
	cr_assert(zero(int, kt_mem_write(mem, gpa, bytes, len, NULL)), "0x%" PRIx64, gpa);
	cr_assert(zero(int, kt_mem_read(mem, gpa, back, len, NULL)), "0x%" PRIx64, gpa);
	cr_assert(zero(int, memcmp(bytes, back, len)), "0x%" PRIx64, gpa);
}

static void check_bounds(const struct kt_mem *mem)
{
	static const struct {
		uint64_t gpa;
		size_t len;
		uint64_t named; /* the first address that is not RAM */
	} refused[] = {
		{ 2 * GIB, 1, 2 * GIB },
		{ 2 * GIB - 4, 8, 2 * GIB },
		{ 3 * GIB, 8, 3 * GIB },
		{ 4 * GIB - 4, 8, 4 * GIB - 4 },
		{ 5 * GIB, 1, 5 * GIB },
		{ 5 * GIB - 4, 8, 5 * GIB },
		{ UINT64_MAX - 1, 8, UINT64_MAX - 1 },
		{ UINT64_MAX, 1, UINT64_MAX },
		{ 0, SIZE_MAX, 2 * GIB },
		{ 4 * GIB, SIZE_MAX, 5 * GIB },
	};
	static const uint64_t nothing[] = { 0, 2 * GIB, 3 * GIB, 5 * GIB, UINT64_MAX - 1 };
	char byte = 'x';

	for (size_t i = 0; i < KT_ARRAY_LEN(refused); i++)
		check_refused(mem, refused[i].gpa, refused[i].len, refused[i].named);
	check_works(mem, 0, 8);
	check_works(mem, 3 * GIB / 2 - 4, 8); /* where the second node's RAM begins */
	check_works(mem, 2 * GIB - 8, 8);
	check_works(mem, 4 * GIB, 8);
	check_works(mem, 5 * GIB - 8, 8);
	for (size_t i = 0; i < KT_ARRAY_LEN(nothing); i++) {
		cr_assert(zero(int, kt_mem_read(mem, nothing[i], &byte, 0, NULL)));
		cr_assert(zero(int, kt_mem_write(mem, nothing[i], &byte, 0, NULL)));
		cr_assert(eq(int, byte, 'x'));
	}
}

/* A RAM file that is empty except for two words, at 0x1000 and at 4 GiB + 0x1000. */
static int new_ram(void)
{
	int fd = new_memfd();

	cr_assert(zero(int, ftruncate(fd, (off_t)RAM_LEN)));
	cr_assert(eq(long, pwrite(fd, "low", 4, 0x1000), 4));
	cr_assert(eq(long, pwrite(fd, "high", 5, (off_t)(2 * GIB + 0x1000)), 5));
	return fd;
}

static void check_words(const struct kt_mem *mem)
{
	char word[8];

	cr_assert(zero(int, kt_mem_read(mem, 0x1000, word, sizeof(word), NULL)));
	cr_assert(eq(str, word, "low"));
	cr_assert(zero(int, kt_mem_read(mem, KT_MEM_HIGH + 0x1000, word, sizeof(word), NULL)));
	cr_assert(eq(str, word, "high"));
}

Test(mem, nothing_outside_a_mapped_file_is_reached)
{
	struct kt_mem mem = KT_MEM_NULL;
	int fd = new_ram();

	cr_assert(zero(int, kt_mem_map_file(&mem, fd, RAM_LEN, NULL)));
	cr_assert(zero(int, mem.pid));
	check_words(&mem);
	check_bounds(&mem);
	cr_assert(zero(int, kt_mem_write(&mem, KT_MEM_HIGH + 0x2000, "\xcd\xab\0\0", 4, NULL)));
	cr_assert(eq(u32, peek_file(fd, 2 * GIB + 0x2000), 0xabcd));
	kt_mem_deinit(&mem);
	(void)close(fd);
}

/*
 * A process that maps @fd privately as the memory of two nodes, and exits with the byte at 0x3000.
 */
static pid_t start_owner(int fd, const int *until_closed)
{
	const int flags = MAP_PRIVATE | MAP_NORESERVE, access = PROT_READ | PROT_WRITE;
	pid_t pid;
	char end;

	pid = fork();
	if (pid == 0) {
		const char *second = mmap(NULL, RAM_LEN / 2, access, flags, fd, RAM_LEN / 2);
		const char *first = mmap(NULL, RAM_LEN / 2, access, flags, fd, 0);

		(void)close(until_closed[1]);
		if (first == MAP_FAILED || second == MAP_FAILED)
			_exit(255);
		(void)read(until_closed[0], &end, 1);
		_exit(*(const volatile uint8_t *)(first + 0x3000));
	}
	return pid;
}

/* The owner maps it some time after its start. */
static void find_in(pid_t pid, int fd, struct kt_mem *mem)
{
	uint64_t deadline_ns = kt_now_ns() + VM_PATIENCE;
	struct kt_err err = KT_ERR_NULL;

	while (kt_mem_find_in_process(mem, pid, fd, RAM_LEN, &err) == -ENXIO) {
		cr_assert(lt(u64, kt_now_ns(), deadline_ns), "timed out waiting for RAM: %s",
			  err.text);
		(void)kt_poll(NULL, 0, kt_now_ns() + KT_NSEC_PER_MSEC);
	}
	cr_assert(eq(int, mem->pid, pid), "%s", err.text);
}

Test(mem, nothing_outside_another_processs_ram_is_reached)
{
	struct kt_mem mem = KT_MEM_NULL;
	int fd = new_ram(), until_closed[2], status;
	char byte = 0x5a;
	pid_t pid;

	cr_assert(zero(int, pipe(until_closed)));
	pid = start_owner(fd, until_closed);
	find_in(pid, fd, &mem);
	check_words(&mem);
	check_bounds(&mem);
	cr_assert(zero(int, kt_mem_write(&mem, 0x3000, &byte, 1, NULL)));
	cr_assert(zero(u32, peek_file(fd, 0x3000)), "the file is not changed");
	(void)close(until_closed[1]);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_assert(eq(int, WEXITSTATUS(status), 0x5a), "it is the process's own memory");
	cr_assert(eq(int, kt_mem_read(&mem, 0x3000, &byte, 1, NULL), -ESRCH));
	kt_mem_deinit(&mem);
	(void)close(until_closed[0]);
	(void)close(fd);
}

/* Expects the next data at or above *@at to hold @gpa, and moves *@at behind it. */
static void expect_data(const struct kt_mem *mem, uint64_t *at, uint64_t gpa)
{
	uint64_t from = 0, len = 0;

	cr_assert(zero(int, kt_mem_data(mem, *at, &from, &len)));
	cr_assert(le(u64, from, gpa));
	cr_assert(lt(u64, gpa - from, len));
	cr_assert(lt(u64, len, 1u << 20), "holes are left out");
	*at = from + len;
}

Test(mem, data_are_those_of_the_file_and_of_the_process)
{
	struct kt_mem mem = KT_MEM_NULL;
	struct kt_err err = KT_ERR_NULL;
	int fd = memfd_create("ram", MFD_CLOEXEC);
	uint64_t at = 0, from, len;
	char *ram;

	cr_assert(zero(int, ftruncate(fd, RAM_LEN)));
	cr_assert(eq(int, (int)pwrite(fd, "x", 1, 4 << 20), 1));
	ram = mmap(NULL, RAM_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	cr_assert(ne(ptr, ram, MAP_FAILED));
	cr_assert(zero(int, kt_mem_find_in_process(&mem, getpid(), fd, RAM_LEN, &err)), "%s",
		  err.text);
	ram[1 << 20] = 'x';
	ram[8 << 20] = 'x';
	ram[(UINT64_C(2) << 30) + 0x5000] = 'x';
	expect_data(&mem, &at, 1 << 20);
	expect_data(&mem, &at, 4 << 20);
	expect_data(&mem, &at, 8 << 20);
	expect_data(&mem, &at, KT_MEM_HIGH + 0x5000);
	cr_assert(eq(int, kt_mem_data(&mem, at, &from, &len), -ENXIO));
	kt_mem_deinit(&mem);
	(void)munmap(ram, RAM_LEN);
	(void)close(fd);
}

/* Copies of a batch over the boundary of two regions, and one of them outside of the RAM. */
Test(mem, a_batch_is_copied_whole_or_not_at_all)
{
	struct kt_mem mem = KT_MEM_NULL;
	char a[3] = "", b[5] = "";
	struct kt_mem_piece pieces[] = { { 0x1000, a, 2 }, { 0x2000, b, 4 } };
	struct kt_err err = KT_ERR_NULL;
	int fd = new_ram();

	cr_assert(zero(int, kt_mem_map_file(&mem, fd, RAM_LEN, NULL)));
	cr_assert(zero(int, kt_mem_write(&mem, 0x1000, "ab", 2, NULL)));
	cr_assert(zero(int, kt_mem_write(&mem, 0x2000, "cdef", 4, NULL)));
	cr_assert(zero(int, kt_mem_readv(&mem, pieces, 2, &err)));
	cr_assert(eq(str, a, "ab"));
	cr_assert(eq(str, b, "cdef"));
	a[0] = 'x';
	pieces[1].gpa = KT_MEM_HIGH - 2;
	cr_assert(eq(int, kt_mem_writev(&mem, pieces, 2, &err), -EFAULT));
	a[0] = 0;
	cr_assert(zero(int, kt_mem_read(&mem, 0x1000, a, 2, NULL)));
	cr_assert(eq(str, a, "ab"), "nothing was written");
	kt_mem_deinit(&mem);
	(void)close(fd);
}

Test(mem, a_process_without_all_of_the_ram_is_refused)
{
	struct kt_mem mem = KT_MEM_NULL;
	struct kt_err err = KT_ERR_NULL;
	int fd = new_ram();
	void *half = mmap(NULL, RAM_LEN / 2, PROT_READ, MAP_PRIVATE, fd, 0);

	cr_assert(ne(ptr, half, MAP_FAILED));
	cr_assert(eq(int, kt_mem_find_in_process(&mem, getpid(), fd, RAM_LEN, &err), -ENXIO));
	cr_assert(strstr(err.text, "1610612736 of 3221225472") != NULL, "%s", err.text);
	(void)munmap(half, RAM_LEN / 2);
	(void)close(fd);
}
