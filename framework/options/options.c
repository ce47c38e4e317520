/* SPDX-License-Identifier: MIT */
#include "framework/options/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "framework/options/table.h"
#include "framework/options/value.h"
#include "framework/options/words.h"
#include "util/cleanup.h"
#include "util/nearest.h"

/*
 * The project file is applied first, then the environment, and the command line after it, through
 * the same rows of the table of options (table.c): a variable is nothing but a default for its
 * option. What remains after the options are words (words.c). check() rejects combinations that
 * make no sense.
 *
 * Nothing is printed here, and no string is copied: argv and the environment live as long as the
 * program.
 */

#define DEFAULT_TEMPLATE_CACHE_BYTES (UINT64_C(4) << 30)
#define DEFAULT_CAPSULE_BYTES        (UINT64_C(256) << 20) /* of one */
#define DEFAULT_CAPSULE_CACHE_BYTES  (UINT64_C(1) << 30)
#define DEFAULT_SLOW_NS              UINT64_C(60000000000)
#define DEFAULT_POOL                 2   /* machines */
#define FIRST_OPTION                 256 /* what getopt_long(3) returns for row 0 of the table */

/* The table as getopt_long(3) wants it. */
struct grammar {
	const struct kt_option *table;
	size_t n;
	struct option *names; /* owned; ends with an empty one */
	char letters[128];    /* the colon in front tells a missing argument from a wrong option */
};

static void grammar_deinit(struct grammar *grammar)
{
	free(grammar->names);
}

static int takes_argument(const struct kt_option *option)
{
	if (option->may_lack)
		return optional_argument;
	return option->argument || option->words ? required_argument : no_argument;
}

static int grammar_init(struct grammar *grammar, struct kt_err *reterr)
{
	size_t len = 1;

	grammar->table = kt_option_table(&grammar->n);
	grammar->names = calloc(grammar->n + 1, sizeof(*grammar->names));
	if (!grammar->names)
		return kt_err_oom(reterr);
	grammar->letters[0] = ':';
	for (size_t i = 0; i < grammar->n; i++) {
		const struct kt_option *option = &grammar->table[i];
		int has_arg = takes_argument(option);

		grammar->names[i] = (struct option){ .name = option->name,
						     .has_arg = has_arg,
						     .val = FIRST_OPTION + (int)i };
		if (option->letter)
			len += (size_t)snprintf(
				grammar->letters + len, sizeof(grammar->letters) - len, "%c%s",
				option->letter, has_arg == required_argument ? ":" : "");
	}
	return 0;
}

/* @option: what getopt_long(3) has returned, the number of a row or a letter. */
static size_t row_of(const struct grammar *grammar, int option)
{
	size_t i = 0;

	if (option >= FIRST_OPTION)
		return (size_t)option - FIRST_OPTION;
	while (grammar->table[i].letter != option)
		i++;
	return i;
}

/* What comes next replaces the lists so far, as it replaces other values. */
static void inherit(struct kt_options *o, const struct grammar *grammar)
{
	for (size_t i = 0; i < grammar->n; i++) {
		if (kt_option_is_list(&grammar->table[i]))
			((struct kt_strings *)((char *)o + grammar->table[i].member))->inherited =
				true;
	}
}

/* Applies the KTESTS_* variables. An empty variable counts as unset. */
static int apply_environment(struct kt_options *o, struct grammar *grammar, struct kt_err *reterr)
{
	for (size_t i = 0; i < grammar->n; i++) {
		const struct kt_option *option = &grammar->table[i];
		char name[64];
		const char *text;
		int r;

		if (!option->is_variable)
			continue;
		kt_option_variable(option, name, sizeof(name));
		text = getenv(name);
		if (!text || !*text)
			continue;
		r = kt_option_apply(option, o, text, reterr);
		if (r < 0)
			return kt_err_prefix(reterr, r, "%s", name);
	}
	inherit(o, grammar);
	return 0;
}

/* What @given, an option that is none, may have been meant to be; NULL: nothing is near. */
static const char *meant(const struct grammar *grammar, const char *given)
{
	KT_FREE char *name = strndup(given, strcspn(given, "="));
	struct kt_nearest nearest = KT_NEAREST_NULL;

	for (size_t i = 0; i < grammar->n; i++) {
		if (grammar->table[i].group != KT_OPTIONS_HIDDEN)
			kt_nearest_offer(&nearest, name ?: given, grammar->table[i].name);
	}
	return nearest.name;
}

static int refuse(const struct grammar *grammar, int option, const char *given,
		  struct kt_err *reterr)
{
	const char *other;

	if (option == ':')
		return kt_err_set(reterr, -EINVAL, "option '%s' needs a value", given);
	if (optopt >= FIRST_OPTION)
		return kt_err_set(reterr, -EINVAL, "option '%s' takes no value", given);
	if (optopt > ' ')
		return kt_err_set(reterr, -EINVAL, "unknown option '-%c'; --help lists them",
				  optopt);
	other = meant(grammar, given + 2);
	if (other)
		return kt_err_set(reterr, -EINVAL, "unknown option '%s'; did you mean --%s?", given,
				  other);
	return kt_err_set(reterr, -EINVAL, "unknown or ambiguous option '%s'; --help lists them",
			  given);
}

static int apply_getopt(struct kt_options *o, struct grammar *grammar, int argc, char **argv,
			struct kt_err *reterr)
{
	int option, r = 0;

	optind = 0; /* GNU: start afresh */
	opterr = 0;
	while (r == 0 &&
	       (option = getopt_long(argc, argv, grammar->letters, grammar->names, NULL)) != -1) {
		if (option == '?' || option == ':')
			return refuse(grammar, option, argv[optind - 1], reterr);
		r = kt_option_apply(&grammar->table[row_of(grammar, option)], o, optarg, reterr);
	}
	return r;
}

static int apply_setting(struct kt_options *o, const struct grammar *grammar,
			 const struct kt_setting *setting, struct kt_err *reterr)
{
	const struct kt_option *option = kt_option_find(setting->name);
	const char *other;

	if (!option || !kt_option_is_setting(option)) {
		other = meant(grammar, setting->name);
		return kt_err_set(reterr, -EINVAL, "unknown option '%.100s'%s%s%s", setting->name,
				  other ? "; did you mean '" : "; --help lists them", other ?: "",
				  other ? "'?" : "");
	}
	if (takes_argument(option) == no_argument && setting->text)
		return kt_err_set(reterr, -EINVAL, "'%s' is true or false", setting->name);
	if (takes_argument(option) == required_argument && !setting->text)
		return kt_err_set(reterr, -EINVAL, "'%s' needs a value", setting->name);
	return kt_option_apply(option, o, setting->text, reterr);
}

/* Finds and reads the project file that @given, the environment and command line, ask for. */
static int load_project(struct kt_options *o, const struct kt_options *given, struct kt_err *reterr)
{
	KT_FREE char *found = NULL;
	const char *path = given->config;
	int r = 0;

	if (path && !strcmp(path, "none"))
		path = NULL;
	else if (!path)
		r = kt_project_find(&found, reterr);
	path = path ?: found;
	if (r == 0 && !path && given->profile)
		return kt_err_set(reterr, -EINVAL, "--profile '%s': there is no " KT_PROJECT_NAME,
				  given->profile);
	return r < 0 || !path ? r : kt_project_load(path, given->profile, &o->project, reterr);
}

/* The file has the lowest rank, and what it is called has the highest. */
static int apply_project(struct kt_options *o, struct grammar *grammar, int argc, char **argv,
			 struct kt_err *reterr)
{
	struct kt_options given = { .command = KT_COMMAND_RUN };
	int r = apply_environment(&given, grammar, reterr)
			?: apply_getopt(&given, grammar, argc, argv, reterr);

	r = r ?: load_project(o, &given, reterr);
	kt_options_deinit(&given);
	for (size_t i = 0; r == 0 && o->project && i < o->project->n_settings; i++) {
		r = apply_setting(o, grammar, &o->project->settings[i], reterr);
		if (r < 0)
			return kt_err_prefix(reterr, r, "%s", o->project->path);
	}
	o->timeout_given = o->retries_given = false;
	inherit(o, grammar);
	return r;
}

/* The options of the file, of the environment and of the command line; words remain from optind. */
static int apply_all(struct kt_options *o, int argc, char **argv, struct kt_err *reterr)
{
	KT_CLEANUP(grammar_deinit) struct grammar grammar = { .names = NULL };

	return grammar_init(&grammar, reterr) ?:
	       apply_project(o, &grammar, argc, argv, reterr) ?:
	       apply_environment(o, &grammar, reterr) ?:
	       apply_getopt(o, &grammar, argc, argv, reterr);
}

/* What goes with a capsule, when one is made and when one is opened. */
static int check_capsule(const struct kt_options *o, struct kt_err *reterr)
{
	bool opens = o->command == KT_COMMAND_OPEN;

	if (opens && !o->tests.n)
		return kt_err_set(reterr, -EINVAL, "open: a capsule must follow");
	if (opens && !!o->gdb + !!o->shell + !!o->vmcore + !!o->paths.n > 1)
		return kt_err_set(reterr, -EINVAL,
				  "open: --inspect, --gdb, --shell and --vmcore exclude each "
				  "other");
	if (!opens && (o->gdb || o->shell || (o->paths.n && o->command != KT_COMMAND_INSPECT)))
		return kt_err_set(reterr, -EINVAL,
				  "--inspect, --gdb and --shell go with the command 'open'");
	if (o->capsule_dir && o->capsule == KT_CAPSULE_NEVER)
		return kt_err_set(reterr, -EINVAL,
				  "--capsule-dir goes with --capsule on-fail or always");
	return 0;
}

static bool is_stdout(const char *path)
{
	return path && !strcmp(path, "-");
}

/* Two that write there would mix what they write. */
static int check_stdout(const struct kt_options *o, struct kt_err *reterr)
{
	const struct {
		const char *option;
		bool wants;
	} writers[] = {
		{ "--tap", o->tap },
		{ "--no-capture", o->no_capture },
		{ "--ktap", is_stdout(o->ktap) },
		{ "--json", is_stdout(o->json) },
		{ "--trace -", is_stdout(o->trace) },
		{ "--junit -", is_stdout(o->junit) },
		{ "--html -", is_stdout(o->html) },
		{ "--gtest_output=xml:-", is_stdout(o->gtest_output) },
	};
	const char *first = NULL;

	for (size_t i = 0; i < KT_ARRAY_LEN(writers); i++) {
		if (writers[i].wants && first)
			return kt_err_set(reterr, -EINVAL,
					  "%s and %s both want standard output; choose one", first,
					  writers[i].option);
		if (writers[i].wants)
			first = writers[i].option;
	}
	return 0;
}

static int check(const struct kt_options *o, struct kt_err *reterr)
{
	bool looks = o->command == KT_COMMAND_INSPECT || o->command == KT_COMMAND_OPEN;

	if (o->exec && o->command != KT_COMMAND_SHELL && !o->shell)
		return kt_err_set(reterr, -EINVAL, "--exec goes with the command 'shell'");
	if (o->command == KT_COMMAND_SHELL && o->tests.n > 1)
		return kt_err_set(reterr, -EINVAL, "shell takes one test at most");
	if (o->command == KT_COMMAND_INSPECT && !o->vmcore == !o->tests.n)
		return kt_err_set(reterr, -EINVAL,
				  "inspect: either --vmcore FILE or -t TEST must be given");
	if (o->command == KT_COMMAND_INSPECT && o->tests.n > 1)
		return kt_err_set(reterr, -EINVAL, "inspect takes one test");
	if (o->command == KT_COMMAND_DOCTOR && o->tests.n)
		return kt_err_set(reterr, -EINVAL, "doctor: '%s' is too much", o->tests.at[0]);
	if (o->command == KT_COMMAND_NEW && o->tests.n != 1)
		return kt_err_set(reterr, -EINVAL, "new: one directory must follow");
	if (o->command == KT_COMMAND_COMPARE && o->tests.n != 2)
		return kt_err_set(reterr, -EINVAL,
				  "compare: two directories of results must follow, A and B");
	if (o->command == KT_COMMAND_MERGE && !o->tests.n)
		return kt_err_set(reterr, -EINVAL,
				  "merge: directories with the results of shards must follow");
	if (o->bisect && o->meson)
		return kt_err_set(reterr, -EINVAL,
				  "--bisect and --meson exclude each other: both are about the "
				  "exit status");
	if (o->command == KT_COMMAND_REPLAY && o->tests.n > 1)
		return kt_err_set(reterr, -EINVAL, "replay: '%s' is too much; it takes one record",
				  o->tests.at[1]);
	if (o->rerun && o->command != KT_COMMAND_RUN && o->command != KT_COMMAND_LIST)
		return kt_err_set(reterr, -EINVAL,
				  "--rerun goes with the commands 'run' and 'list'");
	if ((o->shard.partition == KT_PARTITION_TIME) != !!o->timings)
		return kt_err_set(reterr, -EINVAL,
				  "--partition time:M/N and --timings FILE go with each other");
	if (o->command != KT_COMMAND_COMPARE && o->gates.n)
		return kt_err_set(reterr, -EINVAL, "--gate goes with the command 'compare'");
	if (o->step_given && (o->command != KT_COMMAND_INSPECT || o->vmcore))
		return kt_err_set(reterr, -EINVAL, "--step goes with 'inspect -t TEST'");
	if (!looks && o->vmcore)
		return kt_err_set(reterr, -EINVAL,
				  "--vmcore goes with the commands 'inspect' and 'open'");
	if (!looks && o->command != KT_COMMAND_SHELL && (o->depth || o->pointers))
		return kt_err_set(reterr, -EINVAL,
				  "--depth and --pointers go with the commands 'inspect', 'open' "
				  "and 'shell'");
	if (o->trace_sched && !o->output_dir && !o->trace)
		return kt_err_set(reterr, -EINVAL,
				  "--trace-sched goes with --trace FILE or -o DIR");
	if (o->explore && (o->stress_count_given || o->stress_duration_ns))
		return kt_err_set(reterr, -EINVAL,
				  "--explore is a stress run with seeds; it does not go with "
				  "--stress-count or --stress-duration");
	if (o->time == KT_TIME_CHOICE_REAL && (o->explore || o->policy_given))
		return kt_err_set(reterr, -EINVAL,
				  "--explore and --policy need virtual time, not --time real");
	return check_stdout(o, reterr) ?: check_capsule(o, reterr);
}

/*
 * Finds the shard that the environment asks for, unless the command line has set one. Other
 * commands than run and list do not divide their tests.
 */
static int find_shard(struct kt_options *o, struct kt_err *reterr)
{
	if (o->command != KT_COMMAND_RUN && o->command != KT_COMMAND_LIST)
		return 0;
	if (o->shard_auto)
		return kt_shard_detect(&o->shard, reterr);
	return o->shard_given ? 0 : kt_shard_inherit(&o->shard, reterr);
}

/* 32 bits are enough to be random and short enough to be typed in again. */
static uint64_t random_seed(void)
{
	uint32_t seed = 0;

	(void)getrandom(&seed, sizeof(seed), 0);
	return seed;
}

int kt_options_parse(int argc, char **argv, struct kt_options *ret_options, struct kt_err *reterr)
{
	struct kt_options o = {
		.command = KT_COMMAND_RUN,
		.shard = KT_SHARD_ALL,
		.budget_vcpus = kt_online_cpus(),
		.template_cache_bytes = DEFAULT_TEMPLATE_CACHE_BYTES,
		.capsule_max_bytes = DEFAULT_CAPSULE_BYTES,
		.capsule_cache_bytes = DEFAULT_CAPSULE_CACHE_BYTES,
		.pool = DEFAULT_POOL,
		.cache_max_bytes = UINT64_MAX,
		.stress_count = 1,
		.turn_insns = KT_TURN_INSNS,
		.pct_depth = KT_PCT_DEPTH,
		.slow_ns = DEFAULT_SLOW_NS,
		.seed = random_seed(),
		.status_level = KT_STATUS_PASS,
	};
	int r;

	r = apply_all(&o, argc, argv, reterr);
	/* An option like --list has set the command already; then the words are names. */
	if (r == 0)
		r = kt_words_apply(&o, argv + optind, argc - optind, reterr);
	if (r == 0)
		r = check(&o, reterr) ?: find_shard(&o, reterr);
	if (r < 0) {
		kt_options_deinit(&o);
		/* -ENOENT is --shard auto without a CI system: also a usage error. */
		return r == -ENOENT ? -EINVAL : r;
	}
	/* A duration without a number of runs means as many runs as it takes. */
	if (o.stress_duration_ns && !o.stress_count_given)
		o.stress_count = 0;
	if (o.explore && !o.policy_given)
		o.policy = KT_TURNS_CONFLICT;
	if (o.explore && !o.max_fail_given)
		o.max_fail = 1;
	*ret_options = o;
	return 0;
}

void kt_options_deinit(struct kt_options *options)
{
	free(options->tests.at);
	free(options->skips.at);
	free(options->skip_files.at);
	free(options->filters.at);
	free(options->kernels.at);
	free(options->paths.at);
	free(options->gates.at);
	options->project = kt_project_free(options->project);
	options->skip_files = options->filters = (struct kt_strings){ .n = 0 };
	options->tests = options->skips = options->kernels = options->paths = options->gates =
		(struct kt_strings){ .n = 0 };
}
