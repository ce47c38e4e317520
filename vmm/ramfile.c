/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "vmm/ramfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "util/cleanup.h"

#define PAGE_LEN 4096u

/*
 * A RAM file is mostly holes, so every walk through it follows SEEK_DATA and SEEK_HOLE and reads
 * only what the file system stores.
 */

static bool is_zero(const char *page)
{
	return !page[0] && !memcmp(page, page + 1, PAGE_LEN - 1);
}

/* Maps all of a RAM file for reading. */
static int map_whole(int fd, char **ret_map, uint64_t *ret_len)
{
	struct stat st;
	char *map;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size % PAGE_LEN)
		return -EINVAL;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	*ret_map = map;
	*ret_len = (uint64_t)st.st_size;
	return 0;
}

/*
 * Finds the next run of pages with data, from *@at on, and moves *@at past it. On a file system
 * with blocks smaller than a page, a page may be partly a hole; it is reported as data, and only
 * once.
 */
static bool next_data(int fd, off_t *at, off_t *ret_begin)
{
	off_t data = lseek(fd, *at, SEEK_DATA);
	off_t hole = data < 0 ? data : lseek(fd, data, SEEK_HOLE);

	if (hole < 0)
		return false;
	*ret_begin = KT_MAX(*at, data & -(off_t)PAGE_LEN);
	*at = (hole + PAGE_LEN - 1) & -(off_t)PAGE_LEN;
	return true;
}

struct digest {
	XXH3_state_t *state;
	uint64_t n_bytes;
};

/* The offset is hashed too: the same page elsewhere is another RAM. */
static void digest_page(struct digest *digest, uint64_t offset, const char *page)
{
	(void)XXH3_64bits_update(digest->state, &offset, sizeof(offset));
	(void)XXH3_64bits_update(digest->state, page, PAGE_LEN);
	digest->n_bytes += PAGE_LEN;
}

int kt_ramfile_hash(int fd, uint64_t *ret_hash, uint64_t *ret_used)
{
	struct digest digest = { .state = XXH3_createState() };
	off_t at = 0, begin;
	uint64_t len = 0;
	char *map = NULL;
	int r;

	if (!digest.state)
		return -ENOMEM;
	(void)XXH3_64bits_reset(digest.state);
	r = map_whole(fd, &map, &len);
	while (r == 0 && next_data(fd, &at, &begin)) {
		for (; begin < at; begin += PAGE_LEN) {
			if (!is_zero(map + begin))
				digest_page(&digest, (uint64_t)begin, map + begin);
		}
	}
	if (map)
		(void)munmap(map, len);
	*ret_hash = XXH3_64bits_digest(digest.state);
	*ret_used = digest.n_bytes;
	(void)XXH3_freeState(digest.state);
	return r;
}

/* Errors are ignored: a file system without holes keeps the zeroes. */
static void punch(int fd, off_t begin, off_t end)
{
	if (end > begin)
		(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, begin, end - begin);
}

void kt_ramfile_punch(int fd)
{
	off_t at = 0, begin;
	uint64_t len;
	char *map;

	if (map_whole(fd, &map, &len) < 0)
		return;
	while (next_data(fd, &at, &begin)) {
		off_t zeroes = begin; /* where the present run of them began */

		for (; begin < at; begin += PAGE_LEN) {
			if (is_zero(map + begin))
				continue;
			punch(fd, zeroes, begin);
			zeroes = begin + PAGE_LEN;
		}
		punch(fd, zeroes, at);
	}
	(void)munmap(map, len);
}

/* Where the kernel cannot copy, as from a disk to a memfd, this process does. */
static ssize_t copy_by_hand(const char *map, int to, off_t at, off_t end)
{
	return pwrite(to, map + at, (size_t)(end - at), at);
}

/*
 * copy_file_range(2) shares the blocks where the file system can, and copies inside the kernel
 * else. It refuses two different file systems (Linux 5.19).
 */
static int copy_range(int from, const char *map, int to, off_t at, off_t end)
{
	bool by_hand = false;

	while (at < end) {
		off_t in = at, out = at;
		ssize_t n = by_hand ? copy_by_hand(map, to, at, end)
				    : copy_file_range(from, &in, to, &out, (size_t)(end - at), 0);

		if (n < 0 && !by_hand && (errno == EXDEV || errno == EINVAL))
			by_hand = true;
		else if (n <= 0)
			return n < 0 ? -errno : -EIO;
		else
			at += n;
	}
	return 0;
}

int kt_ramfile_copy(int from, int to)
{
	char *map = NULL;
	uint64_t len = 0;
	off_t at = 0;
	int r = map_whole(from, &map, &len);

	if (r == 0 && ftruncate(to, (off_t)len) < 0)
		r = -errno;
	while (r == 0 && (at = lseek(from, at, SEEK_DATA)) >= 0) {
		off_t end = lseek(from, at, SEEK_HOLE);

		r = copy_range(from, map, to, at, end);
		at = end;
	}
	if (map)
		(void)munmap(map, len);
	return r;
}
