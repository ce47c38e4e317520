/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/report/shard.h"
#include "framework/shard/journal.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"

/*
 * The journal of a run has a line for each test, written when the test has ended and its files are
 * there: whatever a journal tells of can be read again, also after the run was killed.
 *
 * The record in the cache is made for every run, and nobody has asked for it. It is as a journal
 * with files of its own; when it cannot be written or is full, the run goes on without.
 */

#define RECORD_BYTES (UINT64_C(32) << 20) /* of files; those of the test that exceeds it stay */

struct journal {
	struct kt_reporter reporter;
	char *dir;
	struct kt_shard_head head;
	struct kt_journal journal;
	struct kt_reporter *files; /* of the record in the cache; NULL: another reporter's */
	int use_fd;                /* marks the record as in use; -1: there is none */
	bool failed;               /* nothing more is written */
	struct kt_err err;         /* of the first failure */
};

/* A failure is told at the end; of the record in the cache by a warning only. */
static int keep_failure(struct journal *journal, int r)
{
	journal->failed |= r < 0;
	return 0;
}

static int begin_files(struct journal *journal, const struct kt_run_info *info)
{
	int r;

	if (!journal->files)
		return 0;
	journal->files->info = info;
	r = journal->files->ops->begin(journal->files, info, &journal->err);
	if (r == 0)
		kt_cache_use(journal->dir, &journal->use_fd);
	return r;
}

static int journal_begin(struct kt_reporter *reporter, const struct kt_run_info *info,
			 struct kt_err *reterr)
{
	struct journal *journal = (struct journal *)reporter;
	struct kt_shard_head head = journal->head;
	char host[256];
	int r;

	kt_report_shard_describe(&head, info, host);
	head.complete = false;
	r = begin_files(journal, info)
		    ?: kt_journal_begin(&journal->journal, journal->dir, &head, &journal->err);
	if (r < 0 && !journal->files)
		return kt_err_set(reterr, r, "%s", journal->err.text);
	return keep_failure(journal, r);
}

static int journal_outcome(struct kt_reporter *reporter, const struct kt_outcome *outcome)
{
	struct journal *journal = (struct journal *)reporter;
	struct kt_shard_result result = kt_report_shard_result(outcome);

	if (journal->failed)
		return 0;
	if (journal->files && kt_report_sidecar_bytes(journal->files) > RECORD_BYTES) {
		journal->journal.n_left_out++;
		return 0;
	}
	if (journal->files) {
		(void)journal->files->ops->outcome(journal->files, outcome);
		journal->failed = kt_report_sidecar_has_failed(journal->files);
	}
	/* A journal tells of no test whose files are not there. */
	if (journal->failed)
		return 0;
	return keep_failure(journal, kt_journal_add(&journal->journal, &result, &journal->err));
}

static int journal_end(struct kt_reporter *reporter, const struct kt_counts *counts,
		       struct kt_err *reterr)
{
	struct journal *journal = (struct journal *)reporter;
	int r = journal->failed ? -EIO : 0;

	/* The files say why they could not be written. */
	if (journal->files && !*journal->err.text)
		r = journal->files->ops->end(journal->files, counts, &journal->err);
	if (r == 0)
		r = kt_journal_end(&journal->journal, kt_report_shard_is_complete(counts),
				   counts->elapsed_ns / KT_NSEC_PER_MSEC, counts->status,
				   &journal->err);
	if (r < 0 && journal->files)
		(void)fprintf(stderr, "warning: this run has no whole record: %s\n",
			      journal->err.text);
	if (r < 0 && !journal->files)
		return kt_err_set(reterr, r, "results: %s", journal->err.text);
	return 0;
}

static void journal_free(struct kt_reporter *reporter)
{
	struct journal *journal = (struct journal *)reporter;

	kt_reporters_free(journal->files);
	kt_journal_deinit(&journal->journal);
	if (journal->use_fd >= 0)
		(void)close(journal->use_fd);
	free(journal->dir);
	free(journal);
}

static const struct kt_reporter_ops journal_ops = {
	.begin = journal_begin,
	.outcome = journal_outcome,
	.end = journal_end,
	.free = journal_free,
};

int kt_report_journal_new(const char *dir, const struct kt_shard_head *head,
			  struct kt_reporter **ret_reporter)
{
	struct journal *journal = calloc(1, sizeof(*journal));

	if (!journal)
		return -ENOMEM;
	journal->reporter.ops = &journal_ops;
	journal->head = *head;
	journal->journal = KT_JOURNAL_NULL;
	journal->use_fd = -1;
	journal->dir = strdup(dir);
	if (!journal->dir) {
		journal_free(&journal->reporter);
		return -ENOMEM;
	}
	*ret_reporter = &journal->reporter;
	return 0;
}

int kt_report_record_new(const char *dir, const struct kt_shard_head *head,
			 struct kt_reporter **ret_reporter)
{
	struct kt_reporter *files = NULL;
	int r = kt_report_sidecar_new(dir, &files)
			?: kt_report_journal_new(dir, head, ret_reporter);

	if (r < 0)
		kt_reporters_free(files);
	else
		((struct journal *)*ret_reporter)->files = files;
	return r;
}
