/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The snapshots that a test has taken of its machine, by name: texts in a memory file. The runner
 * creates it and the session fills it, so that they survive whatever happens to the session.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "wire/snapshot.h"

struct kt_snapshot_entry {
	char name[KT_SNAPSHOT_NAME_MAX + 1];
	uint64_t offset; /* of the text in the file */
	uint32_t len;    /* bytes of the text */
};

struct kt_snapshots {
	int fd;        /* memfd; -1: none */
	uint64_t len;  /* bytes of the file */
	uint64_t dead; /* of these, bytes of texts that were replaced or removed */
	size_t n;
	struct kt_snapshot_entry at[KT_SNAPSHOTS_MAX]; /* in the order in which they were put */
};

#define KT_SNAPSHOTS_NULL ((struct kt_snapshots){ .fd = -1 })

int kt_snapshots_init(struct kt_snapshots *snapshots, struct kt_err *reterr);
void kt_snapshots_deinit(struct kt_snapshots *snapshots);

/*
 * Adds a text of at most KT_SNAPSHOT_LEN_MAX bytes. One with the same name is replaced, which
 * *@ret_replaced says. If there are KT_SNAPSHOTS_MAX others, -ENOSPC, or the oldest one goes if
 * @evict.
 */
int kt_snapshots_put(struct kt_snapshots *snapshots, const char *name, const char *text, size_t len,
		     bool evict, bool *ret_replaced, struct kt_err *reterr);

/* NULL when there is none. */
const struct kt_snapshot_entry *kt_snapshots_find(const struct kt_snapshots *snapshots,
						  const char *name);

/* A copy of a text with a NUL behind, to be freed. NULL: out of memory, or a damaged file. */
char *kt_snapshots_text(const struct kt_snapshots *snapshots,
			const struct kt_snapshot_entry *entry);

/*
 * Fills in what is in the file, which another process has filled. Of a file that ends in the middle
 * of a text, what is before it counts.
 */
void kt_snapshots_scan(struct kt_snapshots *snapshots);
