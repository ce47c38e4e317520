/* SPDX-License-Identifier: MIT */
#include "framework/cli/template.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "framework/cli/exit_status.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"
#include "vmm/template.h"

static int fail(const struct kt_err *err)
{
	(void)fprintf(stderr, "ktests: %s\n", err->text);
	return KT_EXIT_STATUS_HARNESS;
}

static void show(const struct kt_template_entry *entry)
{
	time_t used = (time_t)(entry->used_ns / KT_NSEC_PER_SEC);
	char when[32] = "";
	struct tm tm;

	if (localtime_r(&used, &tm))
		(void)strftime(when, sizeof(when), "%F %R", &tm);
	(void)printf("%s  %4" PRIu64 " MiB  %s  %s\n", when, entry->disk_bytes >> 20, entry->name,
		     entry->what);
}

/* @rest is what the directory holds besides: stages, of living or killed builders. */
static void show_total(size_t n, uint64_t bytes, uint64_t rest, const char *what)
{
	(void)printf("%zu template%s, %" PRIu64 " MiB", n, n == 1 ? "" : "s", bytes >> 20);
	if (rest >> 20)
		(void)printf(", and %" PRIu64 " MiB unfinished", rest >> 20);
	(void)printf("%s\n", what);
}

int kt_template_command(const struct kt_options *options)
{
	struct kt_template_entry *entries = NULL;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *dir = NULL;
	uint64_t total = 0, all;
	size_t n = 0;

	if (kt_cache_path("templates", &dir, &err) < 0 ||
	    kt_template_list(dir, &entries, &n, &err) < 0)
		return fail(&err);
	for (size_t i = 0; i < n; i++) {
		total += entries[i].disk_bytes;
		if (options->command == KT_COMMAND_TEMPLATE_LIST)
			show(&entries[i]);
	}
	kt_template_entries_free(entries, n);
	all = kt_cache_disk_bytes(dir);
	if (options->command == KT_COMMAND_TEMPLATE_CLEAR && kt_remove_all(dir) < 0) {
		(void)kt_err_set(&err, -errno, "cannot remove '%s': %m", dir);
		return fail(&err);
	}
	show_total(n, total, all > total ? all - total : 0,
		   options->command == KT_COMMAND_TEMPLATE_CLEAR ? " removed" : "");
	return KT_EXIT_STATUS_OK;
}
