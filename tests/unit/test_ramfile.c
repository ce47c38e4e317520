/* SPDX-License-Identifier: MIT */
/* Files of RAM: their hashes, holes and copies. */
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/leaks.h"
#include "tests/unit/tiny_guest.h"
#include "vmm/ramfile.h"

UNIT_SUITE(ramfile);

#define PAGE             4096
#define FILE_LEN         (256 * PAGE)
#define BLOCKS_OF(pages) ((pages)*PAGE / 512)

/* Two pages are not zero. The others are holes, or are written with zeroes. */
static int new_ramfile(bool with_holes)
{
	static const char zeroes[FILE_LEN];
	int fd = new_memfd();

	cr_assert(zero(int, ftruncate(fd, FILE_LEN)));
	if (!with_holes)
		cr_assert(eq(long, pwrite(fd, zeroes, FILE_LEN, 0), FILE_LEN));
	cr_assert(eq(long, pwrite(fd, "first", 5, 7 * PAGE), 5));
	cr_assert(eq(long, pwrite(fd, "last", 4, FILE_LEN - 4), 4));
	return fd;
}

static long blocks_of(int fd)
{
	struct stat st;

	cr_assert(zero(int, fstat(fd, &st)));
	cr_assert(eq(long, st.st_size, FILE_LEN));
	return st.st_blocks;
}

static uint64_t hash_of(int fd)
{
	uint64_t hash = 0, used = 0;

	cr_assert(zero(int, kt_ramfile_hash(fd, &hash, &used)));
	cr_assert(eq(u64, used, 2 * PAGE));
	return hash;
}

Test(ramfile, a_hash_is_of_the_contents_and_not_of_the_holes)
{
	int sparse = new_ramfile(true), full = new_ramfile(false);
	uint64_t hash = hash_of(sparse);
	char page[PAGE] = "first";

	cr_assert(eq(long, blocks_of(sparse), BLOCKS_OF(2)));
	cr_assert(eq(long, blocks_of(full), BLOCKS_OF(256)));
	cr_assert(eq(u64, hash_of(full), hash));
	cr_assert(eq(long, pwrite(sparse, "F", 1, 7 * PAGE), 1));
	cr_assert(ne(u64, hash_of(sparse), hash), "another byte");
	cr_assert(eq(long, pwrite(full, "\0\0\0\0\0", 5, 7 * PAGE), 5));
	cr_assert(eq(long, pwrite(full, page, PAGE, 8 * PAGE), PAGE));
	cr_assert(ne(u64, hash_of(full), hash), "another place");
	(void)close(sparse);
	(void)close(full);
}

Test(ramfile, punching_makes_holes_of_zeroes_and_nothing_else)
{
	int fd = new_ramfile(false);
	uint64_t hash = hash_of(fd);

	kt_ramfile_punch(fd);
	cr_assert(eq(long, blocks_of(fd), BLOCKS_OF(2)));
	cr_assert(eq(u64, hash_of(fd), hash));
	(void)close(fd);
}

Test(ramfile, a_copy_has_the_contents_and_the_holes)
{
	int fd = new_ramfile(true), copy = new_memfd();
	char *a, *b;

	cr_assert(zero(int, kt_ramfile_copy(fd, copy)));
	cr_assert(eq(long, blocks_of(copy), BLOCKS_OF(2)));
	a = mmap(NULL, FILE_LEN, PROT_READ, MAP_SHARED, fd, 0);
	b = mmap(NULL, FILE_LEN, PROT_READ, MAP_SHARED, copy, 0);
	cr_assert(zero(int, memcmp(a, b, FILE_LEN)));
	(void)munmap(a, FILE_LEN);
	(void)munmap(b, FILE_LEN);
	(void)close(fd);
	(void)close(copy);
}
