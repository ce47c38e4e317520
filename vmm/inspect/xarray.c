/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "vmm/inspect/inspect.h"
#include "vmm/inspect/types.h"

/*
 * An xarray is a tree of nodes with 64 slots (Linux: include/linux/xarray.h). An entry whose lower
 * two bits are 2 is internal: a node if it is above 4096, else a marker. One whose lowest bit is
 * set is a number, not a pointer. A node's shift says which bits of an index choose its slot; it
 * must become smaller on the way down, so that a tree that contains itself ends the walk.
 */

#define SLOTS       64u
#define SLOT_BITS   6u
#define SHIFT_MAX   54u    /* of an index of 60 bits; the kernel's ids have 31 */
#define NODES_MAX   65536u /* that one search reads */
#define INTERNAL    2u
#define LAST_MARKER 4096u

struct node {
	unsigned int shift;
	uint64_t slots[SLOTS];
};

struct tree {
	struct kt_inspect *inspect;
	struct kt_member head, shift, slots;
	unsigned int left; /* nodes that may still be read */
	struct kt_err *reterr;
};

static int find_offsets(struct tree *tree)
{
	return kt_inspect_member(tree->inspect, "struct xarray", "xa_head", &tree->head,
				 tree->reterr) ?:
	       kt_inspect_member(tree->inspect, "struct xa_node", "shift", &tree->shift,
				 tree->reterr) ?:
	       kt_inspect_member(tree->inspect, "struct xa_node", "slots", &tree->slots,
				 tree->reterr);
}

static bool is_node(uint64_t entry)
{
	return (entry & 3) == INTERNAL && entry > LAST_MARKER;
}

static bool is_pointer(uint64_t entry)
{
	return entry && !(entry & 3);
}

/* Reads a node; its shift is below @above. */
static int read_node(struct tree *tree, uint64_t entry, unsigned int above, struct node *ret_node)
{
	uint64_t kva = entry - INTERNAL;
	uint8_t shift = 0;
	const struct kt_inspect_piece pieces[] = {
		{ kva + tree->shift.offset, &shift, sizeof(shift) },
		{ kva + tree->slots.offset, ret_node->slots, sizeof(ret_node->slots) },
	};
	int r;

	if (!tree->left--)
		return kt_err_set(tree->reterr, -ELOOP, "xarray: more than %u nodes", NODES_MAX);
	r = kt_inspect_readv(tree->inspect, pieces, 2, tree->reterr);
	if (r < 0)
		return kt_err_prefix(tree->reterr, r, "xarray");
	if (shift >= above || shift % SLOT_BITS)
		return kt_err_set(tree->reterr, -EPROTO,
				  "xarray: the node at 0x%" PRIx64 " is malformed", kva);
	ret_node->shift = shift;
	return 0;
}

int kt_inspect_xa_load(struct kt_inspect *inspect, uint64_t kva, uint64_t index,
		       uint64_t *ret_entry, struct kt_err *reterr)
{
	struct tree tree = { .inspect = inspect, .left = NODES_MAX, .reterr = reterr };
	unsigned int above = SHIFT_MAX + 1;
	uint64_t entry;
	int r = find_offsets(&tree)
			?: kt_inspect_read_uint(inspect, kva + tree.head.offset, 8, &entry, reterr);

	if (r < 0)
		return r;
	/* An entry of index 0 needs no node. */
	if (!is_node(entry) && index)
		entry = 0;
	while (is_node(entry)) {
		struct node node;

		r = read_node(&tree, entry, above, &node);
		if (r < 0)
			return r;
		if (above > SHIFT_MAX && index >> node.shift >= SLOTS)
			return *ret_entry = 0, 0;
		entry = node.slots[index >> node.shift & (SLOTS - 1)];
		if (!node.shift && is_node(entry))
			entry = 0;
		above = node.shift;
	}
	*ret_entry = is_pointer(entry) ? entry : 0;
	return 0;
}

/* Finds the first pointer below @entry whose index is *@index or more; 1: found. */
static int next_below(struct tree *tree, uint64_t entry, unsigned int above, uint64_t *index,
		      uint64_t *ret_entry)
{
	struct node node;
	int r = read_node(tree, entry, above, &node);
	uint64_t base, slot;

	if (r < 0)
		return r;
	base = *index >> (node.shift + SLOT_BITS) << (node.shift + SLOT_BITS);
	if (above > SHIFT_MAX && base)
		return 0;
	for (slot = *index >> node.shift & (SLOTS - 1); slot < SLOTS; slot++) {
		uint64_t first = base + (slot << node.shift);

		if (*index < first)
			*index = first;
		if (node.shift && is_node(node.slots[slot])) {
			r = next_below(tree, node.slots[slot], node.shift, index, ret_entry);
			if (r)
				return r;
		} else if (is_pointer(node.slots[slot])) {
			*ret_entry = node.slots[slot];
			return 1;
		}
	}
	return 0;
}

int kt_inspect_xa_next(struct kt_inspect *inspect, uint64_t kva, uint64_t *index,
		       uint64_t *ret_entry, struct kt_err *reterr)
{
	struct tree tree = { .inspect = inspect, .left = NODES_MAX, .reterr = reterr };
	uint64_t entry, at = *index;
	int r = find_offsets(&tree)
			?: kt_inspect_read_uint(inspect, kva + tree.head.offset, 8, &entry, reterr);

	if (r < 0)
		return r;
	if (is_node(entry))
		r = next_below(&tree, entry, SHIFT_MAX + 1, &at, ret_entry);
	else if (is_pointer(entry) && !at)
		r = (*ret_entry = entry, 1);
	if (r < 0)
		return r;
	*index = r ? at : *index;
	return r ? 0 : -ENXIO;
}
