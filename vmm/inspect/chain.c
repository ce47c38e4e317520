/* SPDX-License-Identifier: MIT */
#include "vmm/inspect/chain.h"

#include <errno.h>
#include <inttypes.h>

#include "util/cleanup.h"
#include "vmm/inspect/types.h"

/*
 * A chain that runs in a circle is found by Brent's method: a node is marked, and the mark moves on
 * after twice as many steps each time. When the mark is met, there is a circle.
 *
 * The next pointer is the first member of each kind of node; the kernel relies on that, too.
 */

#define BUCKETS_MAX (1u << 20)
#define NESTED_MAX  (1u << 16) /* buckets of a nested table, which takes a search for each */
#define TABLE_SLOTS 512u       /* pointers in a page: a nested table is made of such pages */
#define TABLE_SHIFT 9u

static bool is_end(const struct kt_chain *chain, uint64_t node)
{
	switch (chain->kind) {
	case KT_CHAIN_LIST:
		return node == chain->head;
	case KT_CHAIN_HLIST:
		return !node;
	case KT_CHAIN_NULLS:
		return node & 1;
	}
	return true;
}

void kt_chain_begin_at(struct kt_chain *chain, struct kt_inspect *inspect, enum kt_chain_kind kind,
		       uint64_t first, size_t max, const char *name)
{
	*chain = (struct kt_chain){ .inspect = inspect,
				    .kind = kind,
				    .name = name,
				    .next = first,
				    .max = max,
				    .mark_at = 1 };
}

int kt_chain_begin(struct kt_chain *chain, struct kt_inspect *inspect, enum kt_chain_kind kind,
		   uint64_t kva, size_t max, const char *name, struct kt_err *reterr)
{
	int r;

	kt_chain_begin_at(chain, inspect, kind, 0, max, name);
	chain->head = kva;
	r = kt_inspect_read_uint(inspect, kva, 8, &chain->next, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "%s: its head", name) : 0;
}

static int check_circle(struct kt_chain *chain, uint64_t node, struct kt_err *reterr)
{
	if (node == chain->mark)
		return kt_err_set(reterr, -ELOOP,
				  "%s: it runs in a circle: after %zu nodes, the one at 0x%" PRIx64
				  " comes again",
				  chain->name, chain->n, node);
	if (chain->n == chain->mark_at) {
		chain->mark = node;
		chain->mark_at *= 2;
	}
	return 0;
}

int kt_chain_next(struct kt_chain *chain, uint64_t *ret_node, struct kt_err *reterr)
{
	uint64_t node = chain->next;
	int r;

	if (is_end(chain, node))
		return 0;
	if (chain->n++ >= chain->max)
		return kt_err_set(reterr, -ELOOP, "%s: it has more than %zu nodes", chain->name,
				  chain->max);
	r = check_circle(chain, node, reterr);
	if (r < 0)
		return r;
	r = kt_inspect_read_uint(chain->inspect, node, 8, &chain->next, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "%s: node %zu", chain->name, chain->n);
	*ret_node = node;
	return 1;
}

/* ---- Hash tables ---- */

static int begin_table(struct kt_rhash *hash, uint64_t kva, struct kt_err *reterr)
{
	struct kt_inspect *inspect = hash->inspect;
	struct kt_member size, nest, future, buckets;
	uint64_t n, depth;
	int r = kt_inspect_member(inspect, "struct bucket_table", "size", &size, reterr) ?:
		kt_inspect_member(inspect, "struct bucket_table", "nest", &nest, reterr) ?:
		kt_inspect_member(inspect, "struct bucket_table", "future_tbl", &future, reterr) ?:
		kt_inspect_member(inspect, "struct bucket_table", "buckets", &buckets, reterr) ?:
		kt_inspect_read_uint(inspect, kva + size.offset, 4, &n, reterr) ?:
		kt_inspect_read_uint(inspect, kva + nest.offset, 4, &depth, reterr) ?:
		kt_inspect_read_uint(inspect, kva + future.offset, 8, &hash->future, reterr);

	if (r < 0)
		return kt_err_prefix(reterr, r, "%s: its table", hash->name);
	if (!n || n & (n - 1) || n > BUCKETS_MAX || (depth && n > NESTED_MAX) ||
	    depth > TABLE_SHIFT)
		return kt_err_set(reterr, -EPROTO,
				  "%s: its table at 0x%" PRIx64 " is malformed: %" PRIu64
				  " buckets",
				  hash->name, kva, n);
	hash->table = kva;
	hash->buckets = kva + buckets.offset;
	hash->size = (uint32_t)n;
	hash->nest = (uint32_t)depth;
	hash->at = 0;
	return 0;
}

int kt_rhash_begin(struct kt_rhash *hash, struct kt_inspect *inspect, uint64_t kva, size_t max,
		   const char *name, struct kt_err *reterr)
{
	struct kt_member member;
	uint64_t table;
	int r;

	*hash = (struct kt_rhash){
		.inspect = inspect, .name = name, .left = max, .tables_left = 2
	};
	r = kt_inspect_member(inspect, "struct rhashtable", "tbl", &member, reterr)
		    ?: kt_inspect_read_uint(inspect, kva + member.offset, 8, &table, reterr);
	if (r < 0)
		return kt_err_prefix(reterr, r, "%s", name);
	hash->tables_left--;
	return begin_table(hash, table, reterr);
}

/*
 * The bucket @at of a table that could not be allocated in one piece: a tree of pages, whose root
 * takes the lowest bits of the index (Linux: lib/rhashtable.c, __rht_bucket_nested()). 0: none.
 */
static int nested_bucket(struct kt_rhash *hash, uint32_t at, uint64_t *ret_bucket,
			 struct kt_err *reterr)
{
	uint32_t size = hash->size >> hash->nest, left = at >> hash->nest;
	uint64_t table;
	int r = kt_inspect_read_uint(hash->inspect, hash->buckets, 8, &table, reterr);

	*ret_bucket = 0;
	if (r < 0 || !table)
		return r;
	r = kt_inspect_read_uint(hash->inspect, table + (at & ((1u << hash->nest) - 1)) * 8, 8,
				 &table, reterr);
	while (r == 0 && table && size > TABLE_SLOTS) {
		r = kt_inspect_read_uint(hash->inspect, table + (left & (TABLE_SLOTS - 1)) * 8, 8,
					 &table, reterr);
		size >>= TABLE_SHIFT;
		left >>= TABLE_SHIFT;
	}
	if (r < 0 || !table)
		return r;
	return kt_inspect_read_uint(hash->inspect, table + (left & (TABLE_SLOTS - 1)) * 8, 8,
				    ret_bucket, reterr);
}

/* The first node of the bucket @at; 0 when it is empty. */
static int bucket_of(struct kt_rhash *hash, uint32_t at, uint64_t *ret_bucket,
		     struct kt_err *reterr)
{
	int r = 0;

	if (hash->nest) {
		r = nested_bucket(hash, at, ret_bucket, reterr);
	} else {
		if (at % KT_RHASH_BATCH == 0)
			r = kt_inspect_read(hash->inspect, hash->buckets + (uint64_t)at * 8,
					    hash->batch,
					    KT_MIN(hash->size - at, KT_RHASH_BATCH) * 8, reterr);
		*ret_bucket = r < 0 ? 0 : hash->batch[at % KT_RHASH_BATCH];
	}
	/* The lowest bit is a lock. */
	*ret_bucket &= ~UINT64_C(1);
	return r < 0 ? kt_err_prefix(reterr, r, "%s: bucket %" PRIu32, hash->name, at) : 0;
}

/* Goes to the next bucket that is not empty; 1: there is one. */
static int next_bucket(struct kt_rhash *hash, struct kt_err *reterr)
{
	uint64_t first;

	for (;;) {
		int r;

		if (hash->at == hash->size) {
			if (!hash->future || !hash->tables_left)
				return 0;
			hash->tables_left--;
			r = begin_table(hash, hash->future, reterr);
			if (r < 0)
				return r;
		}
		r = bucket_of(hash, hash->at++, &first, reterr);
		if (r < 0)
			return r;
		if (!first)
			continue;
		kt_chain_begin_at(&hash->chain, hash->inspect, KT_CHAIN_NULLS, first, hash->left,
				  hash->name);
		return 1;
	}
}

int kt_rhash_next(struct kt_rhash *hash, uint64_t *ret_node, struct kt_err *reterr)
{
	for (;;) {
		int r = hash->in_chain ? kt_chain_next(&hash->chain, ret_node, reterr) : 0;

		if (r > 0)
			hash->left--;
		if (r)
			return r;
		hash->in_chain = false;
		r = next_bucket(hash, reterr);
		if (r <= 0)
			return r;
		hash->in_chain = true;
	}
}
