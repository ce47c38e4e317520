/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The chains of the kernel, node by node: lists (struct list_head), hash lists (struct hlist_head)
 * and those whose end is a number (struct hlist_nulls_head, struct rhash_head); and all of a
 * resizable hash table (struct rhashtable).
 *
 * A walk ends after as many nodes as its caller allows, and when it comes to a node again: -ELOOP.
 * Errors begin with the name of what is walked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "vmm/inspect/inspect.h"

enum kt_chain_kind {
	KT_CHAIN_LIST,  /* struct list_head: the last leads back to the head */
	KT_CHAIN_HLIST, /* struct hlist_head: the last leads nowhere */
	KT_CHAIN_NULLS, /* struct hlist_nulls_head: the last leads to an odd number */
};

/* Private to chain.c. */
struct kt_chain {
	struct kt_inspect *inspect;
	enum kt_chain_kind kind;
	const char *name; /* borrowed */
	uint64_t head, next;
	uint64_t mark; /* a node that must not come again */
	size_t n, max, mark_at;
};

/* Begins with the head at @kva. */
int kt_chain_begin(struct kt_chain *chain, struct kt_inspect *inspect, enum kt_chain_kind kind,
		   uint64_t kva, size_t max, const char *name, struct kt_err *reterr);

/* As above, with the first node instead of the head; only for chains that do not lead back. */
void kt_chain_begin_at(struct kt_chain *chain, struct kt_inspect *inspect, enum kt_chain_kind kind,
		       uint64_t first, size_t max, const char *name);

/* 1: there is another node, whose address is in *@ret_node. 0: that was all. */
int kt_chain_next(struct kt_chain *chain, uint64_t *ret_node, struct kt_err *reterr);

#define KT_RHASH_BATCH 64u

/* Private to chain.c. */
struct kt_rhash {
	struct kt_inspect *inspect;
	const char *name; /* borrowed */
	size_t left;      /* nodes */
	unsigned int tables_left;
	uint64_t table, future; /* of the table that is walked, and of the one after it */
	uint64_t buckets;       /* address of the first */
	uint32_t size, nest;    /* of the table */
	uint32_t at;            /* the bucket that is next */
	uint64_t batch[KT_RHASH_BATCH];
	struct kt_chain chain;
	bool in_chain;
};

/* Begins with the struct rhashtable at @kva. While it is resized, it has two tables. */
int kt_rhash_begin(struct kt_rhash *hash, struct kt_inspect *inspect, uint64_t kva, size_t max,
		   const char *name, struct kt_err *reterr);

/* 1: there is another struct rhash_head at *@ret_node. 0: that was all. */
int kt_rhash_next(struct kt_rhash *hash, uint64_t *ret_node, struct kt_err *reterr);
