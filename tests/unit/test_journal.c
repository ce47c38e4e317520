/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "framework/shard/journal.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(journal);

static const char *const NAMES[] = { "one", "two", "three" };

static const struct kt_shard_head HEAD = {
	.run = "",
	.program = "abc",
	.index = 1,
	.total = 1,
	.partition = "slice",
	.all = NAMES,
	.n_all = 2,
	.selected = NAMES,
	.n_selected = 2,
	.known = NAMES,
	.n_known = 3,
	.outstanding = NAMES + 2,
	.n_outstanding = 1,
	.rounds = 1,
	.host = "h",
	.kernel = "k",
	.accel = "tcg",
	.time = "virtual",
	.seed = 7,
};

static const struct kt_shard_result RESULT = {
	.test = "one",
	.label = "",
	.iteration = 1,
	.attempts = 2,
	.vcpus = 2,
	.verdict = KT_VERDICT_FAIL,
	.ms = 12,
	.seed = UINT64_MAX,
	.reason = "why",
	.file = "f.c",
	.line = 3,
};

static char dir[] = "/tmp/ktest-journal-XXXXXX";

static void begin(void)
{
	cr_assert(mkdtemp(dir) != NULL);
}

static void end(void)
{
	(void)kt_remove_all(dir);
}

/* The text of a journal with one result; @ended: and with its end. */
static char *write_journal(bool ended, size_t *ret_len)
{
	KT_CLEANUP(kt_journal_deinit) struct kt_journal journal = KT_JOURNAL_NULL;
	KT_FREE char *path = kt_format("%s/" KT_JOURNAL_FILE, dir);
	struct kt_err err = KT_ERR_NULL;
	char *text = NULL;

	cr_assert(zero(int, kt_journal_begin(&journal, dir, &HEAD, &err)), "%s", err.text);
	cr_assert(zero(int, kt_journal_add(&journal, &RESULT, &err)), "%s", err.text);
	if (ended)
		cr_assert(zero(int, kt_journal_end(&journal, true, 345, 100, &err)), "%s",
			  err.text);
	cr_assert(zero(int, kt_file_read(path, 1 << 20, &text, ret_len)));
	return text;
}

static void check_names(const char *const *names, size_t n, const char *first, size_t wanted)
{
	cr_assert(eq(sz, n, wanted));
	cr_assert(eq(str, (char *)names[0], (char *)first));
}

Test(journal, it_reads_what_it_wrote, .init = begin, .fini = end)
{
	KT_CLEANUP(kt_shard_record_deinit) struct kt_shard_record record = KT_SHARD_RECORD_NULL;
	struct kt_err err = KT_ERR_NULL;
	size_t len;
	KT_FREE char *text = write_journal(true, &len);

	cr_assert(zero(int, kt_shard_record_parse(text, len, &record, &err)), "%s", err.text);
	check_names(record.head.all, record.head.n_all, "one", 2);
	check_names(record.head.selected, record.head.n_selected, "one", 2);
	check_names(record.head.known, record.head.n_known, "one", 3);
	check_names(record.head.outstanding, record.head.n_outstanding, "three", 1);
	cr_assert(record.head.complete);
	cr_assert(eq(u64, record.head.elapsed_ms, 345));
	cr_assert(eq(int, record.head.status, 100));
	cr_assert(zero(u64, record.head.n_left_out));
	cr_assert(eq(sz, record.n_results, 1));
	cr_assert(eq(u64, record.results[0].seed, UINT64_MAX));
	cr_assert(eq(int, record.results[0].verdict, KT_VERDICT_FAIL));
}

/* Wherever a run is killed, what was written whole is read, and the run is not complete. */
Test(journal, it_can_break_off_anywhere, .init = begin, .fini = end)
{
	size_t len, first;
	KT_FREE char *text = write_journal(false, &len);

	first = strcspn(text, "\n") + 1;
	for (size_t at = 0; at <= len; at++) {
		KT_CLEANUP(kt_shard_record_deinit)
		struct kt_shard_record record = KT_SHARD_RECORD_NULL;
		struct kt_err err = KT_ERR_NULL;
		int r = kt_shard_record_parse(text, at, &record, &err);

		/* One without all members of its first line is refused. */
		cr_assert(eq(int, r, at + 1 < first ? -EBADMSG : 0), "%zu: %s", at, err.text);
		cr_assert(eq(sz, record.n_results, at == len));
		cr_assert(not(record.head.complete));
		cr_assert(eq(int, r < 0 ? -1 : record.head.status, -1));
	}
}

Test(journal, one_that_is_full_counts_what_it_leaves_out, .init = begin, .fini = end)
{
	KT_CLEANUP(kt_shard_record_deinit) struct kt_shard_record record = KT_SHARD_RECORD_NULL;
	KT_CLEANUP(kt_journal_deinit) struct kt_journal journal = KT_JOURNAL_NULL;
	KT_FREE char *path = kt_format("%s/" KT_JOURNAL_FILE, dir);
	struct kt_err err = KT_ERR_NULL;

	cr_assert(zero(int, kt_journal_begin(&journal, dir, &HEAD, &err)));
	journal.room = 400; /* of less than two results */
	for (int i = 0; i < 5; i++)
		cr_assert(zero(int, kt_journal_add(&journal, &RESULT, &err)));
	cr_assert(zero(int, kt_journal_end(&journal, false, 1, 0, &err)));
	cr_assert(zero(int, kt_shard_record_read(path, &record, &err)), "%s", err.text);
	cr_assert(gt(sz, record.n_results, 0));
	cr_assert(eq(u64, record.head.n_left_out, 5 - record.n_results));
}

Test(journal, a_directory_that_is_missing_is_named)
{
	KT_CLEANUP(kt_journal_deinit) struct kt_journal journal = KT_JOURNAL_NULL;
	struct kt_err err = KT_ERR_NULL;

	cr_assert(eq(int, kt_journal_begin(&journal, "/nowhere", &HEAD, &err), -ENOENT));
	cr_assert(strstr(err.text, "/nowhere/run.jsonl") != NULL);
}
