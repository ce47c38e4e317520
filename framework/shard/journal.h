/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The journal of a run: a record (record.h) that grows while the run goes on, so that a run which
 * is killed leaves one, too. It is a file run.jsonl with a line of JSON for each event: the first
 * is the record without results, each other one a result, and the last one what is known at the
 * end. docs/results.md describes it.
 */

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "framework/shard/record.h"
#include "util/err.h"

#define KT_JOURNAL_FILE "run.jsonl"

struct kt_journal {
	int fd;              /* -1: it is closed */
	uint64_t room;       /* bytes that results may still take */
	uint64_t n_left_out; /* results that came after they were used up */
};

#define KT_JOURNAL_NULL ((struct kt_journal){ .fd = -1 })

void kt_journal_deinit(struct kt_journal *journal);

/* Begins DIR/run.jsonl anew. Texts of @head are borrowed for the call. */
int kt_journal_begin(struct kt_journal *journal, const char *dir, const struct kt_shard_head *head,
		     struct kt_err *reterr);

/* Adds a result in one write. One that there is no room for is counted only. */
int kt_journal_add(struct kt_journal *journal, const struct kt_shard_result *result,
		   struct kt_err *reterr);

/* Adds the end; @status is the exit status of the program. */
int kt_journal_end(struct kt_journal *journal, bool complete, uint64_t elapsed_ms, int status,
		   struct kt_err *reterr);

/* Whether the run of the journal at @path goes on. False where the file system has no locks. */
bool kt_journal_grows(const char *path);

/* Whether the text of a record is that of a journal. */
bool kt_journal_is(const char *text, size_t len);

/*
 * Makes the JSON of a record of a journal, *@ret_json. A last line that was not written whole is
 * left out. -EBADMSG for one that is damaged, -ENOMEM.
 */
int kt_journal_parse(const char *text, size_t len, json_t **ret_json, struct kt_err *reterr);
