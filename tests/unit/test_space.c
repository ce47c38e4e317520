/* SPDX-License-Identifier: MIT */
/*
 * The address space of a guest's kernel and the trees in it, on RAM that counts how it is read
 * (tests/tiny_kernel.h): entries of page tables with bits that are no address, batches, xarrays.
 */
#include <errno.h>
#include <string.h>

#include "tests/tiny_kernel.h"
#include "tests/unit/leaks.h"
#include "tests/unit/view.h"
#include "util/cleanup.h"
#include "vmm/inspect/space.h"

UNIT_SUITE(space_tables);
UNIT_SUITE(space_batch);
UNIT_SUITE(xarray);

#define KVA     UINT64_C(0xffffc90000000000)
#define SME     (UINT64_C(1) << 47)
#define LARGE   UINT64_C(0x80)
#define FRAME   0x300000u
#define PAGE    4096u
#define N_MANY  40u /* more pieces than fit on the stack */
#define POINTER UINT64_C(0xffff888000123400)

/* ---- Page tables ---- */

/* The entry of @kva in the table of @level; tables of higher levels have @ignored in theirs. */
static uint64_t *entry_at(struct tiny_kernel *kernel, uint64_t kva, unsigned int level,
			  uint64_t ignored)
{
	uint64_t table = kernel->root;

	for (unsigned int at = 4;; at--) {
		uint64_t *entry = (uint64_t *)(kernel->bytes + table) +
				  (kva >> (12 + 9 * (at - 1)) & 511);

		if (at == level)
			return entry;
		table = *entry & ~UINT64_C(0xfff) & ~ignored;
	}
}

Test(space_tables, only_tables_of_pages_have_large_ones)
{
	struct view view;
	uint64_t gpa, len;

	open_view(&view, NULL);
	tiny_map(&view.kernel, KVA, FRAME, 1);
	/* The bit is ignored there, as the processor does. */
	*entry_at(&view.kernel, KVA, 4, 0) |= LARGE;
	cr_assert(zero(int, kt_inspect_translate(view.inspect, KVA + 5, &gpa, &len, NULL)));
	cr_assert(eq(u64, gpa, FRAME + 5));
	cr_assert(eq(u64, len, PAGE - 5));
	close_view(&view);
}

Test(space_tables, a_bit_of_encryption_is_no_address)
{
	struct kt_space *space = calloc(1, sizeof(*space));
	struct tiny_kernel kernel;
	uint64_t gpa = 0, len = 0;

	tiny_kernel_init(&kernel, NULL);
	tiny_map(&kernel, KVA, FRAME, 1);
	for (unsigned int level = 4; level; level--)
		*entry_at(&kernel, KVA, level, SME) |= SME;
	*space = (struct kt_space){ .ram = kernel.ram, .root = kernel.root, .levels = 4 };
	cr_assert(eq(int, kt_space_translate(space, KVA, &gpa, &len, NULL), -EFAULT));
	space->sme_mask = SME;
	kt_space_refresh(space);
	cr_assert(zero(int, kt_space_translate(space, KVA, &gpa, &len, NULL)));
	cr_assert(eq(u64, gpa, FRAME));
	tiny_kernel_deinit(&kernel);
	free(space);
}

Test(space_tables, the_kernels_half_begins_with_the_sign)
{
	const struct kt_space four = { .levels = 4 }, five = { .levels = 5 };

	cr_assert(not(kt_space_is_kernel(&four, UINT64_C(0xffff7fffffffffff))));
	cr_assert(kt_space_is_kernel(&four, UINT64_C(0xffff800000000000)));
	cr_assert(not(kt_space_is_kernel(&five, UINT64_C(0xfeffffffffffffff))));
	cr_assert(kt_space_is_kernel(&five, UINT64_C(0xff00000000000000)));
}

/* ---- Batches ---- */

/* RAM that counts the pieces of the last call. */
struct counting {
	struct kt_ram ram;
	struct kt_ram *behind;
	size_t n;
};

static int counting_read(struct kt_ram *ram, const struct kt_mem_piece *pieces, size_t n,
			 struct kt_err *reterr)
{
	struct counting *counting = (struct counting *)ram;

	counting->n = n;
	return kt_ram_readv(counting->behind, pieces, n, reterr);
}

static const struct kt_ram_ops COUNTING = { .name = "counting", .read = counting_read };

/* A space over @kernel's direct map. */
static struct kt_space *count(struct tiny_kernel *kernel, struct counting *counting)
{
	struct kt_space *space = calloc(1, sizeof(*space));

	*counting = (struct counting){ .ram = { .ops = &COUNTING,
						.n_ranges = kernel->ram->n_ranges,
						.ranges = kernel->ram->ranges },
				       .behind = kernel->ram };
	*space = (struct kt_space){ .ram = &counting->ram,
				    .root = kernel->root,
				    .levels = 4,
				    .page_offset = kernel->page_offset };
	return space;
}

Test(space_batch, neighbours_are_one_piece_if_they_are_so_on_both_sides)
{
	char together[8], apart[2][16];
	struct counting counting;
	struct tiny_kernel kernel;
	struct kt_space *space;
	uint64_t kva;

	tiny_kernel_init(&kernel, NULL);
	space = count(&kernel, &counting);
	kva = kernel.page_offset + FRAME;
	memcpy(kernel.bytes + FRAME, "abcdefgh", 8);
	cr_assert(zero(int, kt_space_readv(space,
					   (struct kt_inspect_piece[]){ { kva, together, 4 },
									{ kva + 4, together + 4,
									  4 } },
					   2, NULL)));
	cr_assert(eq(sz, counting.n, 1));
	cr_assert(zero(int, memcmp(together, "abcdefgh", 8)));
	cr_assert(zero(int, kt_space_readv(space,
					   (struct kt_inspect_piece[]){ { kva, apart[0], 4 },
									{ kva + 4, apart[1], 4 } },
					   2, NULL)));
	cr_assert(eq(sz, counting.n, 2));
	cr_assert(zero(int, memcmp(apart[0], "abcd", 4)));
	cr_assert(zero(int, memcmp(apart[1], "efgh", 4)));
	free(space);
	tiny_kernel_deinit(&kernel);
}

Test(space_batch, many_pieces_keep_their_order)
{
	struct kt_inspect_piece pieces[N_MANY];
	uint8_t bytes[N_MANY] = { 0 };
	struct counting counting;
	struct tiny_kernel kernel;
	struct kt_space *space;

	tiny_kernel_init(&kernel, NULL);
	space = count(&kernel, &counting);
	for (size_t i = 0; i < N_MANY; i++) {
		kernel.bytes[FRAME + 64 * i] = (uint8_t)(i + 1);
		pieces[i] = (struct kt_inspect_piece){ kernel.page_offset + FRAME + 64 * i,
						       &bytes[i], 1 };
	}
	cr_assert(zero(int, kt_space_readv(space, pieces, N_MANY, NULL)));
	cr_assert(eq(sz, counting.n, N_MANY));
	for (size_t i = 0; i < N_MANY; i++)
		cr_assert(eq(u8, bytes[i], (uint8_t)(i + 1)), "piece %zu", i);
	free(space);
	tiny_kernel_deinit(&kernel);
}

/* ---- Trees of ids ---- */

/* A node of @shift, as an entry of the one above it. */
static uint64_t make_node(struct tiny_kernel *kernel, unsigned int shift)
{
	uint64_t node = tiny_alloc(kernel, 8 + 64 * 8);

	tiny_set(kernel, node, shift, 1);
	return node + 2;
}

static void put(struct tiny_kernel *kernel, uint64_t entry, unsigned int slot, uint64_t value)
{
	tiny_set(kernel, entry - 2 + 8 + slot * 8, value, 8);
}

static uint64_t make_tree(struct tiny_kernel *kernel, uint64_t head)
{
	uint64_t tree = tiny_alloc(kernel, 16);

	tiny_set(kernel, tree + 8, head, 8);
	return tree;
}

static uint64_t load(struct view *view, uint64_t tree, uint64_t index)
{
	struct kt_err err = KT_ERR_NULL;
	uint64_t entry = 1;

	cr_assert(zero(int, kt_inspect_xa_load(view->inspect, tree, index, &entry, &err)), "%s",
		  err.text);
	return entry;
}

Test(xarray, an_index_beyond_the_tree_has_nothing)
{
	struct view view;
	uint64_t leaf, tree;

	open_view(&view, NULL);
	leaf = make_node(&view.kernel, 0);
	put(&view.kernel, leaf, 3, POINTER);
	tree = make_tree(&view.kernel, leaf);
	cr_assert(eq(u64, load(&view, tree, 3), POINTER));
	cr_assert(zero(u64, load(&view, tree, 4)));
	cr_assert(zero(u64, load(&view, tree, 64 + 3)));
	cr_assert(zero(u64, load(&view, tree, UINT64_MAX - 60)));
	close_view(&view);
}

Test(xarray, markers_and_numbers_are_no_nodes)
{
	uint64_t root, tree, index = 0, entry = 0;
	struct kt_err err = KT_ERR_NULL;
	struct view view;

	open_view(&view, NULL);
	root = make_node(&view.kernel, 6);
	put(&view.kernel, root, 0, 0x402); /* try again */
	put(&view.kernel, root, 1, 0x7);   /* the number 3 */
	tree = make_tree(&view.kernel, root);
	cr_assert(zero(u64, load(&view, tree, 0)));
	cr_assert(zero(u64, load(&view, tree, 64)));
	cr_assert(eq(int, kt_inspect_xa_next(view.inspect, tree, &index, &entry, &err), -ENXIO),
		  "%s", err.text);
	close_view(&view);
}

Test(xarray, the_next_one_has_the_index_that_leads_to_it)
{
	static const uint64_t INDEXES[] = { 5, 64 + 7, 64 + 63, 4096 + 3 * 64 };
	uint64_t top, nodes[3], tree, index = 0, entry;
	struct view view;

	open_view(&view, NULL);
	top = make_node(&view.kernel, 12);
	for (unsigned int i = 0; i < 2; i++) {
		nodes[i] = make_node(&view.kernel, 6);
		put(&view.kernel, top, i, nodes[i]);
	}
	for (size_t i = 0; i < KT_ARRAY_LEN(INDEXES); i++) {
		uint64_t at = INDEXES[i] >> 6, middle = nodes[at >> 6];
		unsigned int slot = (unsigned int)(at & 63);
		uint64_t leaf;

		memcpy(&leaf, tiny_at(&view.kernel, middle - 2 + 8 + slot * UINT64_C(8)), 8);
		leaf = leaf ?: make_node(&view.kernel, 0);
		put(&view.kernel, middle, slot, leaf);
		put(&view.kernel, leaf, (unsigned int)(INDEXES[i] & 63), POINTER + 16 * i);
	}
	tree = make_tree(&view.kernel, top);
	for (size_t i = 0; i < KT_ARRAY_LEN(INDEXES); i++) {
		cr_assert(zero(int, kt_inspect_xa_next(view.inspect, tree, &index, &entry, NULL)));
		cr_assert(eq(u64, index, INDEXES[i]));
		cr_assert(eq(u64, entry, POINTER + 16 * i));
		cr_assert(eq(u64, load(&view, tree, index), entry));
		index++;
	}
	cr_assert(eq(int, kt_inspect_xa_next(view.inspect, tree, &index, &entry, NULL), -ENXIO));
	close_view(&view);
}
