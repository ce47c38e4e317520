/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ktest.h>

#include "framework/image.h"
#include "framework/kernel_command.h"
#include "framework/list.h"
#include "framework/registry.h"
#include "framework/runner.h"
#include "framework/shell.h"
#include "framework/validate.h"
#include "util/cleanup.h"
#include "util/process.h"

#define TCG_TIMEOUT_MULTIPLIER 3.0

static int fail(const char *program, const struct kt_err *err, enum kt_exit_status status)
{
	const char *slash = strrchr(program, '/');

	(void)fprintf(stderr, "%s: %s\n", slash ? slash + 1 : program, err->text);
	return status;
}

/* What sessions need of the host; owned here, borrowed by the session configuration. */
struct setup {
	struct kt_host host;
	struct kt_kernel kernel;
	int image_fd;
};

static void setup_deinit(struct setup *setup)
{
	kt_kernel_deinit(&setup->kernel);
	setup->image_fd = kt_close(setup->image_fd);
}

static int build_image(const struct kt_options *options, int *ret_fd, struct kt_err *reterr)
{
	struct kt_image_extra busybox = { .guest = "/bin/busybox" };
	struct kt_image_options image = { .program = "/proc/self/exe", .extras = &busybox };
	char path[4096];

	if (options->command == KT_COMMAND_SHELL &&
	    kt_process_find("busybox", path, sizeof(path)) == 0) {
		busybox.host = path;
		image.n_extras = 1;
	}
	return kt_image_build(&image, ret_fd, reterr);
}

static int setup_init(struct setup *setup, const struct kt_options *options,
		      struct kt_session_config *ret_config, enum kt_exit_status *ret_status,
		      struct kt_err *reterr)
{
	int r;

	*ret_status = KT_STATUS_HARNESS;
	r = kt_host_probe(options->accel, options->qemu, &setup->host, reterr);
	if (r == -ENOENT) /* nothing can run here: that is no fault of a test */
		*ret_status = KT_STATUS_SKIPPED;
	if (r < 0)
		return r;
	r = kt_kernel_resolve(options->kernel, &setup->kernel, reterr)
		    ?: build_image(options, &setup->image_fd, reterr);
	if (r < 0)
		return r;
	*ret_config = (struct kt_session_config){
		.host = &setup->host,
		.kernel = &setup->kernel,
		.image_fd = setup->image_fd,
		.append = options->append,
		.boot_timeout_ns = options->boot_timeout_ns,
		.timeout_ns = options->timeout_ns,
		.timeout_multiplier = options->timeout_multiplier,
		.no_capture = options->no_capture,
		.verbose = options->verbose,
	};
	if (ret_config->timeout_multiplier == 0)
		ret_config->timeout_multiplier =
			setup->host.accel == KT_ACCEL_KVM ? 1.0 : TCG_TIMEOUT_MULTIPLIER;
	return 0;
}

static bool wants_color(const struct kt_options *options)
{
	const char *no = getenv("NO_COLOR"), *force = getenv("CLICOLOR_FORCE");

	if (options->color != KT_COLOR_AUTO)
		return options->color == KT_COLOR_ALWAYS;
	if (no && *no)
		return false;
	return (force && strcmp(force, "0")) || isatty(STDOUT_FILENO);
}

/* Where the next reporter of the list goes. */
static struct kt_reporter **list_end(struct kt_reporter **list)
{
	while (*list)
		list = &(*list)->next;
	return list;
}

/* Standard output belongs to one of them; the text for people gives way to any other. */
static int make_reporters(const struct kt_options *options, bool color, struct kt_reporter **list)
{
	bool stdout_taken = options->tap || (options->junit && !strcmp(options->junit, "-")) ||
			    (options->gtest_output && !strcmp(options->gtest_output, "-"));
	int r = kt_report_console_new(stdout_taken ? stderr : stdout, color, list_end(list));

	if (r == 0 && options->tap)
		r = kt_report_tap_new(stdout, list_end(list));
	if (r == 0 && options->junit)
		r = kt_report_junit_new(options->junit, list_end(list));
	if (r == 0 && options->gtest_output)
		r = kt_report_gtest_new(options->gtest_output, list_end(list));
	return r;
}

/* Signal > failed > harness > report > skipped: a proven failure is never taken for trouble. */
static int exit_status(const struct kt_counts *counts, int signal, bool report_failed)
{
	const unsigned int *by = counts->by_verdict;

	if (signal)
		return KT_STATUS_SIGNAL + signal;
	if (by[KT_VERDICT_FAIL])
		return KT_STATUS_FAILED;
	if (by[KT_VERDICT_ERROR] || by[KT_VERDICT_INCONCLUSIVE])
		return KT_STATUS_HARNESS;
	if (report_failed)
		return KT_STATUS_REPORT;
	return counts->total && by[KT_VERDICT_SKIP] == counts->total ? KT_STATUS_SKIPPED
								     : KT_STATUS_OK;
}

static int run_selection(const char *program, const struct kt_options *options,
			 const struct kt_selection *selection,
			 const struct kt_session_config *config)
{
	struct kt_run_info info = {
		.program = program,
		.options = options,
		.host = config->host,
		.kernel = config->kernel,
		.n_tests = (unsigned int)selection->n,
		.n_attempts = (unsigned int)selection->n * options->stress_count,
		.n_filtered = selection->n_filtered,
	};
	bool color = wants_color(options), report_failed = false;
	struct kt_reporter *reporters = NULL;
	struct kt_counts counts = { .total = 0 };
	struct kt_err err = KT_ERR_NULL;
	int signal = 0, r;

	r = make_reporters(options, color, &reporters);
	if (r == 0)
		r = kt_reporters_begin(reporters, &info);
	if (r < 0) {
		(void)kt_err_set(&err, r, "cannot report: %m");
	} else {
		r = kt_runner_run(selection, options, config, reporters, color, &counts, &signal,
				  &err);
		report_failed = kt_reporters_end(reporters, &counts, r < 0 ? NULL : &err) < 0;
	}
	kt_reporters_free(reporters);
	if (r < 0 || report_failed)
		(void)fail(program, &err, KT_STATUS_REPORT);
	return exit_status(&counts, signal, r < 0 || report_failed);
}

static int run(const char *program, const struct kt_options *options,
	       const struct kt_selection *selection)
{
	KT_CLEANUP(setup_deinit) struct setup setup = { .kernel = KT_KERNEL_NULL, .image_fd = -1 };
	struct kt_session_config config;
	struct kt_err err = KT_ERR_NULL;
	enum kt_exit_status status;

	if (!selection->n) {
		(void)fprintf(stderr, "no test matches; --list shows the names of all\n");
		return KT_STATUS_NO_TESTS;
	}
	if (setup_init(&setup, options, &config, &status, &err) < 0)
		return fail(program, &err, status);
	return run_selection(program, options, selection, &config);
}

static int shell(const char *program, const struct kt_options *options,
		 const struct kt_selection *selection)
{
	KT_CLEANUP(setup_deinit) struct setup setup = { .kernel = KT_KERNEL_NULL, .image_fd = -1 };
	const struct kt_test *test = options->tests.n ? selection->tests[0] : NULL;
	struct kt_session_config config;
	struct kt_err err = KT_ERR_NULL;
	enum kt_exit_status setup_status;
	int status = 0;

	if (options->tests.n && selection->n != 1) {
		(void)fprintf(stderr,
			      "'%s' matches %zu tests; shell -t takes one (--exact helps)\n",
			      options->tests.at[0], selection->n);
		return KT_STATUS_NO_TESTS;
	}
	if (setup_init(&setup, options, &config, &setup_status, &err) < 0)
		return fail(program, &err, setup_status);
	if (kt_shell_run(&config, test, options->exec, &status, &err) < 0)
		return fail(program, &err, KT_STATUS_HARNESS);
	return status;
}

static int with_tests(const char *program, const struct kt_options *options)
{
	KT_CLEANUP(kt_selection_deinit) struct kt_selection selection = { .n = 0 };
	const struct kt_test_node *tests = kt_registry();
	struct kt_err err = KT_ERR_NULL;
	unsigned int n_faults = kt_validate(tests, stderr);

	if (!tests)
		return KT_STATUS_NO_TESTS;
	if (kt_select(tests, options, &selection) < 0) {
		(void)kt_err_oom(&err);
		return fail(program, &err, KT_STATUS_HARNESS);
	}
	if (options->command == KT_COMMAND_LIST) {
		if (kt_list(&selection, options->list_format, stdout, &err) < 0)
			return fail(program, &err, KT_STATUS_REPORT);
		if (!selection.n)
			return KT_STATUS_NO_TESTS;
		return n_faults ? KT_STATUS_USAGE : KT_STATUS_OK;
	}
	if (n_faults) {
		(void)fprintf(stderr, "%u fault%s in the declaration of tests; nothing was run\n",
			      n_faults, n_faults == 1 ? "" : "s");
		return KT_STATUS_USAGE;
	}
	if (options->command == KT_COMMAND_SHELL)
		return shell(program, options, &selection);
	return run(program, options, &selection);
}

static int dispatch(const char *program, const struct kt_options *options)
{
	switch (options->command) {
	case KT_COMMAND_HELP:
		kt_options_help(program, stdout);
		return KT_STATUS_OK;
	case KT_COMMAND_VERSION:
		(void)printf("ktest " KT_VERSION "\n");
		return KT_STATUS_OK;
	case KT_COMMAND_KERNEL_FETCH:
	case KT_COMMAND_KERNEL_LIST:
	case KT_COMMAND_KERNEL_PATH:
		return kt_kernel_command(options);
	default:
		return with_tests(program, options);
	}
}

int kt_main(int argc, char **argv)
{
	const char *program = argc ? argv[0] : "ktests";
	struct kt_err err = KT_ERR_NULL;
	struct kt_options options;
	int status;

	/* A reader that goes away is seen by the write that fails. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (kt_options_parse(argc, argv, &options, &err) < 0)
		return fail(program, &err, KT_STATUS_USAGE);
	status = dispatch(program, &options);
	kt_options_deinit(&options);
	return status;
}
