/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/ram.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "util/cleanup.h"

/*
 * The interface itself, and the RAM of a machine behind it, for which vmm/mem.c does all work. The
 * ranges of RAM are sorted and disjoint, so that they are searched by halves.
 */

struct ram_mem {
	struct kt_ram ram;
	const struct kt_mem *mem;
};

static const struct kt_mem *mem_of(struct kt_ram *ram)
{
	return ((struct ram_mem *)ram)->mem;
}

static int mem_read(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		    struct kt_err *reterr)
{
	return kt_mem_readv(mem_of(ram), pieces, n, reterr);
}

static int mem_write(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		     struct kt_err *reterr)
{
	return kt_mem_writev(mem_of(ram), pieces, n, reterr);
}

static void *mem_pointer(struct kt_ram *ram, uint64_t gpa, size_t len)
{
	const struct kt_mem *mem = mem_of(ram);

	for (size_t i = 0; !mem->pid && i < mem->n_regions; i++) {
		const struct kt_mem_region *region = &mem->regions[i];

		if (gpa >= region->gpa && gpa - region->gpa < region->len &&
		    len <= region->len - (gpa - region->gpa))
			return (void *)(uintptr_t)(region->host + (gpa - region->gpa));
	}
	return NULL;
}

static int mem_data(struct kt_ram *ram, uint64_t gpa, struct kt_ram_range *ret_range)
{
	return kt_mem_data(mem_of(ram), gpa, &ret_range->gpa, &ret_range->len);
}

static void mem_close(struct kt_ram *ram)
{
	free(ram);
}

static const struct kt_ram_ops mem_ops = {
	.name = "machine",
	.read = mem_read,
	.write = mem_write,
	.pointer = mem_pointer,
	.data = mem_data,
	.close = mem_close,
};

int kt_ram_open_mem(const struct kt_mem *mem, struct kt_ram **ret_ram, struct kt_err *reterr)
{
	KT_FREE struct ram_mem *this = calloc(1, sizeof(*this));

	if (!this)
		return kt_err_oom(reterr);
	this->ram.ops = &mem_ops;
	this->mem = mem;
	this->ram.ranges = calloc(mem->n_regions ?: 1, sizeof(*this->ram.ranges));
	if (!this->ram.ranges)
		return kt_err_oom(reterr);
	for (size_t i = 0; i < mem->n_regions; i++)
		this->ram.ranges[this->ram.n_ranges++] =
			(struct kt_ram_range){ mem->regions[i].gpa, mem->regions[i].len };
	*ret_ram = &kt_steal(this)->ram;
	return 0;
}

struct kt_ram *kt_ram_close(struct kt_ram *ram)
{
	if (!ram)
		return NULL;
	free(ram->ranges);
	free(ram->vmcoreinfo);
	ram->ops->close(ram);
	return NULL;
}

int kt_ram_readv(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		 struct kt_err *reterr)
{
	return ram->ops->read(ram, pieces, n, reterr);
}

int kt_ram_writev(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
		  struct kt_err *reterr)
{
	if (!ram->ops->write)
		return kt_err_set(reterr, -EROFS, "this memory can only be read");
	return ram->ops->write(ram, pieces, n, reterr);
}

int kt_ram_read(struct kt_ram *ram, uint64_t gpa, void *to, size_t len, struct kt_err *reterr)
{
	return kt_ram_readv(ram, &(struct kt_mem_piece){ gpa, to, len }, 1, reterr);
}

int kt_ram_write(struct kt_ram *ram, uint64_t gpa, const void *from, size_t len,
		 struct kt_err *reterr)
{
	return kt_ram_writev(ram, &(struct kt_mem_piece){ gpa, (void *)from, len }, 1, reterr);
}

/* Returns the range that holds @gpa, or NULL. */
static const struct kt_ram_range *find_range(const struct kt_ram *ram, uint64_t gpa)
{
	size_t low = 0, high = ram->n_ranges;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct kt_ram_range *range = &ram->ranges[middle];

		if (gpa < range->gpa)
			high = middle;
		else if (gpa - range->gpa >= range->len)
			low = middle + 1;
		else
			return range;
	}
	return NULL;
}

bool kt_ram_has(const struct kt_ram *ram, uint64_t gpa, uint64_t len)
{
	while (len) {
		const struct kt_ram_range *range = find_range(ram, gpa);
		uint64_t n;

		if (!range)
			return false;
		n = KT_MIN(len, range->len - (gpa - range->gpa));
		gpa += n;
		len -= n;
	}
	return true;
}

void *kt_ram_pointer(struct kt_ram *ram, uint64_t gpa, size_t len)
{
	return ram->ops->pointer ? ram->ops->pointer(ram, gpa, len) : NULL;
}

int kt_ram_data(struct kt_ram *ram, uint64_t gpa, struct kt_ram_range *ret_range)
{
	if (ram->ops->data)
		return ram->ops->data(ram, gpa, ret_range);
	for (size_t i = 0; i < ram->n_ranges; i++) {
		const struct kt_ram_range *range = &ram->ranges[i];
		uint64_t from = gpa > range->gpa ? gpa - range->gpa : 0;

		if (from >= range->len)
			continue;
		*ret_range = (struct kt_ram_range){ range->gpa + from, range->len - from };
		return 0;
	}
	return -ENXIO;
}
