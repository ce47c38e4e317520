/* SPDX-License-Identifier: MIT */
#include "framework/record/outstanding.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/record/store.h"
#include "framework/shard/journal.h"
#include "framework/shard/timings.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/names.h"

/*
 * A test is outstanding unless the record has results of it and all are PASS or SKIP. A test that
 * runs on several kernels or in several rounds is one: it is run again on all kernels.
 */

void kt_outstanding_deinit(struct kt_outstanding *outstanding)
{
	kt_shard_record_deinit(&outstanding->record);
	free(outstanding->dir);
	free(outstanding->path);
	free(outstanding->tests);
	free(outstanding->known);
	*outstanding = KT_OUTSTANDING_NULL;
}

/* ---- where the record is --------------------------------------------------------------------- */

static int keep_if_there(char *path, char **ret_path)
{
	if (path && kt_file_readable(path)) {
		*ret_path = path;
		return 1;
	}
	free(path);
	return path ? 0 : -ENOMEM;
}

/* The record of the only shard in @dir. */
static int find_shard(const char *dir, char **ret_path, struct kt_err *reterr)
{
	DIR *stream = opendir(dir);
	unsigned int n = 0;
	int r = stream ? 0 : -errno;

	for (struct dirent *entry; r == 0 && stream && (entry = readdir(stream));) {
		if (!kt_shard_record_is_name(entry->d_name) || n++)
			continue;
		*ret_path = kt_format("%s/%s", dir, entry->d_name);
		r = *ret_path ? 0 : -ENOMEM;
	}
	if (stream)
		(void)closedir(stream);
	if (r < 0)
		return kt_err_set(reterr, r, "'%s': %m", dir);
	if (n == 1)
		return 0;
	free(*ret_path);
	*ret_path = NULL;
	return kt_err_set(reterr, -ENOENT,
			  n ? "'%s' has the records of %u shards; name one, or what 'merge -o DIR' "
			      "makes of them"
			    : "'%s' has no record of a run: no " KT_JOURNAL_FILE
			      ", " KT_TIMINGS_FILE " or shard-M-of-N.json",
			  dir, n);
}

static int find_in(const char *dir, char **ret_path, struct kt_err *reterr)
{
	int r = keep_if_there(kt_format("%s/" KT_JOURNAL_FILE, dir), ret_path);

	r = r ?: keep_if_there(kt_format("%s/" KT_TIMINGS_FILE, dir), ret_path);
	if (r < 0)
		return kt_err_oom(reterr);
	return r ? 0 : find_shard(dir, ret_path, reterr);
}

static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Sets the paths of the record and of its directory. */
static int locate(struct kt_outstanding *outstanding, const char *which, struct kt_err *reterr)
{
	bool is_latest = !strcmp(which, "latest");
	int r = is_latest ? kt_records_latest(&outstanding->dir, reterr) : 0;

	if (r < 0)
		return r;
	if (!is_latest && !kt_is_directory(which)) {
		outstanding->path = strdup(which);
		outstanding->dir = directory_of(which);
		return outstanding->path && outstanding->dir ? 0 : kt_err_oom(reterr);
	}
	outstanding->dir = outstanding->dir ?: strdup(which);
	return outstanding->dir ? find_in(outstanding->dir, &outstanding->path, reterr)
				: kt_err_oom(reterr);
}

/* ---- what is outstanding --------------------------------------------------------------------- */

static bool is_good(const struct kt_shard_result *result)
{
	return result->verdict == KT_VERDICT_PASS || result->verdict == KT_VERDICT_SKIP;
}

/* Failures of different seeds: no seed repeats all of them. */
static void take_seed(struct kt_outstanding *outstanding, uint64_t seed, size_t n_failures)
{
	if (n_failures == 1)
		outstanding->seed = seed;
	else if (outstanding->seed != seed)
		outstanding->seed = outstanding->record.head.seed;
}

static int find_tests(struct kt_outstanding *outstanding, struct kt_err *reterr)
{
	const struct kt_shard_record *record = &outstanding->record;
	const struct kt_shard_head *head = &record->head;
	KT_FREE const char **done = calloc(record->n_results + 1, sizeof(*done));
	size_t n_done = 0, n_failures = 0, n = 0;

	outstanding->tests = calloc(record->n_results + head->n_selected + head->n_outstanding + 1,
				    sizeof(*outstanding->tests));
	if (!done || !outstanding->tests)
		return kt_err_oom(reterr);
	outstanding->seed = head->seed;
	for (size_t i = 0; i < record->n_results; i++) {
		done[n_done++] = record->results[i].test;
		if (is_good(&record->results[i]))
			continue;
		outstanding->tests[n++] = record->results[i].test;
		take_seed(outstanding, record->results[i].seed, ++n_failures);
	}
	n_done = kt_names_sort(done, n_done);
	for (size_t i = 0; i < head->n_selected; i++) {
		if (!kt_names_has(done, n_done, head->selected[i]))
			outstanding->tests[n++] = head->selected[i];
	}
	outstanding->n_not_run = n - n_failures;
	for (size_t i = 0; i < head->n_outstanding; i++)
		outstanding->tests[n++] = head->outstanding[i];
	outstanding->n = kt_names_sort(outstanding->tests, n);
	return 0;
}

static int sort_known(struct kt_outstanding *outstanding, struct kt_err *reterr)
{
	const struct kt_shard_head *head = &outstanding->record.head;

	outstanding->known = calloc(head->n_known + 1, sizeof(*outstanding->known));
	if (!outstanding->known)
		return kt_err_oom(reterr);
	for (size_t i = 0; i < head->n_known; i++)
		outstanding->known[i] = head->known[i];
	outstanding->n_known = kt_names_sort(outstanding->known, head->n_known);
	return 0;
}

int kt_outstanding_read(struct kt_outstanding *outstanding, const char *which,
			struct kt_err *reterr)
{
	int r;

	*outstanding = KT_OUTSTANDING_NULL;
	r = locate(outstanding, which, reterr)
		    ?: kt_shard_record_read(outstanding->path, &outstanding->record, reterr)
		    ?: find_tests(outstanding, reterr) ?: sort_known(outstanding, reterr);
	if (r < 0)
		kt_outstanding_deinit(outstanding);
	return r;
}
