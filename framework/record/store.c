/* SPDX-License-Identifier: MIT */
#define XXH_INLINE_ALL
#include "framework/record/store.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "framework/shard/journal.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/io.h"

/*
 * Everything that the store wants to know of a record is in its name: the date, which sorts, and
 * the program. So neither a run nor a look for the latest record opens any other.
 */

#define DATE_LEN 22u /* "20261128T074103.123456", UTC */

/* A hash of the path of this program. */
static uint32_t program_key(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path));

	return len > 0 ? XXH32(path, (size_t)len, 0) : 0;
}

static void write_date(uint64_t at_ns, char text[DATE_LEN + 1])
{
	time_t seconds = (time_t)(at_ns / KT_NSEC_PER_SEC);
	struct tm tm = { .tm_mday = 1 };

	(void)gmtime_r(&seconds, &tm);
	(void)strftime(text, DATE_LEN + 1, "%Y%m%dT%H%M%S", &tm);
	(void)snprintf(text + 15, DATE_LEN + 1 - 15, ".%06u",
		       (unsigned int)(at_ns % KT_NSEC_PER_SEC / KT_NSEC_PER_USEC));
}

/* Whether a file of that name is a record; of which program in *@ret_key. */
static bool is_record(const char *name, uint32_t *ret_key)
{
	int end = 0;

	return strspn(name, "0123456789T.") == DATE_LEN &&
	       sscanf(name + DATE_LEN, "-%8" SCNx32 "-%*9u%n", ret_key, &end) == 1 && end &&
	       !name[DATE_LEN + (size_t)end];
}

static int only_records(const struct dirent *entry)
{
	uint32_t key;

	return is_record(entry->d_name, &key);
}

/* By name, with the oldest first; to be freed with free_names(). Negative errno. */
static int list(const char *dir, struct dirent ***ret_names)
{
	int n = scandir(dir, ret_names, only_records, alphasort);

	return n < 0 ? -errno : n;
}

static void free_names(struct dirent **names, int n)
{
	for (int i = 0; i < n; i++)
		free(names[i]);
	free((void *)names);
}

static void make_room(const char *dir, uint64_t now_ns)
{
	struct dirent **names = NULL;
	char oldest[DATE_LEN + 1];
	int n = list(dir, &names);

	write_date(now_ns > KT_RECORDS_AGE_NS ? now_ns - KT_RECORDS_AGE_NS : 0, oldest);
	for (int i = 0; i < n; i++) {
		KT_FREE char *path = NULL;

		if (n - i < (int)KT_RECORDS_MAX && strncmp(names[i]->d_name, oldest, DATE_LEN) >= 0)
			break;
		path = kt_format("%s/%s", dir, names[i]->d_name);
		if (path)
			(void)kt_cache_remove(path);
	}
	free_names(names, n);
}

int kt_records_new(char **ret_dir, struct kt_err *reterr)
{
	uint64_t now_ns = kt_realtime_ns();
	KT_FREE char *dir = NULL;
	char date[DATE_LEN + 1];
	int r = kt_cache_path("records", &dir, reterr);

	if (r < 0)
		return r;
	if (access(dir, W_OK | X_OK) < 0)
		return kt_err_set(reterr, -errno, "'%s': %m", dir);
	make_room(dir, now_ns);
	write_date(now_ns, date);
	*ret_dir = kt_format("%s/%s-%08" PRIx32 "-%d", dir, date, program_key(), (int)getpid());
	return *ret_dir ? 0 : kt_err_oom(reterr);
}

/*
 * A run that was killed at its very beginning has left a directory without a journal, and one that
 * goes on has not left anything yet.
 */
static bool is_candidate(const char *dir, const char *name, uint32_t program)
{
	KT_FREE char *journal = kt_format("%s/%s/" KT_JOURNAL_FILE, dir, name);
	uint32_t key;

	return is_record(name, &key) && key == program && journal && kt_file_readable(journal) &&
	       !kt_journal_grows(journal);
}

int kt_records_latest(char **ret_dir, struct kt_err *reterr)
{
	uint32_t mine = program_key();
	struct dirent **names = NULL;
	KT_FREE char *dir = NULL;
	int r = kt_cache_path("records", &dir, reterr), n, i;

	if (r < 0)
		return r;
	n = i = list(dir, &names);
	while (i > 0 && !is_candidate(dir, names[i - 1]->d_name, mine))
		i--;
	*ret_dir = i > 0 ? kt_format("%s/%s", dir, names[i - 1]->d_name) : NULL;
	free_names(names, n);
	if (i > 0)
		return *ret_dir ? 0 : kt_err_oom(reterr);
	return kt_err_set(reterr, -ENOENT,
			  "'%s' has no record of a run of this program; name a record, such as the "
			  "directory that -o of a run has filled",
			  dir);
}
