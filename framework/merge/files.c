/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/merge/merged.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/parse.h"

/*
 * The files of a result are copied as they are, because reports hold less than they do. All that is
 * there of a test is then of one run: what an earlier merge has left goes.
 */

#define FILE_MAX ((size_t)512 << 20) /* a story with all its snapshots is smaller */

static const char *const endings[] = {
	"json", "scheduler.log", "dump", "stdout", "stderr", "console", "failure.json", "dmesg",
};

static int copy_file(const char *from, const char *to, struct kt_err *reterr)
{
	KT_FREE char *text = NULL;
	size_t len;
	int r;

	if (!kt_file_readable(from)) {
		if (unlink(to) < 0 && errno != ENOENT)
			return kt_err_set(reterr, -errno, "'%s': %m", to);
		return 0;
	}
	r = kt_file_read(from, FILE_MAX, &text, &len);
	if (r < 0)
		return kt_err_set(reterr, r, "'%s': %m", from);
	return kt_file_publish(to, text, len, reterr);
}

static int copy_reports(const char *from, const char *to, DIR *dir, struct kt_err *reterr)
{
	int r = kt_mkdir_all(to, reterr);

	for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
		KT_FREE char *source = kt_format("%s/%s", from, entry->d_name);
		KT_FREE char *target = kt_format("%s/%s", to, entry->d_name);

		if (*entry->d_name == '.' || !kt_ends_with(entry->d_name, ".json"))
			continue;
		r = source && target ? copy_file(source, target, reterr) : kt_err_oom(reterr);
	}
	return r;
}

static int copy_snapshots(const char *base, const char *target, struct kt_err *reterr)
{
	KT_FREE char *from = kt_format("%s.snapshots", base);
	KT_FREE char *to = kt_format("%s.snapshots", target);
	DIR *dir;
	int r;

	if (!from || !to)
		return kt_err_oom(reterr);
	r = kt_remove_all(to);
	if (r < 0)
		return kt_err_set(reterr, r, "'%s', of an earlier run: %m", to);
	dir = opendir(from);
	if (!dir)
		return errno == ENOENT ? 0 : kt_err_set(reterr, -errno, "'%s': %m", from);
	r = copy_reports(from, to, dir, reterr);
	(void)closedir(dir);
	return r;
}

int kt_merged_copy(const struct kt_merged *merged, const char *dir, struct kt_err *reterr)
{
	const char *name = strrchr(merged->base, '/') + 1;
	KT_FREE char *target = kt_format("%s/%s", dir, name);
	int r = target ? 0 : kt_err_oom(reterr);

	for (size_t i = 0; r == 0 && i < KT_ARRAY_LEN(endings); i++) {
		KT_FREE char *from = kt_format("%s.%s", merged->base, endings[i]);
		KT_FREE char *to = kt_format("%s.%s", target, endings[i]);

		r = from && to ? copy_file(from, to, reterr) : kt_err_oom(reterr);
	}
	return r ?: copy_snapshots(merged->base, target, reterr);
}
