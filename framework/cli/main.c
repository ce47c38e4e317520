/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ktest.h>

#include "framework/cli/again.h"
#include "framework/cli/cache.h"
#include "framework/cli/compare.h"
#include "framework/cli/doctor.h"
#include "framework/cli/exit_status.h"
#include "framework/cli/head.h"
#include "framework/cli/inspect.h"
#include "framework/cli/kernel.h"
#include "framework/cli/list.h"
#include "framework/cli/merge.h"
#include "framework/cli/new.h"
#include "framework/cli/open.h"
#include "framework/cli/replay.h"
#include "framework/cli/reporters.h"
#include "framework/cli/shell.h"
#include "framework/cli/template.h"
#include "framework/cli/verifier.h"
#include "framework/declaration/payload.h"
#include "framework/declaration/registry.h"
#include "framework/declaration/scheduler.h"
#include "framework/declaration/validate.h"
#include "framework/outcome/advice.h"
#include "framework/record/store.h"
#include "framework/run/queue.h"
#include "framework/run/runner.h"
#include "framework/setup/time.h"
#include "schedulers/loader.h"
#include "util/build_id.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/io.h"
#include "util/process.h"
#include "vmm/capsule/writer.h"
#include "wire/json.h"

/*
 * kt_main(): the program from its command line to its exit status. It parses the options,
 * dispatches the command, and for a command that needs machines makes the setup (set_up()) first.
 * Errors come up as struct kt_err and are printed here, once, by fail().
 *
 * Only this file and the commands beside it decide exit statuses. Standard output belongs to the
 * report that the user asked for; everything else goes to standard error.
 */

/* argv[0] without directories. */
static const char *name_of(const char *program)
{
	const char *slash = strrchr(program, '/');

	return slash ? slash + 1 : program;
}

static int fail(const char *program, const struct kt_err *err, enum kt_exit_status status)
{
	(void)fprintf(stderr, "%s: %s\n", name_of(program), err->text);
	return status;
}

/*
 * Makes the setup. Busybox is packed for the commands that run a shell, and not for tests, which
 * must not depend on it.
 */
static int set_up(struct kt_setup *setup, const struct kt_options *options,
		  const struct kt_test *const *tests, size_t n_tests,
		  enum kt_exit_status *ret_status, struct kt_err *reterr)
{
	struct kt_image_extra busybox = { .guest = "/bin/busybox" };
	struct kt_setup_wants wants = { .extras = &busybox, .tests = tests, .n_tests = n_tests };
	char path[4096];
	int r;

	if ((options->command == KT_COMMAND_SHELL || options->command == KT_COMMAND_VERIFIER) &&
	    kt_process_find("busybox", path, sizeof(path)) == 0) {
		busybox.host = path;
		wants.n_extras = 1;
	}
	r = kt_setup_init(setup, options, &wants, reterr);
	(void)kt_advise(reterr, kt_advise_cache(reterr, r));
	*ret_status = r == -ENOENT ? KT_EXIT_STATUS_SKIPPED : KT_EXIT_STATUS_HARNESS;
	return r;
}

static void say_shard(const struct kt_options *options, const struct kt_plan *plan)
{
	if (options->shard.total > 1)
		(void)fprintf(kt_reporters_text_stream(options),
			      "shard %u/%u: %zu of %zu tests (%s)\n", options->shard.index,
			      options->shard.total, plan->n, plan->n_before,
			      kt_partition_name(options->shard.partition));
}

/* "RELEASE, RELEASE", for the first line of a run. NULL when out of memory. */
static char *join_releases(const struct kt_setup *setup)
{
	char *text = strdup(setup->kernels[0].facts.release);

	for (size_t i = 1; text && i < setup->n_kernels; i++) {
		char *longer = kt_format("%s, %s", text, setup->kernels[i].facts.release);

		free(text);
		text = longer;
	}
	return text;
}

/* A job of a CI with more shards than tests must not fail, and is not a shard that is lost. */
static int empty_shard(const char *program, const struct kt_options *options,
		       const struct kt_selection *selection, const struct kt_plan *plan)
{
	KT_CLEANUP(kt_run_head_deinit) struct kt_run_head head = { .names = NULL };
	KT_JSON json_t *results = json_array();
	struct kt_err err = KT_ERR_NULL;
	int r = 0;

	(void)fprintf(stderr, "warning: this shard is empty\n");
	if (!kt_run_is_shard(options))
		return KT_EXIT_STATUS_OK;
	if (!results || kt_run_head_init(&head, options, selection, plan, NULL, NULL) < 0)
		r = kt_err_oom(&err);
	if (r == 0)
		r = kt_mkdir_all(options->output_dir, &err)
			    ?: kt_shard_record_write(options->output_dir, NULL, &head.shard,
						     results, &err);
	return r < 0 ? fail(program, &err, KT_EXIT_STATUS_REPORT) : KT_EXIT_STATUS_OK;
}

/* Adds the record in the cache. A cache that cannot be written holds none. */
static int add_record(const struct kt_options *options, const struct kt_shard_head *head,
		      struct kt_reporter **list)
{
	KT_FREE char *dir = NULL;
	struct kt_err err = KT_ERR_NULL;

	if (options->command != KT_COMMAND_RUN)
		return 0;
	return kt_records_new(&dir, &err) < 0
		       ? 0
		       : kt_report_record_new(dir, head, kt_reporters_end_link(list));
}

/* Records come last: each is written when all that it speaks of is there. */
static int make_reporters(const struct kt_options *options, const struct kt_shard_head *head,
			  struct kt_reporter **list)
{
	const char *dir = options->output_dir;
	int r = kt_reporters_make(options, list);

	if (r == 0 && dir)
		r = kt_report_sidecar_new(dir, kt_reporters_end_link(list));
	if (r == 0 && dir)
		r = (kt_run_is_shard(options) ? kt_report_shard_new : kt_report_journal_new)(
			dir, head, kt_reporters_end_link(list));
	return r ?: add_record(options, head, list);
}

/* A rerun that passes and leaves tests out has a status of its own. */
static int exit_status(const struct kt_options *options, const struct kt_shard_head *head,
		       const struct kt_counts *counts, int signal, bool report_failed)
{
	int status = kt_reporters_exit_status(options, counts, signal, report_failed);

	return status == KT_EXIT_STATUS_OK && head->n_outstanding ? KT_EXIT_STATUS_OUTSTANDING
								  : status;
}

/*
 * The reporters are ended even if the run breaks off: a report without its end would be unreadable
 * for the tools that take it (XML, TAP).
 */
static int run_plan(const char *program, struct kt_setup *setup,
		    const struct kt_selection *selection, const struct kt_plan *plan,
		    const struct kt_outstanding *again)
{
	const struct kt_options *options = setup->options;
	unsigned int n = kt_queue_round_len(plan, setup);
	KT_FREE char *kernels = join_releases(setup);
	struct kt_run_info info = {
		.program = program,
		.options = options,
		.overrides = setup->overrides,
		.host = &setup->host,
		.time = kt_setup_default_time(setup),
		.kernels_text = kernels,
		.n_kernels = setup->n_kernels,
		.n_tests = n,
		.n_attempts = n * options->stress_count,
		.n_filtered = selection->n_filtered,
	};
	KT_CLEANUP(kt_run_head_deinit) struct kt_run_head head = { .names = NULL };
	struct kt_reporter *reporters = NULL;
	struct kt_counts counts = { .total = 0 };
	struct kt_err err = KT_ERR_NULL;
	int signal = 0, r_end = 0, r;

	r = kernels ? kt_run_head_init(&head, options, selection, plan, again, setup) : -ENOMEM;
	r = r ?: make_reporters(options, &head.shard, &reporters);
	if (r < 0)
		(void)kt_err_oom(&err);
	else
		r = kt_reporters_begin(reporters, &info, &err);
	if (r == 0) {
		r = kt_runner_run(plan, setup, reporters, &counts, &signal, &err);
		counts.status = exit_status(options, &head.shard, &counts, signal, r < 0);
		r_end = kt_reporters_end(reporters, &counts, r < 0 ? NULL : &err);
	}
	kt_reporters_free(reporters);
	/* A reader that goes away, like head(1), wants no more: that is its way to end a run. */
	if (r == -EPIPE || r_end == -EPIPE)
		return KT_EXIT_STATUS_SIGNAL + SIGPIPE;
	if (r < 0 || r_end < 0)
		(void)fail(program, &err, KT_EXIT_STATUS_REPORT);
	return exit_status(options, &head.shard, &counts, signal, r < 0 || r_end < 0);
}

/*
 * Capsules that a killed run has left unfinished go, and a directory that cannot be written is told
 * before the run.
 */
static int prepare_capsules(const struct kt_options *options, struct kt_err *reterr)
{
	KT_FREE char *dir = options->capsule_dir ? strdup(options->capsule_dir) : NULL;
	int r = options->capsule_dir ? kt_mkdir_all(options->capsule_dir, reterr)
				     : kt_cache_path("capsules", &dir, reterr);

	if (r == 0 && options->capsule_dir && access(dir, W_OK | X_OK) < 0)
		r = kt_err_set(reterr, -errno, "capsules cannot be written to '%s': %m", dir);
	if (r == 0 && dir)
		(void)kt_capsule_sweep(dir, NULL);
	return r;
}

/* The end of a run in which no test is selected; @why may be NULL. */
static int no_tests(const struct kt_options *options, const char *why)
{
	if (why && options->no_tests != KT_NO_TESTS_PASS)
		(void)fprintf(stderr, "%s%s\n",
			      options->no_tests == KT_NO_TESTS_WARN ? "warning: " : "", why);
	return options->no_tests == KT_NO_TESTS_FAIL || options->bisect ? KT_EXIT_STATUS_NO_TESTS
									: KT_EXIT_STATUS_OK;
}

/* Each of @setup's kernels is another than -E names. */
static int no_tests_here(const struct kt_options *options, const struct kt_setup *setup)
{
	KT_FREE char *kernels = join_releases(setup);
	KT_FREE char *text = kt_format("no test matches on kernel%s %s; -E names others",
				       setup->n_kernels > 1 ? "s" : "", kernels ?: "");

	return no_tests(options, text);
}

static int run(const char *program, const struct kt_options *options,
	       const struct kt_selection *selection, const struct kt_outstanding *again)
{
	KT_CLEANUP(kt_setup_deinit) struct kt_setup setup = KT_SETUP_NULL;
	KT_CLEANUP(kt_plan_deinit) struct kt_plan plan = { .n = 0 };
	struct kt_err err = KT_ERR_NULL;
	enum kt_exit_status status;

	if (!selection->n)
		return no_tests(options, "no test matches; --list shows the names of all");
	if (options->command == KT_COMMAND_INSPECT && selection->n != 1) {
		(void)fprintf(stderr,
			      "'%s' matches %zu tests; inspect -t takes one (--exact helps)\n",
			      options->tests.at[0], selection->n);
		return KT_EXIT_STATUS_NO_TESTS;
	}
	if (kt_plan_init(&plan, selection, options, &err) < 0)
		return fail(program, &err, KT_EXIT_STATUS_HARNESS);
	say_shard(options, &plan);
	if (!plan.n)
		return empty_shard(program, options, selection, &plan);
	if (set_up(&setup, options, plan.tests, plan.n, &status, &err) < 0)
		return fail(program, &err, status);
	setup.overrides = &selection->overrides;
	if (!kt_queue_round_len(&plan, &setup))
		return no_tests_here(options, &setup);
	if (options->command == KT_COMMAND_INSPECT)
		setup.look = kt_inspect_print;
	if (options->capsule != KT_CAPSULE_NEVER && prepare_capsules(options, &err) < 0)
		return fail(program, &err, KT_EXIT_STATUS_REPORT);
	return run_plan(program, &setup, selection, &plan, again);
}

/* The seed does not decide the course of a test that asks for real time. */
static int explore(const char *program, const struct kt_options *options,
		   struct kt_selection *selection, const struct kt_outstanding *again)
{
	unsigned int n = kt_selection_keep_virtual(selection);

	if (n && !selection->n) {
		struct kt_err err;

		(void)kt_err_set(&err, 0,
				 "--explore: the selected test%s for real time, in which a seed "
				 "decides nothing",
				 n == 1 ? " asks" : "s all ask");
		return fail(program, &err, KT_EXIT_STATUS_USAGE);
	}
	if (n)
		(void)fprintf(stderr, "warning: --explore leaves out %u test%s for real time\n", n,
			      n == 1 ? " that asks" : "s that ask");
	return run(program, options, selection, again);
}

/* The shell has the machine of one test, or without -t a default one. */
static int shell(const char *program, const struct kt_options *options,
		 const struct kt_selection *selection)
{
	KT_CLEANUP(kt_setup_deinit) struct kt_setup setup = KT_SETUP_NULL;
	const struct kt_test *test = options->tests.n && selection->n ? selection->tests[0] : NULL;
	struct kt_err err = KT_ERR_NULL;
	enum kt_exit_status setup_status;
	int status = 0;

	if (options->tests.n && selection->n != 1) {
		(void)fprintf(stderr,
			      "'%s' matches %zu tests; shell -t takes one (--exact helps)\n",
			      options->tests.at[0], selection->n);
		return KT_EXIT_STATUS_NO_TESTS;
	}
	if (options->kernels.n > 1) {
		(void)kt_err_set(&err, 0, "shell: it has one kernel; --kernel is given %zu times",
				 options->kernels.n);
		return fail(program, &err, KT_EXIT_STATUS_USAGE);
	}
	if (set_up(&setup, options, &test, test ? 1 : 0, &setup_status, &err) < 0)
		return fail(program, &err, setup_status);
	if (kt_advise(&err, kt_shell_run(&setup, &setup.kernels[0], test, options->exec, &status,
					 &err)) < 0)
		return fail(program, &err, KT_EXIT_STATUS_HARNESS);
	return status;
}

static int list(const char *program, const struct kt_options *options,
		struct kt_selection *selection, unsigned int n_faults)
{
	struct kt_err err = KT_ERR_NULL;

	if (kt_selection_keep_shard(selection, options, &err) < 0)
		return fail(program, &err, KT_EXIT_STATUS_HARNESS);
	if (kt_list(selection, options->list_format, stdout, &err) < 0)
		return fail(program, &err, KT_EXIT_STATUS_REPORT);
	kt_list_left_out(selection, options->verbose, stderr);
	if (!selection->n)
		return no_tests(options, "no test matches");
	return n_faults ? KT_EXIT_STATUS_USAGE : KT_EXIT_STATUS_OK;
}

/* The end of a rerun that has no test to run. */
static int nothing_again(const struct kt_outstanding *again)
{
	return kt_again_count(again) ? KT_EXIT_STATUS_OUTSTANDING : KT_EXIT_STATUS_OK;
}

/*
 * Commands about the tests of the binary. All declarations are checked, whatever is selected, so
 * that a fault does not depend on the command line. After a fault nothing runs, but --list still
 * lists.
 */
static int with_tests(const char *program, const struct kt_options *options,
		      const struct kt_outstanding *again)
{
	KT_CLEANUP(kt_selection_deinit) struct kt_selection selection = { .n = 0 };
	const struct kt_test_node *tests = kt_registry();
	struct kt_err err = KT_ERR_NULL;
	unsigned int n_faults = kt_validate(tests, stderr);
	int r;

	if (options->project && options->verbose)
		(void)fprintf(stderr, "options of %s%s%s\n", options->project->path,
			      options->profile ? ", profile " : "", options->profile ?: "");
	n_faults += kt_payloads_validate(kt_payload_registry(), stderr);
	n_faults += kt_schedulers_validate(kt_scheduler_registry(), stderr);

	r = kt_select(tests, options, &selection, &err);
	if (r < 0)
		return fail(program, &err,
			    r == -ENOMEM ? KT_EXIT_STATUS_HARNESS : KT_EXIT_STATUS_USAGE);
	if (!tests)
		return no_tests(options, NULL); /* kt_validate() has said so */
	/* What is bisected cannot be judged by a program that has only a part of it. */
	if (kt_select_tell_names(tests, options, &selection.filters, stderr) && options->bisect)
		return KT_EXIT_STATUS_NO_TESTS;
	if (again && kt_again_select(again, &selection, stderr, &err) < 0)
		return fail(program, &err, KT_EXIT_STATUS_HARNESS);
	if (again && !selection.n)
		return nothing_again(again);
	if (options->command == KT_COMMAND_LIST)
		return list(program, options, &selection, n_faults);
	if (n_faults) {
		(void)fprintf(stderr, "%u fault%s in the declaration of tests; nothing was run\n",
			      n_faults, n_faults == 1 ? "" : "s");
		return KT_EXIT_STATUS_USAGE;
	}
	if (options->command == KT_COMMAND_SHELL)
		return shell(program, options, &selection);
	if (options->explore)
		return explore(program, options, &selection, again);
	return run(program, options, &selection, again);
}

/* The tests of --rerun, under the seed of what failed unless another one is given. */
static int with_record(const char *program, const struct kt_options *options)
{
	KT_CLEANUP(kt_outstanding_deinit) struct kt_outstanding again = KT_OUTSTANDING_NULL;
	struct kt_options with_seed = *options; /* borrows all that it points to */
	struct kt_err err = KT_ERR_NULL;
	int r = kt_outstanding_read(&again, options->rerun, &err);

	if (r < 0)
		return fail(program, &err,
			    r == -ENOMEM ? KT_EXIT_STATUS_HARNESS : KT_EXIT_STATUS_USAGE);
	if (!options->seed_given)
		with_seed.seed = again.seed;
	return with_tests(program, &with_seed, &again);
}

/* Machines are set up for tests, so the scheduler to be verified comes as a test that uses it. */
static int verifier(const char *program, const struct kt_options *options)
{
	KT_CLEANUP(kt_setup_deinit) struct kt_setup setup = KT_SETUP_NULL;
	KT_CLEANUP(kt_verified_deinit) struct kt_verified verified = { .path = NULL };
	const struct kt_test *test = &verified.test;
	struct kt_err err = KT_ERR_NULL;
	enum kt_exit_status status;

	if (options->tests.n != 1) {
		(void)kt_err_set(&err, 0,
				 "verifier: one scheduler must follow, its name or an object file");
		return fail(program, &err, KT_EXIT_STATUS_USAGE);
	}
	if (kt_verified_init(&verified, options->tests.at[0], &err) < 0)
		return fail(program, &err, KT_EXIT_STATUS_USAGE);
	if (set_up(&setup, options, &test, 1, &status, &err) < 0)
		return fail(program, &err, status);
	return kt_verifier_command(&setup, &verified);
}

/*
 * "load", the loader of schedulers. It is a command of this program so that guests, whose /init
 * is this program, have it too.
 */
static int load(const char *program, const struct kt_options *options)
{
	struct kt_err err = KT_ERR_NULL;
	KT_FREE const char **words = calloc(options->tests.n + 1, sizeof(*words));
	struct kt_loader loader = { .verify = options->verify };

	if (!options->tests.n) {
		(void)kt_err_set(&err, 0, "load: an object file must follow");
		return fail(program, &err, KT_EXIT_STATUS_USAGE);
	}
	if (!words) {
		(void)kt_err_oom(&err);
		return fail(program, &err, KT_EXIT_STATUS_HARNESS);
	}
	memcpy(words, options->tests.at, options->tests.n * sizeof(*words));
	loader.object = words[0];
	loader.variables = words + 1;
	return kt_loader_run(&loader);
}

static int dispatch(const char *program, const struct kt_options *options)
{
	switch (options->command) {
	case KT_COMMAND_HELP:
		kt_options_help(program, stdout);
		return KT_EXIT_STATUS_OK;
	case KT_COMMAND_MANUAL:
		kt_options_manual(name_of(program), stdout);
		return KT_EXIT_STATUS_OK;
	case KT_COMMAND_COMPLETION_BASH:
	case KT_COMMAND_COMPLETION_ZSH:
	case KT_COMMAND_COMPLETION_FISH:
		kt_options_completion(options->command, name_of(program), stdout);
		return KT_EXIT_STATUS_OK;
	case KT_COMMAND_VERSION:
		(void)printf("ktest " KT_VERSION "\n");
		return KT_EXIT_STATUS_OK;
	case KT_COMMAND_NEW:
		return kt_new_command(options->tests.at[0]);
	case KT_COMMAND_DOCTOR:
		return kt_doctor_command(options);
	case KT_COMMAND_COMPARE:
		return kt_compare_command(options);
	case KT_COMMAND_REPLAY:
		return kt_replay_command(program, options);
	case KT_COMMAND_MERGE:
		return kt_merge_command(program, options);
	case KT_COMMAND_KERNEL_FETCH:
	case KT_COMMAND_KERNEL_LIST:
	case KT_COMMAND_KERNEL_PATH:
		return kt_kernel_command(options);
	case KT_COMMAND_VERIFIER:
		return verifier(program, options);
	case KT_COMMAND_LOAD:
		return load(program, options);
	case KT_COMMAND_OPEN:
		return kt_open_command(program, options);
	case KT_COMMAND_INSPECT:
		return options->vmcore ? kt_inspect_command(options)
				       : with_tests(program, options, NULL);
	case KT_COMMAND_TEMPLATE_LIST:
	case KT_COMMAND_TEMPLATE_CLEAR:
		return kt_template_command(options);
	case KT_COMMAND_CACHE_LIST:
	case KT_COMMAND_CACHE_PRUNE:
		return kt_cache_command(options);
	default:
		return options->rerun ? with_record(program, options)
				      : with_tests(program, options, NULL);
	}
}

/*
 * A standard stream that the caller has closed is /dev/null. Otherwise the next descriptor that is
 * opened would take its number, and a report or a machine would be written to.
 */
static void complete_standard_streams(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		(void)close(fd);
}

/* A session has nine descriptors: the usual soft limit of 1024 would be reached by a hundred. */
static void raise_descriptor_limit(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= files.rlim_max)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

/* An old program may not know the other options; git would take its usage error for a failure. */
static bool wants_bisect(int argc, char **argv)
{
	for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (!strcmp(argv[i], "--bisect"))
			return true;
	}
	return false;
}

int kt_main(int argc, char **argv)
{
	const char *program = argc ? argv[0] : "ktests";
	struct kt_err err = KT_ERR_NULL;
	struct kt_options options;
	int status;

	complete_standard_streams();
	raise_descriptor_limit();
	/* A reader that goes away is seen by the write that fails. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (kt_options_parse(argc, argv, &options, &err) < 0)
		return fail(program, &err,
			    wants_bisect(argc, argv) ? KT_EXIT_STATUS_BISECT_SKIP
						     : KT_EXIT_STATUS_USAGE);
	status = dispatch(program, &options);
	status = options.bisect ? kt_bisect_status(status) : status;
	kt_options_deinit(&options);
	return status;
}
