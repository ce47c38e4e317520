/* SPDX-License-Identifier: MIT */
#include "vmm/capsule/pages.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "util/cleanup.h"
#include "vmm/capsule/format.h"

#define PAGE_LEN KT_CAPSULE_PAGE_LEN
#define PART_LEN (256u * PAGE_LEN) /* that is read at once */

/*
 * Only pages that may hold anything are read (kt_mem_data()): the data of the RAM file, and what
 * the machine's process has written itself. A page that was data in the base and is zeroes now is
 * among them, because the machine has mapped the base.
 */
struct walk {
	const struct kt_mem *mem;
	const uint8_t *base; /* a mapping of all of the base; NULL: zeroes */
	uint64_t base_len;
	kt_pages_fn fn;
	void *data;
	uint8_t *part; /* of PART_LEN bytes */
};

static int map_base(int fd, struct walk *walk, struct kt_err *reterr)
{
	struct stat st;
	void *map;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0)
		return kt_err_set(reterr, -errno, "the template's RAM: %m");
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return kt_err_set(reterr, -errno, "the template's RAM: %m");
	walk->base = map;
	walk->base_len = (uint64_t)st.st_size;
	return 0;
}

static bool differs(const struct walk *walk, uint64_t offset, const uint8_t *page)
{
	if (walk->base && offset + PAGE_LEN <= walk->base_len)
		return memcmp(page, walk->base + offset, PAGE_LEN);
	return page[0] || memcmp(page, page + 1, PAGE_LEN - 1);
}

/* The pages from @gpa on, which lie in one region. */
static int walk_part(const struct walk *walk, const struct kt_mem_region *region, uint64_t gpa,
		     size_t len, struct kt_err *reterr)
{
	uint64_t offset = region->offset + (gpa - region->gpa);
	int r = kt_mem_read(walk->mem, gpa, walk->part, len, reterr);

	for (size_t at = 0; r == 0 && at < len; at += PAGE_LEN) {
		if (differs(walk, offset + at, walk->part + at))
			r = walk->fn(walk->data, offset + at, walk->part + at);
	}
	return r;
}

/* All pages that touch @from..@to, except those before *@done. */
static int walk_range(const struct walk *walk, const struct kt_mem_region *region, uint64_t from,
		      uint64_t to, uint64_t *done, struct kt_err *reterr)
{
	uint64_t end = (to + PAGE_LEN - 1) & -(uint64_t)PAGE_LEN;
	int r = 0;

	from = KT_MAX(from & -(uint64_t)PAGE_LEN, *done);
	end = KT_MIN(end, region->gpa + region->len);
	for (; r == 0 && from < end; from += PART_LEN)
		r = walk_part(walk, region, from, (size_t)KT_MIN(end - from, (uint64_t)PART_LEN),
			      reterr);
	*done = KT_MAX(*done, end);
	return r;
}

static const struct kt_mem_region *region_at(const struct kt_mem *mem, uint64_t gpa)
{
	for (size_t i = 0; i < mem->n_regions; i++) {
		if (gpa - mem->regions[i].gpa < mem->regions[i].len)
			return &mem->regions[i];
	}
	return NULL;
}

static int walk_all(const struct walk *walk, struct kt_err *reterr)
{
	uint64_t from = 0, gpa, len, done = 0;
	int r = 0;

	while (r == 0 && kt_mem_data(walk->mem, from, &gpa, &len) == 0) {
		const struct kt_mem_region *region = region_at(walk->mem, gpa);

		if (!region || !len)
			return kt_err_set(reterr, -ENXIO, "the guest's RAM cannot be walked");
		r = walk_range(walk, region, gpa, gpa + len, &done, reterr);
		from = gpa + len;
	}
	return r;
}

int kt_pages_differ(const struct kt_mem *mem, int base_fd, kt_pages_fn fn, void *data,
		    struct kt_err *reterr)
{
	KT_FREE uint8_t *part = malloc(PART_LEN);
	struct walk walk = { .mem = mem, .fn = fn, .data = data, .part = part };
	int r = part ? map_base(base_fd, &walk, reterr) : kt_err_oom(reterr);

	if (r == 0)
		r = walk_all(&walk, reterr);
	if (walk.base)
		(void)munmap((void *)walk.base, walk.base_len);
	return r;
}
