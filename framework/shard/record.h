/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The record of a run, or of a shard of one: which tests there were to divide, which of them the
 * shard had, and what became of each. A shard writes it as a file shard-M-of-N.json: "ktests merge"
 * proves by these files that all shards together have run every test once, and --timings divides by
 * them. A run of its own keeps it as a journal (journal.h), for --rerun and "ktests replay".
 *
 * docs/shards.md describes the file. It comes from other hosts, so that it is not trusted.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "wire/result.h"

#define KT_SHARD_RECORD_MAX ((size_t)64 << 20) /* bytes of a file */
#define KT_SHARD_NAME_MAX   255u /* bytes of the name of a test or of a kernel's label */

/* What is known of a shard before its tests and at its end. Texts are borrowed and never NULL. */
struct kt_shard_head {
	const char *run;     /* the run that the shard is a part of; "": it has no name */
	const char *program; /* build-id; "": unknown */
	unsigned int index;  /* 1..total */
	unsigned int total;
	const char *partition;  /* "slice", "hash", "count", "time" */
	uint64_t timings;       /* hash of the times by which was divided; 0: it was not by time */
	const char *const *all; /* names of the tests before they were divided, in their order */
	size_t n_all;
	const char *const *selected; /* of these, the shard's */
	size_t n_selected;
	const char *const *known; /* of a journal: all tests of the program; the others are new */
	size_t n_known;           /* 0: not known */
	const char *const *outstanding; /* of a journal: to be run again, but not by this run */
	size_t n_outstanding;
	const char *const *labels; /* of several kernels: each test runs on each of them */
	size_t n_labels;           /* 0: there is one kernel */
	unsigned int rounds;       /* of each test; 0: as many as there was time for */
	const char *host, *kernel, *accel, *time; /* "": no machine was needed */
	unsigned int retries;                     /* of --retries */
	uint64_t seed;
	bool complete; /* the run of the shard did not end early */
	uint64_t elapsed_ms;
	int status;          /* of a journal that was ended: the exit status; -1: not known */
	uint64_t n_left_out; /* results that a journal has no room for */
};

/* What became of a test, by its last attempt. Texts are borrowed. */
struct kt_shard_result {
	const char *test;
	const char *label; /* of the kernel; "": there is one kernel */
	unsigned int iteration, attempts;
	unsigned int vcpus;
	enum kt_verdict verdict;
	uint64_t ms;        /* of all attempts */
	uint64_t seed;      /* of the last attempt */
	const char *reason; /* may be NULL */
	const char *file;
	unsigned int line;
};

struct kt_shard_record {
	struct kt_shard_head head;
	struct kt_shard_result *results; /* owned */
	size_t n_results;
	const char **names; /* the vectors of @head; owned */
	json_t *json;       /* the texts; owned */
};

#define KT_SHARD_RECORD_NULL ((struct kt_shard_record){ .json = NULL })

void kt_shard_record_deinit(struct kt_shard_record *record);

/* A new JSON object of a result; NULL when out of memory. */
json_t *kt_shard_result_to_json(const struct kt_shard_result *result);

/* A new JSON object of a record, with the array @results; NULL when out of memory. */
json_t *kt_shard_record_to_json(const struct kt_shard_head *head, json_t *results);

/*
 * Writes DIR/shard-M-of-N.json in one step, or DIR/@name unless that is NULL. @results: an array of
 * kt_shard_result_to_json().
 */
int kt_shard_record_write(const char *dir, const char *name, const struct kt_shard_head *head,
			  json_t *results, struct kt_err *reterr);

/* "DIR/shard-M-of-N.json", to be freed. NULL when out of memory. */
char *kt_shard_record_path(const char *dir, unsigned int index, unsigned int total);

/* Whether a file of that name is a record. */
bool kt_shard_record_is_name(const char *file);

/*
 * Reads the text of a file, a journal too. -EBADMSG for one that is damaged, -EPROTO for one of
 * another version; names of tests in a record are never empty and hold no slash or control
 * character, nor begin with a dot. -ENOMEM.
 */
int kt_shard_record_parse(const char *text, size_t len, struct kt_shard_record *ret_record,
			  struct kt_err *reterr);

/* Reads a file. The error names it. */
int kt_shard_record_read(const char *path, struct kt_shard_record *ret_record,
			 struct kt_err *reterr);

/* A hash of names in their order. */
uint64_t kt_shard_names_hash(const char *const *names, size_t n);
