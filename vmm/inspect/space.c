/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/space.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/*
 * A walk reads one entry of each level. Whole tables are read and remembered, since the next
 * address is often in the same one; so are translations of pages. Page tables are the guest's and
 * can hold anything: each address in them is checked as any other, and a walk ends after as many
 * steps as there are levels.
 */

#define PRESENT    UINT64_C(1)
#define LARGE      (UINT64_C(1) << 7)
#define FRAME_MASK UINT64_C(0x000ffffffffff000)
#define SHIFT      12u /* of a page */
#define LEVEL_BITS 9u
#define LARGEST    3u  /* level of 1 GiB pages; tables of a higher one have no pages */
#define FEW        16u /* pieces that need no allocation */

void kt_space_refresh(struct kt_space *space)
{
	for (size_t i = 0; i < KT_SPACE_PAGES; i++)
		space->pages[i].kva = 0;
	for (size_t i = 0; i < KT_SPACE_TABLES; i++)
		space->tables[i].gpa = 0;
}

bool kt_space_is_kernel(const struct kt_space *space, uint64_t kva)
{
	unsigned int bits = SHIFT + LEVEL_BITS * space->levels;

	return kva >= UINT64_MAX << (bits - 1);
}

static uint64_t table_shift(unsigned int level)
{
	return SHIFT + LEVEL_BITS * (level - 1);
}

/* The table at @gpa: what is remembered of it, or else what is read now. NULL: it cannot be. */
static const uint64_t *load_table(struct kt_space *space, uint64_t gpa, struct kt_err *reterr)
{
	struct kt_space_table *table = &space->tables[gpa / KT_SPACE_PAGE % KT_SPACE_TABLES];

	if (table->gpa == gpa && gpa)
		return table->entries;
	table->gpa = 0;
	if (kt_ram_read(space->ram, gpa, table->entries, sizeof(table->entries), reterr) < 0)
		return NULL;
	table->gpa = gpa;
	return table->entries;
}

static int not_mapped(uint64_t kva, struct kt_err *reterr)
{
	return kt_err_set(reterr, -EFAULT, "address 0x%" PRIx64 " is not mapped", kva);
}

static int walk(struct kt_space *space, uint64_t kva, struct kt_space_page *ret_page,
		struct kt_err *reterr)
{
	uint64_t gpa = space->root;

	for (unsigned int level = space->levels; level; level--) {
		uint64_t len = UINT64_C(1) << table_shift(level), entry;
		const uint64_t *entries = load_table(space, gpa, reterr);

		if (!entries)
			return kt_err_prefix(reterr, -EFAULT, "page table of address 0x%" PRIx64,
					     kva);
		entry = entries[kva >> table_shift(level) & (KT_SPACE_ENTRIES - 1)];
		if (!(entry & PRESENT))
			return not_mapped(kva, reterr);
		gpa = entry & FRAME_MASK & ~space->sme_mask;
		if (level != 1 && !(level <= LARGEST && entry & LARGE))
			continue;
		*ret_page = (struct kt_space_page){ kva & ~(len - 1), gpa & ~(len - 1), len };
		return 0;
	}
	return not_mapped(kva, reterr);
}

/* Returns the slot for translations of the page of 4 KiB that holds @kva. */
static struct kt_space_page *slot_of(struct kt_space *space, uint64_t kva)
{
	return &space->pages[kva / KT_SPACE_PAGE % KT_SPACE_PAGES];
}

static int translate_by_tables(struct kt_space *space, uint64_t kva, uint64_t *ret_gpa,
			       uint64_t *ret_len, struct kt_err *reterr)
{
	struct kt_space_page *page = slot_of(space, kva);
	int r;

	if (!page->kva || kva < page->kva || kva - page->kva >= page->len) {
		page->kva = 0;
		r = walk(space, kva, page, reterr);
		if (r < 0)
			return r;
	}
	*ret_gpa = page->gpa + (kva - page->kva);
	*ret_len = page->len - (kva - page->kva);
	return 0;
}

/* How many bytes of RAM follow @gpa without a gap; 0 when it is none. */
static uint64_t ram_from(const struct kt_ram *ram, uint64_t gpa)
{
	for (size_t i = 0; i < ram->n_ranges; i++) {
		const struct kt_ram_range *range = &ram->ranges[i];

		if (gpa >= range->gpa && gpa - range->gpa < range->len)
			return range->len - (gpa - range->gpa);
	}
	return 0;
}

/* Addresses whose translation is an addition. */
static bool translate_linear(const struct kt_space *space, uint64_t kva, uint64_t *ret_gpa,
			     uint64_t *ret_len)
{
	uint64_t len;

	if (kva >= space->image && kva - space->image < space->image_len) {
		*ret_gpa = kva - KT_START_KERNEL_MAP + space->phys_base;
		*ret_len = space->image_len - (kva - space->image);
		return true;
	}
	if (!space->page_offset || kva < space->page_offset)
		return false;
	len = ram_from(space->ram, kva - space->page_offset);
	if (!len)
		return false;
	*ret_gpa = kva - space->page_offset;
	*ret_len = len;
	return true;
}

int kt_space_translate(struct kt_space *space, uint64_t kva, uint64_t *ret_gpa, uint64_t *ret_len,
		       struct kt_err *reterr)
{
	uint64_t gpa, len, there;
	int r = 0;

	if (!kt_space_is_kernel(space, kva))
		return kt_err_set(reterr, -EFAULT,
				  kva ? "0x%" PRIx64 " is not an address of the kernel"
				      : "0x%" PRIx64 " is a null pointer",
				  kva);
	if (!translate_linear(space, kva, &gpa, &len))
		r = translate_by_tables(space, kva, &gpa, &len, reterr);
	if (r < 0)
		return r;
	there = ram_from(space->ram, gpa);
	if (!there)
		return kt_err_set(reterr, -EFAULT,
				  "address 0x%" PRIx64 " is mapped to 0x%" PRIx64
				  ", which is not RAM",
				  kva, gpa);
	*ret_gpa = gpa;
	*ret_len = KT_MIN(len, there);
	return 0;
}

/* Pieces by physical address, on the stack as long as they are few. */
struct pieces {
	struct kt_mem_piece few[FEW];
	struct kt_mem_piece *all;
	size_t n, room;
};

static int add_piece(struct pieces *pieces, uint64_t gpa, void *data, size_t len,
		     struct kt_err *reterr)
{
	struct kt_mem_piece *last = pieces->n ? &pieces->all[pieces->n - 1] : NULL;

	if (last && last->gpa + last->len == gpa && (char *)last->data + last->len == data) {
		last->len += len;
		return 0;
	}
	if (pieces->n == pieces->room) {
		size_t room = pieces->room * 2;
		struct kt_mem_piece *all = reallocarray(
			pieces->all == pieces->few ? NULL : pieces->all, room, sizeof(*all));

		if (!all)
			return kt_err_oom(reterr);
		if (pieces->all == pieces->few)
			memcpy(all, pieces->few, sizeof(pieces->few));
		pieces->all = all;
		pieces->room = room;
	}
	pieces->all[pieces->n++] = (struct kt_mem_piece){ gpa, data, len };
	return 0;
}

static int add_virtual(struct kt_space *space, struct pieces *pieces,
		       const struct kt_inspect_piece *piece, struct kt_err *reterr)
{
	uint64_t kva = piece->kva, gpa, len;
	char *at = piece->data;
	size_t left = piece->len;
	int r = 0;

	while (r == 0 && left) {
		size_t n;

		r = kt_space_translate(space, kva, &gpa, &len, reterr);
		if (r < 0)
			return r;
		n = (size_t)KT_MIN(len, (uint64_t)left);
		r = add_piece(pieces, gpa, at, n, reterr);
		kva += n;
		at += n;
		left -= n;
	}
	return r;
}

static int copy(struct kt_space *space, const struct kt_inspect_piece *pieces, size_t n, bool write,
		struct kt_err *reterr)
{
	struct pieces physical;
	int r = 0;

	physical.all = physical.few;
	physical.n = 0;
	physical.room = FEW;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_virtual(space, &physical, &pieces[i], reterr);
	if (r == 0)
		r = write ? kt_ram_writev(space->ram, physical.all, physical.n, reterr)
			  : kt_ram_readv(space->ram, physical.all, physical.n, reterr);
	if (physical.all != physical.few)
		free(physical.all);
	return r;
}

int kt_space_readv(struct kt_space *space, const struct kt_inspect_piece *pieces, size_t n,
		   struct kt_err *reterr)
{
	return copy(space, pieces, n, false, reterr);
}

int kt_space_writev(struct kt_space *space, const struct kt_inspect_piece *pieces, size_t n,
		    struct kt_err *reterr)
{
	return copy(space, pieces, n, true, reterr);
}

int kt_space_read(struct kt_space *space, uint64_t kva, void *to, size_t len, struct kt_err *reterr)
{
	return kt_space_readv(space, &(struct kt_inspect_piece){ kva, to, len }, 1, reterr);
}
