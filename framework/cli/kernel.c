/* SPDX-License-Identifier: MIT */
#include "framework/cli/kernel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/cli/exit_status.h"
#include "framework/kernel/fetch.h"
#include "framework/kernel/kernel.h"
#include "framework/outcome/advice.h"
#include "util/cache.h"
#include "util/cleanup.h"

#define BAR_WIDTH 30

/* On a terminal one line that changes; in a log one line for each thing that is done. */
struct display {
	bool terminal;
	bool open; /* the line has no newline yet */
	char last[256];
};

static void close_line(struct display *display)
{
	if (display->open)
		(void)fputs(display->terminal ? "\r\033[K" : "\n", stderr);
	display->open = false;
}

static void on_progress(void *data, const char *what, double percent)
{
	struct display *display = data;
	bool is_new = strncmp(display->last, what, sizeof(display->last) - 1);

	(void)snprintf(display->last, sizeof(display->last), "%s", what);
	if (percent >= 0 && display->terminal) {
		int filled = (int)(percent * BAR_WIDTH / 100);

		(void)fprintf(stderr, "\r%s [%.*s%*s] %3.0f%%\033[K", what, filled,
			      "==============================", BAR_WIDTH - filled, "", percent);
		display->open = true;
	} else if (is_new) {
		close_line(display);
		(void)fprintf(stderr, "%s\n", what);
	}
	(void)fflush(stderr);
}

static int fail(const struct kt_err *err)
{
	(void)fprintf(stderr, "ktests: %s\n", err->text);
	return KT_EXIT_STATUS_HARNESS;
}

static int fetch(const struct kt_options *options)
{
	struct display display = { .terminal = isatty(STDERR_FILENO) };
	struct kt_kernel_fetch_options fetch_options = {
		.version = options->kernel_version,
		.mirror = options->mirror,
		.suite = options->suite,
		.progress = on_progress,
		.data = &display,
	};
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *release = NULL;
	int r = kt_advise_cache(&err, kt_kernel_fetch(&fetch_options, &release, &err));

	close_line(&display);
	if (r < 0)
		return fail(&err);
	(void)printf("%s\n", release);
	return KT_EXIT_STATUS_OK;
}

static void list_one(const char *dir, const char *release, const char *default_dir)
{
	KT_CLEANUP(kt_kernel_deinit) struct kt_kernel kernel = KT_KERNEL_NULL;
	struct kt_err err = KT_ERR_NULL;

	if (kt_kernel_load(dir, &kernel, &err) < 0) {
		(void)printf("%-36s damaged: %s\n", release, err.text);
		return;
	}
	(void)printf("%-36s ", kernel.facts.release);
	if (!kernel.facts.sched_ext)
		(void)printf("no sched_ext");
	else if (kernel.facts.n_broken_kfuncs)
		(void)printf("sched_ext, BTF inconsistent for %zu kfuncs",
			     kernel.facts.n_broken_kfuncs);
	else
		(void)printf("sched_ext");
	(void)printf("%s\n", default_dir && !strcmp(dir, default_dir) ? " (default)" : "");
}

static int list(void)
{
	KT_CLEANUP(kt_kernel_deinit) struct kt_kernel by_default = KT_KERNEL_NULL;
	struct kt_err err = KT_ERR_NULL;
	KT_FREE char *kernels = NULL;
	char **releases;

	if (kt_cache_path("kernels", &kernels, &err) < 0 || kt_kernel_list(&releases, &err) < 0)
		return fail(&err);
	if (!releases[0])
		(void)fprintf(stderr,
			      "no kernel in the cache; fetch one with: ktests kernel fetch\n");
	(void)kt_kernel_resolve(NULL, &by_default, NULL);
	for (char **at = releases; *at; at++) {
		KT_FREE char *dir = NULL;

		if (asprintf(&dir, "%s/%s", kernels, *at) >= 0)
			list_one(dir, *at, by_default.dir);
	}
	kt_kernel_list_free(releases);
	return KT_EXIT_STATUS_OK;
}

static int path(const struct kt_options *options)
{
	KT_CLEANUP(kt_kernel_deinit) struct kt_kernel kernel = KT_KERNEL_NULL;
	const char *spec = options->kernel_version;
	struct kt_err err = KT_ERR_NULL;

	if (!spec && options->kernels.n)
		spec = options->kernels.at[0];
	if (kt_kernel_resolve(spec, &kernel, &err) < 0)
		return fail(&err);
	(void)printf("%s\n", kernel.dir ?: kernel.boot);
	return KT_EXIT_STATUS_OK;
}

int kt_kernel_command(const struct kt_options *options)
{
	switch (options->command) {
	case KT_COMMAND_KERNEL_FETCH:
		return fetch(options);
	case KT_COMMAND_KERNEL_LIST:
		return list();
	default:
		return path(options);
	}
}
