/* SPDX-License-Identifier: MIT */
/* Lists and hash tables of a guest's kernel, whole and hostile. */
#include <errno.h>
#include <string.h>

#include "tests/unit/leaks.h"
#include "tests/unit/walk_view.h"
#include "tests/walk_kernel.h"
#include "util/cleanup.h"
#include "vmm/inspect/chain.h"

UNIT_SUITE(walk_chain);

#define MAX 100u

/* Makes @n nodes of 16 bytes behind a head; the addresses are in @nodes. */
static uint64_t make_list(uint64_t *nodes, size_t n)
{
	uint64_t head = walk_alloc(&kernel, 16);

	walk_list_init(&kernel, head);
	for (size_t i = 0; i < n; i++) {
		nodes[i] = walk_alloc(&kernel, 16);
		walk_list_add(&kernel, nodes[i], head);
	}
	return head;
}

/* Walks to the end, or up to a failure; returns what the last call did. */
static int walk(enum kt_chain_kind kind, uint64_t head, size_t max, uint64_t *nodes, size_t *ret_n,
		struct kt_err *reterr)
{
	struct kt_chain chain;
	uint64_t node;
	int r = kt_chain_begin(&chain, kernel.inspect, kind, head, max, "walked", reterr);

	*ret_n = 0;
	while (r == 0 && (r = kt_chain_next(&chain, &node, reterr)) > 0) {
		cr_assert(lt(sz, *ret_n, MAX));
		nodes[(*ret_n)++] = node;
		r = 0;
	}
	return r;
}

Test(walk_chain, nodes_come_in_their_order, .init = begin, .fini = end)
{
	uint64_t made[5], found[MAX];
	size_t n;

	cr_assert(zero(int, walk(KT_CHAIN_LIST, make_list(made, 5), MAX, found, &n, NULL)));
	cr_assert(eq(sz, n, 5));
	cr_assert(zero(int, memcmp(made, found, sizeof(made))));
	cr_assert(zero(int, walk(KT_CHAIN_LIST, make_list(made, 0), MAX, found, &n, NULL)));
	cr_assert(zero(sz, n));
}

Test(walk_chain, a_hash_list_ends_with_null, .init = begin, .fini = end)
{
	uint64_t made[3], found[MAX], head = make_list(made, 3);
	size_t n;

	set(made[2], 0);
	cr_assert(zero(int, walk(KT_CHAIN_HLIST, head, MAX, found, &n, NULL)));
	cr_assert(eq(sz, n, 3));
	set(made[1], 4711);
	cr_assert(zero(int, walk(KT_CHAIN_NULLS, head, MAX, found, &n, NULL)));
	cr_assert(eq(sz, n, 2));
}

/* Every length of the circle and of the way into it. */
Test(walk_chain, a_circle_ends_with_an_error, .init = begin, .fini = end)
{
	for (size_t n = 1; n < 12; n++) {
		for (size_t back = 0; back < n; back++) {
			uint64_t made[12], found[MAX], head = make_list(made, n);
			struct kt_err err = KT_ERR_NULL;
			size_t steps;

			set(made[n - 1], made[back]);
			cr_assert(eq(int, walk(KT_CHAIN_LIST, head, SIZE_MAX, found, &steps, &err),
				     -ELOOP));
			expect_text(&err, "walked: it runs in a circle");
			cr_assert(le(sz, steps, 4 * n));
		}
	}
}

Test(walk_chain, a_list_ends_at_the_limit, .init = begin, .fini = end)
{
	uint64_t made[9], found[MAX], head = make_list(made, 9);
	struct kt_err err = KT_ERR_NULL;
	size_t n;

	cr_assert(zero(int, walk(KT_CHAIN_LIST, head, 9, found, &n, &err)));
	cr_assert(eq(int, walk(KT_CHAIN_LIST, head, 8, found, &n, &err), -ELOOP));
	cr_assert(eq(sz, n, 8));
	expect_text(&err, "walked: it has more than 8 nodes");
}

Test(walk_chain, a_wild_pointer_is_named, .init = begin, .fini = end)
{
	static const uint64_t POINTERS[] = { 0, 0x1000, WILD, UINT64_C(0x8000000000000000),
					     UINT64_MAX - 7 };

	for (size_t i = 0; i < KT_ARRAY_LEN(POINTERS); i++) {
		uint64_t made[3], found[MAX], head = make_list(made, 3);
		struct kt_err err = KT_ERR_NULL;
		size_t n;

		set(made[1], POINTERS[i]);
		cr_assert(eq(int, walk(KT_CHAIN_LIST, head, MAX, found, &n, &err), -EFAULT));
		expect_text(&err, "walked: node 3: ");
		cr_assert(eq(sz, n, 2));
		cr_assert(eq(int, walk(KT_CHAIN_LIST, POINTERS[i], MAX, found, &n, &err), -EFAULT));
		expect_text(&err, "walked: its head: ");
	}
}

/* ---- Resizable hash tables ---- */

static int walk_hash(uint64_t kva, size_t max, size_t *ret_n, struct kt_err *reterr)
{
	struct kt_rhash hash;
	uint64_t node;
	int r = kt_rhash_begin(&hash, kernel.inspect, kva, max, "hashed", reterr);

	*ret_n = 0;
	while (r == 0 && (r = kt_rhash_next(&hash, &node, reterr)) > 0) {
		cr_assert(lt(sz, (*ret_n)++, MAX));
		r = 0;
	}
	return r;
}

static uint64_t make_table(uint32_t size, uint64_t *ret_hash)
{
	uint64_t table = walk_alloc(&kernel, sizeof(struct walk_table));

	*ret_hash = walk_alloc(&kernel, 8);
	set(*ret_hash, table);
	walk_at(&kernel, walk_table, table)->size = size;
	return table;
}

/* A node at the beginning of a bucket. */
static uint64_t add_node(uint64_t bucket)
{
	uint64_t node = walk_alloc(&kernel, 8), next = walk_at(&kernel, walk_list, bucket)->next;

	set(node, next ?: bucket | 1);
	set(bucket, node);
	return node;
}

static uint64_t bucket_at(uint64_t table, unsigned int i)
{
	return table + offsetof(struct walk_table, buckets) + i * 8;
}

Test(walk_chain, all_buckets_of_a_hash_table_are_seen, .init = begin, .fini = end)
{
	uint64_t hash, table = make_table(16, &hash), next, unused;
	size_t n;

	for (unsigned int i = 0; i < 10; i++)
		(void)add_node(bucket_at(table, i * 7 % 16));
	cr_assert(zero(int, walk_hash(hash, MAX, &n, NULL)));
	cr_assert(eq(sz, n, 10));
	/* While it is resized, some nodes are in the next table. */
	next = make_table(4, &unused);
	(void)add_node(bucket_at(next, 3));
	walk_at(&kernel, walk_table, table)->future = next;
	cr_assert(zero(int, walk_hash(hash, MAX, &n, NULL)));
	cr_assert(eq(sz, n, 11));
}

Test(walk_chain, a_nested_hash_table_is_searched, .init = begin, .fini = end)
{
	uint64_t hash, table = make_table(2048, &hash), page = walk_alloc(&kernel, 4096);
	uint64_t leaf = walk_alloc(&kernel, 4096);
	size_t n;

	/* 4 pages of 512 buckets, of which one is there. */
	walk_at(&kernel, walk_table, table)->nest = 2;
	set(bucket_at(table, 0), page);
	set(page + 2 * 8, leaf);
	(void)add_node(leaf + 8);
	(void)add_node(leaf + 511 * 8);
	cr_assert(zero(int, walk_hash(hash, MAX, &n, NULL)));
	cr_assert(eq(sz, n, 2));
	/* With more buckets, there is a level of pages in between. */
	walk_at(&kernel, walk_table, table)->size = 65536;
	set(page + 2 * 8, 0);
	set(page + 3 * 8, walk_alloc(&kernel, 4096));
	set(walk_at(&kernel, walk_list, page + 3 * 8)->next + 500 * 8, leaf);
	cr_assert(zero(int, walk_hash(hash, MAX, &n, NULL)));
	cr_assert(eq(sz, n, 1)); /* a leaf has 32 buckets here */
}

Test(walk_chain, a_malformed_hash_table_is_an_error, .init = begin, .fini = end)
{
	static const uint32_t SIZES[] = { 0, 3, 1u << 21, UINT32_MAX };
	struct kt_err err = KT_ERR_NULL;
	uint64_t hash, table, first;
	size_t n;

	for (size_t i = 0; i < KT_ARRAY_LEN(SIZES); i++) {
		(void)make_table(SIZES[i], &hash);
		cr_assert(eq(int, walk_hash(hash, MAX, &n, &err), -EPROTO));
		expect_text(&err, "hashed: its table");
	}
	table = make_table(4, &hash);
	walk_at(&kernel, walk_table, table)->nest = 40;
	cr_assert(eq(int, walk_hash(hash, MAX, &n, &err), -EPROTO));
	table = make_table(4, &hash);
	first = add_node(bucket_at(table, 1));
	set(first, first);
	cr_assert(eq(int, walk_hash(hash, MAX, &n, &err), -ELOOP));
	expect_text(&err, "hashed: it runs in a circle");
	set(bucket_at(table, 1), WILD);
	cr_assert(eq(int, walk_hash(hash, MAX, &n, &err), -EFAULT));
	/* A table that is to become itself. */
	set(bucket_at(table, 1), 0);
	(void)add_node(bucket_at(table, 2));
	walk_at(&kernel, walk_table, table)->future = table;
	cr_assert(zero(int, walk_hash(hash, MAX, &n, &err)));
	cr_assert(eq(sz, n, 2));
}
