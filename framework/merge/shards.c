/* SPDX-License-Identifier: MIT */
#include "framework/merge/shards.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "framework/outcome/capture.h"
#include "util/cleanup.h"
#include "util/io.h"

#define SHARDS_MAX 200000u /* records that are read; a run has at most 100000 shards */

void kt_merge_deinit(struct kt_merge *merge)
{
	for (size_t i = 0; i < merge->n; i++) {
		kt_shard_record_deinit(&merge->shards[i].record);
		free(merge->shards[i].path);
		free(merge->shards[i].dir);
	}
	free(merge->shards);
	*merge = (struct kt_merge){ .command = merge->command,
				    .out = merge->out,
				    .n_faults = merge->n_faults };
}

void kt_merge_fault(struct kt_merge *merge, const char *format, ...)
{
	char *text = NULL;
	va_list ap;

	merge->n_faults++;
	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	if (text)
		kt_text_sanitize(text);
	(void)fprintf(merge->out, "%s: %s\n", merge->command, text ?: "out of memory");
	free(text);
}

/* Takes @path over, also after a failure. */
static int add_shard(struct kt_merge *merge, const char *dir, char *path)
{
	struct kt_merge_shard *grown = reallocarray(merge->shards, merge->n + 1, sizeof(*grown));
	struct kt_merge_shard shard = { .path = path, .record = KT_SHARD_RECORD_NULL };
	struct kt_err err = KT_ERR_NULL;
	int r;

	merge->shards = grown ?: merge->shards;
	shard.dir = grown && path ? strdup(dir) : NULL;
	if (!shard.dir) {
		free(path);
		return -ENOMEM;
	}
	r = merge->n < SHARDS_MAX ? kt_shard_record_read(path, &shard.record, &err)
				  : kt_err_set(&err, -E2BIG, "more than %u records", SHARDS_MAX);
	if (r < 0) {
		kt_merge_fault(merge, "%s", err.text);
		free(shard.dir);
		free(path);
		return r == -ENOMEM ? r : 0;
	}
	merge->shards[merge->n++] = shard;
	return 0;
}

/* @deeper: directories in it, too. A run may have left them: "TEST.snapshots" has no records. */
static int read_directory(struct kt_merge *merge, const char *path, bool deeper)
{
	DIR *dir = opendir(path);
	int r = 0;

	if (!dir) {
		kt_merge_fault(merge, "'%s': %s", path, strerror(errno));
		return 0;
	}
	for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
		KT_FREE char *inner = kt_format("%s/%s", path, entry->d_name);

		if (!inner)
			r = -ENOMEM;
		else if (kt_shard_record_is_name(entry->d_name))
			r = add_shard(merge, path, kt_steal(inner));
		else if (deeper && *entry->d_name != '.' && kt_is_directory(inner))
			r = read_directory(merge, inner, false);
	}
	(void)closedir(dir);
	return r;
}

int kt_merge_read(struct kt_merge *merge, const char *path)
{
	return read_directory(merge, path, true);
}

static int by_number(const void *a, const void *b)
{
	const struct kt_merge_shard *left = a, *right = b;
	const struct kt_shard_head *l = &left->record.head, *r = &right->record.head;

	if (l->total != r->total)
		return l->total < r->total ? -1 : 1;
	if (l->index != r->index)
		return l->index < r->index ? -1 : 1;
	return strcmp(left->path, right->path);
}

void kt_merge_sort(struct kt_merge *merge)
{
	if (merge->n)
		qsort(merge->shards, merge->n, sizeof(*merge->shards), by_number);
}
