/* SPDX-License-Identifier: MIT */
#pragma once
/* The shards of a run: their records, found in directories, and what is wrong with them. */

#include <stdbool.h>
#include <stdio.h>

#include "framework/shard/record.h"

struct kt_merge_shard {
	char *dir;  /* with the files TEST.json; owned */
	char *path; /* of the record; owned */
	struct kt_shard_record record;
};

struct kt_merge {
	struct kt_merge_shard *shards; /* owned; by their numbers after kt_merge_sort() */
	size_t n;
	const char *command;   /* that faults are told of, as "merge"; borrowed */
	FILE *out;             /* where faults are told, one a line; borrowed */
	unsigned int n_faults; /* that were told */
};

void kt_merge_deinit(struct kt_merge *merge);

/*
 * Adds the records in the directory @path and in the directories in it. One that cannot be read is
 * a fault. Returns 0 or -ENOMEM.
 */
int kt_merge_read(struct kt_merge *merge, const char *path);

/* Sorts the shards by number and path. */
void kt_merge_sort(struct kt_merge *merge);

/* Tells a fault: a line of its own, without terminal control that a file may hold. */
void kt_merge_fault(struct kt_merge *merge, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Proves that the shards are those of one run and that together they have run every test of the
 * list once, in every round and on every kernel; whatever is against it is a fault. The shards are
 * sorted. Returns 0 or -ENOMEM.
 */
int kt_merge_prove(struct kt_merge *merge);
