/* SPDX-License-Identifier: MIT */
#include "framework/cli/cache.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "framework/cli/exit_status.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/capsule/base.h"
#include "vmm/capsule/writer.h"

/*
 * The whole cache as one list of entries. An entry is what a run uses as a unit, a directory or a
 * file; its time of modification is that of its last use. Removing one never hurts a run: kernels
 * in use are locked, images are open, and templates are read through descriptors. Locks and
 * host.json are not listed: they are small and bounded.
 */

static const struct kind {
	const char *name; /* also in the list */
	const char *sub;  /* directory of the cache */
	const char *lock; /* lock for its stages; NULL: it has none */
	bool per_entry;   /* the entry's name is appended to the lock's name */
} kinds[] = {
	{ "kernel", "kernels", "kernels", false },
	{ "image", "images", NULL, false },
	{ "template", "templates", "template-", true },
	{ "capsule", "capsules", NULL, false }, /* stages have locks of their own */
	{ "symbols", "inspect", NULL, false },  /* and types, of kernels that were looked into */
	{ "record", "records", NULL, false },   /* what --rerun and replay read */
	{ "apt", "apt", NULL, false },          /* one entry: the private tree of "kernel fetch" */
};

struct entry {
	const struct kind *kind;
	char *path;
	const char *name; /* in @path */
	uint64_t disk_bytes;
	uint64_t used_ns; /* time of the last use, on CLOCK_REALTIME */
};

struct entries {
	struct entry *at;
	size_t n;
};

static void entries_deinit(struct entries *entries)
{
	for (size_t i = 0; i < entries->n; i++)
		free(entries->at[i].path);
	free(entries->at);
}

static int fail(const struct kt_err *err)
{
	(void)fprintf(stderr, "ktests: %s\n", err->text);
	return KT_EXIT_STATUS_HARNESS;
}

/* Takes @path over. An entry that another process removes at this moment is left out. */
static int add_entry(struct entries *entries, const struct kind *kind, char *path)
{
	struct entry *grown = reallocarray(entries->at, entries->n + 1, sizeof(*grown));
	struct stat st;

	if (!grown || !path || stat(path, &st) < 0) {
		entries->at = grown ?: entries->at;
		free(path);
		return grown && path ? 0 : -ENOMEM;
	}
	entries->at = grown;
	grown[entries->n++] = (struct entry){
		.kind = kind,
		.path = path,
		.name = strrchr(path, '/') + 1,
		.disk_bytes = kt_cache_disk_bytes(path),
		.used_ns = (uint64_t)st.st_mtim.tv_sec * KT_NSEC_PER_SEC +
			   (uint64_t)st.st_mtim.tv_nsec,
	};
	return 0;
}

static int add_kind(struct entries *entries, const struct kind *kind, struct kt_err *reterr)
{
	KT_FREE char *dir = NULL;
	DIR *stream;
	int r = kt_cache_path(kind->sub, &dir, reterr);

	if (r < 0)
		return r;
	if (!strcmp(kind->name, "apt"))
		return add_entry(entries, kind, kt_steal(dir)) < 0 ? kt_err_oom(reterr) : 0;
	stream = opendir(dir);
	if (!stream)
		return kt_err_set(reterr, -errno, "'%s': %m", dir);
	for (struct dirent *ent; r == 0 && (ent = readdir(stream));) {
		if (ent->d_name[0] != '.')
			r = add_entry(entries, kind, kt_format("%s/%s", dir, ent->d_name));
	}
	(void)closedir(stream);
	return r < 0 ? kt_err_oom(reterr) : 0;
}

static int newest_first(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	return left->used_ns > right->used_ns ? -1 : left->used_ns < right->used_ns;
}

static int read_all(struct entries *entries, struct kt_err *reterr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < KT_ARRAY_LEN(kinds); i++)
		r = add_kind(entries, &kinds[i], reterr);
	if (r == 0 && entries->n)
		qsort(entries->at, entries->n, sizeof(*entries->at), newest_first);
	return r;
}

static bool is_stage(const struct entry *entry)
{
	return strstr(entry->name, KT_CACHE_STAGE_SUFFIX);
}

/* The RAM that capsules need goes with the last of them. */
static bool is_base(const struct entry *entry)
{
	return !strcmp(entry->kind->sub, "capsules") && kt_capsule_is_base(entry->name);
}

static void show(const struct entry *entry)
{
	time_t used = (time_t)(entry->used_ns / KT_NSEC_PER_SEC);
	char when[32] = "";
	struct tm tm;

	if (localtime_r(&used, &tm))
		(void)strftime(when, sizeof(when), "%F %R", &tm);
	(void)printf("%s  %5" PRIu64 " MiB  %-8s  %s%s\n", when, entry->disk_bytes >> 20,
		     entry->kind->name, entry->name, is_stage(entry) ? "  (unfinished)" : "");
}

static void show_total(size_t n, uint64_t bytes, const char *what)
{
	(void)printf("%zu entr%s, %" PRIu64 " MiB%s\n", n, n == 1 ? "y" : "ies", bytes >> 20, what);
}

static int list(void)
{
	KT_CLEANUP(entries_deinit) struct entries entries = { .n = 0 };
	struct kt_err err = KT_ERR_NULL;
	uint64_t total = 0;

	if (read_all(&entries, &err) < 0)
		return fail(&err);
	for (size_t i = 0; i < entries.n; i++) {
		show(&entries.at[i]);
		total += entries.at[i].disk_bytes;
	}
	show_total(entries.n, total, "");
	return KT_EXIT_STATUS_OK;
}

static bool is_too_old(const struct entry *entry, const struct kt_options *options)
{
	uint64_t now_ns = kt_realtime_ns(), max_ns = options->cache_max_age_ns;

	return max_ns && entry->used_ns < now_ns && now_ns - entry->used_ns > max_ns;
}

/*
 * Returns false if the entry stays. Names an entry that is in use, because the user needs the room.
 */
static bool remove_entry(const struct entry *entry)
{
	int r = kt_cache_remove(entry->path);

	if (r == 0) {
		show(entry);
		return true;
	}
	(void)fprintf(stderr, "%s %s stays: %s\n", entry->kind->name, entry->name,
		      r == -EBUSY ? "a run uses it" : strerror(-r));
	return false;
}

static unsigned int sweep_capsules(uint64_t *ret_bytes)
{
	KT_FREE char *dir = NULL;

	*ret_bytes = 0;
	return kt_cache_path("capsules", &dir, NULL) < 0 ? 0 : kt_capsule_sweep(dir, ret_bytes);
}

static void drop_bases(void)
{
	KT_FREE char *dir = NULL;

	if (kt_cache_path("capsules", &dir, NULL) == 0)
		kt_capsule_drop_bases(dir, KT_CAPSULE_BASE_AGE_NS);
}

/*
 * Stages of killed builders go in any case: they are never used. One that is still being built is
 * neither removed nor counted.
 */
static int prune(const struct kt_options *options)
{
	KT_CLEANUP(entries_deinit) struct entries entries = { .n = 0 };
	uint64_t kept = 0, removed = 0, swept = 0;
	struct kt_err err = KT_ERR_NULL;
	size_t n = 0;

	for (size_t i = 0; i < KT_ARRAY_LEN(kinds); i++) {
		if (!kinds[i].lock)
			continue;
		n += kt_cache_sweep(kinds[i].sub, kinds[i].lock, kinds[i].per_entry, &swept);
		removed += swept;
	}
	n += sweep_capsules(&swept);
	removed += swept;
	if (read_all(&entries, &err) < 0)
		return fail(&err);
	for (size_t i = 0; i < entries.n; i++) {
		const struct entry *entry = &entries.at[i];
		bool goes = is_too_old(entry, options) ||
			    kept + entry->disk_bytes > options->cache_max_bytes;

		if (is_stage(entry) || is_base(entry))
			continue;
		if (goes && remove_entry(entry)) {
			removed += entry->disk_bytes;
			n++;
		} else {
			kept += entry->disk_bytes;
		}
	}
	drop_bases();
	show_total(n, removed, " removed");
	return KT_EXIT_STATUS_OK;
}

int kt_cache_command(const struct kt_options *options)
{
	return options->command == KT_COMMAND_CACHE_LIST ? list() : prune(options);
}
