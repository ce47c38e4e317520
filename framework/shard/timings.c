/* SPDX-License-Identifier: MIT */
#include "framework/shard/timings.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "framework/shard/record.h"
#include "util/cleanup.h"
#include "util/io.h"

#define TIMINGS_MAX ((size_t)10000000) /* of all files together */

void kt_timings_deinit(struct kt_timings *timings)
{
	for (size_t i = 0; i < timings->n; i++)
		free(timings->at[i].test);
	free(timings->at);
	*timings = KT_TIMINGS_NULL;
}

/* A test that was skipped has taken no time, and will be skipped again where it runs next. */
static int add_record(struct kt_timings *timings, const struct kt_shard_record *record,
		      struct kt_err *reterr)
{
	struct kt_timing *grown;

	if (record->n_results > TIMINGS_MAX - timings->n)
		return kt_err_set(reterr, -E2BIG, "more than %zu times", TIMINGS_MAX);
	grown = reallocarray(timings->at, timings->n + record->n_results + 1, sizeof(*grown));
	if (!grown)
		return kt_err_oom(reterr);
	timings->at = grown;
	for (size_t i = 0; i < record->n_results; i++) {
		const struct kt_shard_result *result = &record->results[i];

		grown[timings->n] = (struct kt_timing){ strdup(result->test), result->ms };
		if (!grown[timings->n].test)
			return kt_err_oom(reterr);
		timings->n++;
	}
	return 0;
}

static int add_file(struct kt_timings *timings, const char *path, struct kt_err *reterr)
{
	struct kt_shard_record record;
	int r = kt_shard_record_read(path, &record, reterr);

	if (r < 0)
		return r;
	r = add_record(timings, &record, reterr);
	kt_shard_record_deinit(&record);
	return r;
}

static int add_directory(struct kt_timings *timings, const char *path, DIR *dir,
			 struct kt_err *reterr)
{
	unsigned int n = 0;
	int r = 0;

	for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
		KT_FREE char *file = kt_format("%s/%s", path, entry->d_name);

		if (!kt_shard_record_is_name(entry->d_name) &&
		    strcmp(entry->d_name, KT_TIMINGS_FILE) != 0)
			continue;
		r = file ? add_file(timings, file, reterr) : kt_err_oom(reterr);
		n++;
	}
	if (r == 0 && !n)
		return kt_err_set(reterr, -ENOENT,
				  "'%s' has no " KT_TIMINGS_FILE " and no shard-M-of-N.json", path);
	return r;
}

static int by_test_and_time(const void *a, const void *b)
{
	const struct kt_timing *left = a, *right = b;

	return strcmp(left->test, right->test) ?: (left->ms > right->ms) - (left->ms < right->ms);
}

int kt_timings_read(const char *path, struct kt_timings *ret_timings, struct kt_err *reterr)
{
	struct kt_timings timings = KT_TIMINGS_NULL;
	DIR *dir = opendir(path);
	int r;

	if (!dir && errno != ENOTDIR)
		return kt_err_set(reterr, -errno, "'%s': %m", path);
	r = dir ? add_directory(&timings, path, dir, reterr) : add_file(&timings, path, reterr);
	if (dir)
		(void)closedir(dir);
	if (timings.n)
		qsort(timings.at, timings.n, sizeof(*timings.at), by_test_and_time);
	if (r < 0)
		kt_timings_deinit(&timings);
	else
		*ret_timings = timings;
	return r;
}

/* The first timing whose test is not before @test. */
static size_t find(const struct kt_timings *timings, const char *test)
{
	size_t from = 0, to = timings->n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (strcmp(timings->at[middle].test, test) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

/* Of an even number, the lower one of the two in the middle. */
int64_t kt_timings_median_ms(const struct kt_timings *timings, const char *test)
{
	size_t from = find(timings, test), to = from;

	while (to < timings->n && !strcmp(timings->at[to].test, test))
		to++;
	return from < to ? (int64_t)timings->at[from + (to - from - 1) / 2].ms : -1;
}
