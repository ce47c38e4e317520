/* SPDX-License-Identifier: MIT */
#include "framework/options/table.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "framework/options/words.h"
#include "util/cleanup.h"

/*
 * An option is a row of the table below and nothing else: options.c parses by it, help.c, manual.c
 * and completion.c write it down. The functions that rows name come first. Those for one kind of
 * value store it in the member that the row tells; those for one option know their members.
 *
 * No string is copied: argv and the environment live as long as the program.
 */

#define STRESS_COUNT_MAX KT_STRESS_COUNT_MAX

static void *member_of(const struct kt_option *option, struct kt_options *options)
{
	return (char *)options + option->member;
}

/* The option as errors name it. */
static const char *spelled(const struct kt_option *option, char *text, size_t room)
{
	(void)snprintf(text, room, "--%s", option->name);
	return text;
}

static int set_flag(const struct kt_option *option, struct kt_options *options, const char *text,
		    struct kt_err *reterr)
{
	(void)text;
	(void)reterr;
	*(bool *)member_of(option, options) = true;
	return 0;
}

static int set_text(const struct kt_option *option, struct kt_options *options, const char *text,
		    struct kt_err *reterr)
{
	(void)reterr;
	*(const char **)member_of(option, options) = text;
	return 0;
}

static int add_text(const struct kt_option *option, struct kt_options *options, const char *text,
		    struct kt_err *reterr)
{
	return kt_strings_add(member_of(option, options), text, reterr);
}

/* Stores an enumerator: all enums of struct kt_options have the size of an int. */
static int set_word(const struct kt_option *option, struct kt_options *options, const char *text,
		    struct kt_err *reterr)
{
	char name[64];
	int value = 0, r;

	r = kt_value_word(spelled(option, name, sizeof(name)), option->words, text, &value, reterr);
	if (r == 0)
		memcpy(member_of(option, options), &value, sizeof(value));
	return r;
}

static int set_command(const struct kt_option *option, struct kt_options *options, const char *text,
		       struct kt_err *reterr)
{
	(void)text;
	(void)reterr;
	options->command = (enum kt_command)option->value;
	return 0;
}

static int set_number(const struct kt_option *option, struct kt_options *options, const char *text,
		      struct kt_err *reterr)
{
	char name[64];

	return kt_value_number(spelled(option, name, sizeof(name)), text, option->min, option->max,
			       member_of(option, options), reterr);
}

static int set_time(const struct kt_option *option, struct kt_options *options, const char *text,
		    struct kt_err *reterr)
{
	char name[64];

	return kt_value_time(spelled(option, name, sizeof(name)), text, member_of(option, options),
			     reterr);
}

static int set_bytes(const struct kt_option *option, struct kt_options *options, const char *text,
		     struct kt_err *reterr)
{
	char name[64];

	return kt_value_bytes(spelled(option, name, sizeof(name)), text, member_of(option, options),
			      reterr);
}

/* Stores an enumerator that the row has. */
static int set_value(const struct kt_option *option, struct kt_options *options, const char *text,
		     struct kt_err *reterr)
{
	(void)text;
	(void)reterr;
	memcpy(member_of(option, options), &option->value, sizeof(option->value));
	return 0;
}

/* Taken and not heeded: what runners made for libtest or GoogleTest pass. */
static int ignore(const struct kt_option *option, struct kt_options *options, const char *text,
		  struct kt_err *reterr)
{
	(void)option;
	(void)options;
	(void)text;
	(void)reterr;
	return 0;
}

/* A report that goes to standard output if no file is named. */
static int set_stream(const struct kt_option *option, struct kt_options *options, const char *text,
		      struct kt_err *reterr)
{
	return set_text(option, options, text ?: "-", reterr);
}

/* ---- values of one option -------------------------------------------------------------------- */

static int set_template(const struct kt_option *option, struct kt_options *o, const char *text,
			struct kt_err *reterr)
{
	int end = 0;

	(void)option;
	if (!strcmp(text, "any") || !strcmp(text, "own")) {
		o->template_choice =
			strcmp(text, "any") ? KT_TEMPLATE_CHOICE_OWN : KT_TEMPLATE_CHOICE_ANY;
		return 0;
	}
	if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16 ||
	    sscanf(text, "%16" SCNx64 "%n", &o->template_ram, &end) != 1 || end != 16)
		return kt_err_set(reterr, -EINVAL,
				  "--template '%s' is not any, own, or 16 hexadecimal digits "
				  "from a line 'rerun:'",
				  text);
	o->template_choice = KT_TEMPLATE_CHOICE_RAM;
	return 0;
}

/* "auto" is resolved after all options are known (find_shard() of options.c). */
static int set_shard(const struct kt_option *option, struct kt_options *o, const char *text,
		     struct kt_err *reterr)
{
	int r;

	(void)option;
	o->shard_auto = !strcmp(text, "auto");
	r = o->shard_auto ? 0 : kt_shard_parse(text, &o->shard, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "--shard") : 0;
}

/* Replaces an earlier --shard, as a later option replaces an earlier one of the same name. */
static int set_partition(const struct kt_option *option, struct kt_options *o, const char *text,
			 struct kt_err *reterr)
{
	struct kt_shard shard = o->shard;
	int r = kt_shard_parse_partition(text, &shard, reterr);

	(void)option;
	o->shard_auto = !shard.total;
	o->shard = shard.total ? shard : (struct kt_shard){ shard.partition, 1, 1 };
	return r < 0 ? kt_err_prefix(reterr, r, "--partition '%s'", text) : 0;
}

static int set_budget(const struct kt_option *option, struct kt_options *o, const char *text,
		      struct kt_err *reterr)
{
	(void)option;
	return kt_value_budget(text, &o->budget_vcpus, reterr);
}

static int set_memory(const struct kt_option *option, struct kt_options *o, const char *text,
		      struct kt_err *reterr)
{
	(void)option;
	return kt_value_memory_budget(text, &o->memory_budget_mib, reterr);
}

static int set_multiplier(const struct kt_option *option, struct kt_options *o, const char *text,
			  struct kt_err *reterr)
{
	(void)option;
	return kt_value_multiplier(text, &o->timeout_multiplier, reterr);
}

static int set_rerun(const struct kt_option *option, struct kt_options *o, const char *text,
		     struct kt_err *reterr)
{
	(void)option;
	(void)reterr;
	o->rerun = text ?: "latest";
	o->rerun_bare = !text;
	return 0;
}

static int set_max_fail(const struct kt_option *option, struct kt_options *o, const char *text,
			struct kt_err *reterr)
{
	(void)option;
	return kt_value_max_fail(text, &o->max_fail, &o->max_fail_at_once, reterr);
}

/* --ff and --nff: --max-fail with another N. */
static int set_fail_fast(const struct kt_option *option, struct kt_options *o, const char *text,
			 struct kt_err *reterr)
{
	(void)text;
	(void)reterr;
	o->max_fail = (unsigned int)option->value;
	o->max_fail_at_once = false;
	return 0;
}

static int set_stress_count(const struct kt_option *option, struct kt_options *o, const char *text,
			    struct kt_err *reterr)
{
	(void)option;
	return kt_value_stress_count(text, &o->stress_count, reterr);
}

static int set_seed(const struct kt_option *option, struct kt_options *o, const char *text,
		    struct kt_err *reterr)
{
	(void)option;
	return kt_value_seed(text, &o->seed, reterr);
}

static int set_flaky(const struct kt_option *option, struct kt_options *o, const char *text,
		     struct kt_err *reterr)
{
	int value = 0, r = kt_value_word("--flaky-result", option->words, text, &value, reterr);

	o->flaky_fails = value;
	return r;
}

static int set_work_type(const struct kt_option *option, struct kt_options *o, const char *text,
			 struct kt_err *reterr)
{
	(void)option;
	return kt_value_work_type(text, &o->work_type, reterr);
}

static int set_meson(const struct kt_option *option, struct kt_options *o, const char *text,
		     struct kt_err *reterr)
{
	o->tap = true;
	return set_flag(option, o, text, reterr);
}

static int set_gtest_output(const struct kt_option *option, struct kt_options *o, const char *text,
			    struct kt_err *reterr)
{
	(void)option;
	return kt_value_gtest_output(text, &o->gtest_output, reterr);
}

static int list_for_gtest(const struct kt_option *option, struct kt_options *o, const char *text,
			  struct kt_err *reterr)
{
	o->list_format = KT_LIST_GTEST;
	return set_command(option, o, text, reterr);
}

/* ---- words ----------------------------------------------------------------------------------- */

static const struct kt_word format_words[] = {
	{ "terse", KT_LIST_TERSE },
	{ "names", KT_LIST_NAMES },
	{ "json", KT_LIST_JSON },
	{ 0 },
};

static const struct kt_word ignored_words[] = {
	{ "default", KT_IGNORED_SKIP },
	{ "only", KT_IGNORED_ONLY },
	{ "all", KT_IGNORED_ALL },
	{ 0 },
};

static const struct kt_word no_tests_words[] = {
	{ "fail", KT_NO_TESTS_FAIL },
	{ "warn", KT_NO_TESTS_WARN },
	{ "pass", KT_NO_TESTS_PASS },
	{ 0 },
};

static const struct kt_word accel_words[] = {
	{ "auto", KT_ACCEL_CHOICE_AUTO },
	{ "kvm", KT_ACCEL_CHOICE_KVM },
	{ "tcg", KT_ACCEL_CHOICE_TCG },
	{ 0 },
};

static const struct kt_word vmm_words[] = {
	{ "auto", KT_VMM_CHOICE_AUTO },
	{ "kvm", KT_VMM_CHOICE_KVM },
	{ "qemu", KT_VMM_CHOICE_QEMU },
	{ 0 },
};

static const struct kt_word time_words[] = {
	{ "auto", KT_TIME_CHOICE_AUTO },
	{ "real", KT_TIME_CHOICE_REAL },
	{ "virtual", KT_TIME_CHOICE_VIRTUAL },
	{ 0 },
};

static const struct kt_word boot_words[] = {
	{ "fork", KT_BOOT_FORK },
	{ "cold", KT_BOOT_COLD },
	{ 0 },
};

static const struct kt_word capsule_words[] = {
	{ "never", KT_CAPSULE_NEVER },
	{ "on-fail", KT_CAPSULE_ON_FAIL },
	{ "always", KT_CAPSULE_ALWAYS },
	{ 0 },
};

static const struct kt_word policy_words[] = {
	{ "random", KT_TURNS_RANDOM },
	{ "pct", KT_TURNS_PCT },
	{ "conflict", KT_TURNS_CONFLICT },
	{ 0 },
};

static const struct kt_word flaky_words[] = { { "pass", false }, { "fail", true }, { 0 } };

static const struct kt_word status_words[] = {
	{ "none", KT_STATUS_NONE }, { "fail", KT_STATUS_FAIL }, { "retry", KT_STATUS_RETRY },
	{ "slow", KT_STATUS_SLOW }, { "leak", KT_STATUS_LEAK }, { "pass", KT_STATUS_PASS },
	{ "skip", KT_STATUS_SKIP }, { "all", KT_STATUS_ALL },   { 0 },
};

static const struct kt_word color_words[] = {
	{ "auto", KT_COLOR_AUTO },
	{ "always", KT_COLOR_ALWAYS },
	{ "never", KT_COLOR_NEVER },
	{ 0 },
};

const char *kt_turns_policy_name(enum kt_turns_policy policy)
{
	return policy_words[policy].name;
}

static const struct kt_word progress_words[] = {
	{ "auto", KT_PROGRESS_AUTO },
	{ "bar", KT_PROGRESS_BAR },
	{ "counter", KT_PROGRESS_COUNTER },
	{ "none", KT_PROGRESS_NONE },
	{ 0 },
};

static const struct kt_word github_words[] = {
	{ "auto", KT_GITHUB_AUTO },
	{ "on", KT_GITHUB_ON },
	{ "off", KT_GITHUB_OFF },
	{ 0 },
};

/* ---- the table ------------------------------------------------------------------------------- */

#define MEMBER(name)        .member = offsetof(struct kt_options, name)
#define GIVEN(name)         .given = offsetof(struct kt_options, name)
#define FLAG(name)          .apply = set_flag, MEMBER(name)
#define TEXT(what, name)    .argument = what, .apply = set_text, MEMBER(name)
#define LIST(what, name)    .argument = what, .apply = add_text, MEMBER(name)
#define WORD(list, name)    .words = list, .apply = set_word, MEMBER(name)
#define TIME(name)          .argument = "DURATION", .apply = set_time, MEMBER(name)
#define SIZE(name)          .argument = "SIZE", .apply = set_bytes, MEMBER(name)
#define NUMBER(a, b, name)  .argument = "N", .apply = set_number, .min = a, .max = b, MEMBER(name)
#define OWN(what, function) .argument = what, .apply = function
#define COMMAND(name)       .apply = set_command, .value = name

#define SELECTION .group = KT_OPTIONS_SELECTION
#define MACHINES  .group = KT_OPTIONS_MACHINES
#define RUNNING   .group = KT_OPTIONS_RUNNING
#define CAPSULES  .group = KT_OPTIONS_CAPSULES
#define REPORTING .group = KT_OPTIONS_REPORTING
#define HIDDEN    .group = KT_OPTIONS_HIDDEN

/* Two lines an option, so that the table is read as one. */
/* clang-format off */
static const struct kt_option table[] = {
	{ "test", 't', SELECTION, .is_given = true, LIST("NAME", tests),
	  .help = "tests whose name contains NAME (repeatable)" },
	{ "exact", SELECTION, FLAG(exact),
	  .help = "names are whole names" },
	{ "skip", SELECTION, .is_variable = true, LIST("NAME", skips),
	  .help = "leave tests out whose name contains NAME (repeatable)" },
	{ "skip-file", SELECTION, .is_variable = true, LIST("FILE", skip_files),
	  .help = "leave tests out that a line of FILE names (repeatable)" },
	{ "filterset", 'E', SELECTION, LIST("EXPR", filters),
	  .help = "tests that EXPR chooses, as 'tag(slow) & !test(/^io_/)' (docs/running.md; "
		  "repeatable: any of them)" },
	{ "run-ignored", SELECTION, WORD(ignored_words, ignored),
	  .help = "run tests that are declared disabled: none, only they, all" },
	{ "config", SELECTION, .is_variable = true, .is_given = true, TEXT("FILE", config),
	  .help = "the project file (default: ktests.json here or above), or none" },
	{ "profile", SELECTION, .is_variable = true, .is_given = true, TEXT("PROFILE", profile),
	  .help = "of the project file" },
	{ "no-tests", SELECTION, .is_variable = true, WORD(no_tests_words, no_tests),
	  .help = "when no test is selected (default fail: exit status 4)" },
	{ "partition", SELECTION, OWN("slice|hash|count|time:M/N|auto", set_partition),
	  GIVEN(shard_given),
	  .help = "the M-th of N parts of what is selected" },
	{ "timings", SELECTION, TEXT("FILE", timings),
	  .help = "of --partition time: results of an earlier run in shards, or their directory" },
	{ "shard", SELECTION, .is_variable = true, OWN("M/N|auto", set_shard), GIVEN(shard_given),
	  .help = "slice:M/N; auto takes M and N from the CI's variables; KTESTS_RUN_ID names the "
		  "whole run" },
	{ "rerun", SELECTION, .is_given = true, .may_lack = true,
	  OWN("latest|RECORD", set_rerun),
	  .help = "what failed or did not run in an earlier run, by its record, and then tests "
		  "that are new" },
	{ "list", 'l', SELECTION, .is_given = true, COMMAND(KT_COMMAND_LIST),
	  .help = "list instead of running" },
	{ "format", SELECTION, WORD(format_words, list_format),
	  .help = "of the list (default terse); inspect: json or text" },

	{ "kernel", 'k', MACHINES, .is_variable = true, LIST("KERNEL", kernels),
	  .help = "bzImage, vmlinux, build tree or cached version; repeated: every test on each, "
		  "as NAME[VERSION]" },
	{ "append", MACHINES, .is_variable = true, TEXT("ARGUMENTS", append),
	  .help = "added to the kernel command line" },
	{ "accel", MACHINES, .is_variable = true, WORD(accel_words, accel),
	  .help = "accelerator" },
	{ "vmm", MACHINES, .is_variable = true, WORD(vmm_words, vmm),
	  .help = "virtual machine monitor with KVM" },
	{ "time", MACHINES, .is_variable = true, WORD(time_words, time),
	  .help = "whose time guests show: the host's, or under TCG their own" },
	{ "qemu", MACHINES, .is_variable = true, TEXT("PROGRAM", qemu),
	  .help = "QEMU to use" },
	{ "boot", MACHINES, .is_variable = true, WORD(boot_words, boot),
	  .help = "restore each machine from a booted template (default), or boot it" },
	{ "template", MACHINES, OWN("any|own|ID", set_template),
	  .help = "template to restore: any that fits, one made by a boot of this very binary "
		  "(default with --seed or --explore), or the one that the line 'rerun:' names" },
	{ "template-cache-size", MACHINES, .is_variable = true, SIZE(template_cache_bytes),
	  .help = "disk that templates may take (default 4G)" },

	{ "test-threads", 'j', RUNNING, .is_variable = true, OWN("N|-N|num-cpus", set_budget),
	  .help = "virtual CPUs that may run at once (default: as many as the host has)" },
	{ "memory-budget", RUNNING, .is_variable = true, OWN("SIZE", set_memory),
	  .help = "memory of machines that may run at once (default 3/4 of what the host has, "
		  "or cgroups allow)" },
	{ "pool", RUNNING, .is_variable = true, NUMBER(0, 64, pool),
	  .help = "machines made ready ahead when CPUs are idle (default 2)" },
	{ "timeout", RUNNING, .is_variable = true, TIME(timeout_ns), GIVEN(timeout_given),
	  .help = "limit of each test, instead of its own" },
	{ "boot-timeout", RUNNING, .is_variable = true, TIME(boot_timeout_ns),
	  .help = "limit of each boot (default 60s, more for more than 4 CPUs)" },
	{ "timeout-multiplier", RUNNING, .is_variable = true, OWN("X", set_multiplier),
	  .help = "longer limits for a slow host (default 1 with kvm, 3 with tcg)" },
	{ "max-fail", RUNNING, .is_variable = true, OWN("N[:wait|immediate]|all", set_max_fail),
	  GIVEN(max_fail_given),
	  .help = "stop after N failures (default all), once what runs has ended (default), or at "
		  "once" },
	{ "ff", RUNNING, .apply = set_fail_fast, .value = 1, GIVEN(max_fail_given),
	  .help = "fail fast: --max-fail 1" },
	{ "nff", RUNNING, .apply = set_fail_fast, .value = 0, GIVEN(max_fail_given),
	  .help = "no fail fast: --max-fail all" },
	{ "bisect", RUNNING, .is_given = true, FLAG(bisect),
	  .help = "an exit status for git bisect run: 0 passed, 1 failed, 125 anything else" },
	{ "retries", RUNNING, .is_variable = true, NUMBER(0, 1000, retries), GIVEN(retries_given),
	  .help = "attempts after the first for a test that fails" },
	{ "flaky-result", RUNNING, .is_variable = true, .words = flaky_words, .apply = set_flaky,
	  .help = "of a test that passes in a later attempt (default pass)" },
	{ "baseline", RUNNING, .is_variable = true, TEXT("DIR", baseline),
	  .help = "results of an earlier run (-o); a test with .perf fails if its metrics are "
		  "worse" },
	{ "stress-count", RUNNING, OWN("N|infinite", set_stress_count), GIVEN(stress_count_given),
	  .help = "run each test N times" },
	{ "stress-duration", RUNNING, TIME(stress_duration_ns),
	  .help = "run all tests over and over for so long" },
	{ "global-timeout", RUNNING, .is_variable = true, TIME(global_timeout_ns),
	  .help = "limit of the whole run" },
	{ "shuffle", RUNNING, FLAG(shuffle),
	  .help = "in random order" },
	{ "seed", RUNNING, OWN("N", set_seed), GIVEN(seed_given),
	  .help = "of the order, and of what is random in tests" },
	{ "explore", RUNNING, NUMBER(1, STRESS_COUNT_MAX, stress_count), GIVEN(explore),
	  .help = "run each test under N seeds, up to the first failure; with --policy conflict" },
	{ "policy", RUNNING, WORD(policy_words, policy), GIVEN(policy_given),
	  .help = "where turns of virtual CPUs end: anywhere (default), by priorities that change, "
		  "or also where CPUs access the same memory" },
	{ "mips", RUNNING, NUMBER(1, 1000, mips),
	  .help = "million instructions per second of each busy virtual CPU in virtual time "
		  "(default 60, and 125 for a single CPU)" },
	{ "turn", RUNNING, NUMBER(KT_TURNS_MEAN_MIN, KT_TURNS_MEAN_MAX, turn_insns),
	  .help = "mean instructions of a virtual CPU's turn (default 10000)" },
	{ "pct-depth", RUNNING, NUMBER(1, KT_TURNS_DEPTH_MAX, pct_depth),
	  .help = "of --policy pct: events whose order matters (default 3)" },
	{ "pct-length", RUNNING, NUMBER(1, UINT32_MAX, pct_length),
	  .help = "of --policy pct: instructions of a run (default: the seed guesses)" },
	{ "work-type", RUNNING, OWN("TYPE", set_work_type),
	  .help = "of workers that are declared swappable, instead of their own" },
	{ "no-capture", RUNNING, FLAG(no_capture),
	  .help = "show the guest's output as it comes; one test at a time" },

	{ "capsule", CAPSULES, .is_variable = true, WORD(capsule_words, capsule),
	  .help = "keep the machine as it was at the end of the test (docs/capsules.md)" },
	{ "capsule-dir", CAPSULES, .is_variable = true, TEXT("DIR", capsule_dir),
	  .help = "where, whole, instead of in the cache, without the template" },
	{ "capsule-max-size", CAPSULES, .is_variable = true, SIZE(capsule_max_bytes),
	  .help = "of one capsule (default 256M)" },
	{ "capsule-cache-size", CAPSULES, .is_variable = true, SIZE(capsule_cache_bytes),
	  .help = "disk that capsules in the cache may take (default 1G)" },

	{ "status-level", REPORTING, .is_variable = true, WORD(status_words, status_level),
	  .argument = "LEVEL",
	  .help = "what is told of tests as they end: none, fail, retry, slow, leak, pass "
		  "(default), skip, all" },
	{ "slow", REPORTING, .is_variable = true, TIME(slow_ns),
	  .help = "a test that takes longer is named while it runs (default 60s)" },
	{ "show-progress", REPORTING, .is_variable = true, WORD(progress_words, show_progress),
	  .help = "a bar on a terminal (default), or a number before each test" },
	{ "no-input-handler", REPORTING, FLAG(no_input_handler),
	  .help = "read no keys (t: list what runs) from the terminal" },
	{ "github", REPORTING, .is_variable = true, WORD(github_words, github),
	  .help = "groups, annotations and a summary for GitHub Actions (default auto: where "
		  "GITHUB_ACTIONS=true)" },
	{ "color", REPORTING, .is_variable = true, WORD(color_words, color),
	  .help = "auto: on a terminal, as NO_COLOR and CLICOLOR_FORCE say" },
	{ "verbose", 'v', REPORTING, FLAG(verbose),
	  .help = "also show the output of tests that pass, and boot times; compare: also metrics "
		  "that are the same" },
	{ "tap", REPORTING, FLAG(tap),
	  .help = "TAP on standard output" },
	{ "ktap", REPORTING, .may_lack = true, OWN("FILE", set_stream), MEMBER(ktap),
	  .help = "KTAP with the steps of tests, on standard output without FILE" },
	{ "json", REPORTING, .may_lack = true, OWN("FILE", set_stream), MEMBER(json),
	  .help = "a line of JSON for each event, likewise (docs/results.md)" },
	{ "meson", REPORTING, .apply = set_meson, MEMBER(meson),
	  .help = "TAP for meson test: exit status 0 once the plan is complete" },
	{ "junit", REPORTING, TEXT("FILE", junit),
	  .help = "JUnit XML" },
	{ "html", REPORTING, TEXT("FILE", html),
	  .help = "a page about the failures; compare: about the comparison" },
	{ "trace", REPORTING, TEXT("FILE", trace),
	  .help = "the time line of the run, for ui.perfetto.dev" },
	{ "trace-sched", REPORTING, FLAG(trace_sched),
	  .help = "the guest's own trace of its scheduler, of each test: into the file of "
		  "--trace, or with -o a file for each" },
	{ "output-dir", 'o', REPORTING, .is_variable = true, TEXT("DIR", output_dir),
	  .help = "a JSON file for each test" },
	{ "gtest_output", REPORTING, OWN("xml:FILE", set_gtest_output),
	  .help = "GoogleTest's XML" },

	{ "exec", .group = KT_OPTIONS_SHELL, TEXT("COMMAND", exec),
	  .help = "run COMMAND instead of giving a shell" },
	{ "verify", .group = KT_OPTIONS_SHELL, FLAG(verify),
	  .help = "load: show what the verifier says instead of attaching" },

	{ "mirror", .group = KT_OPTIONS_KERNELS, .is_variable = true, TEXT("URI", mirror),
	  .help = "Debian archive to fetch from" },
	{ "suite", .group = KT_OPTIONS_KERNELS, .is_variable = true, TEXT("SUITE", suite),
	  .help = "suite of that archive (default trixie-backports)" },

	{ "vmcore", .group = KT_OPTIONS_INSPECT, TEXT("FILE", vmcore),
	  .help = "an ELF core, or all bytes of a guest's RAM; open: write an ELF core for crash "
		  "and drgn" },
	{ "step", .group = KT_OPTIONS_INSPECT, NUMBER(0, 65535, step), GIVEN(step_given),
	  .help = "of a test: the step at whose end is looked, from 0 (default the last)" },
	{ "depth", .group = KT_OPTIONS_INSPECT, NUMBER(1, 32, depth),
	  .help = "structs in each other that are shown (default 4)" },
	{ "pointers", .group = KT_OPTIONS_INSPECT, NUMBER(0, 32, pointers),
	  .help = "pointers to structs that are followed (default 0)" },

	{ "inspect", .group = KT_OPTIONS_OPEN, LIST("PATH", paths),
	  .help = "print the value at a path, as 'inspect' does (repeatable)" },
	{ "gdb", .group = KT_OPTIONS_OPEN, .may_lack = true, TEXT("SOCKET", gdb_socket), GIVEN(gdb),
	  .help = "serve gdb on a UNIX socket" },
	{ "shell", .group = KT_OPTIONS_OPEN, FLAG(shell),
	  .help = "let the machine run, and give a shell; --exec: one command" },

	{ "gate", .group = KT_OPTIONS_COMPARE,
	  LIST("METRIC=higher|lower|none[:ABSOLUTE[:PERCENT%]]", gates),
	  .help = "which direction is better, and what change counts (repeatable)" },

	{ "max-age", .group = KT_OPTIONS_CACHE, TIME(cache_max_age_ns),
	  .help = "prune what was not used for so long (default 30d, without --max-size)" },
	{ "max-size", .group = KT_OPTIONS_CACHE, SIZE(cache_max_bytes),
	  .help = "prune the least recently used until the rest is not larger" },

	{ "help", 'h', .group = KT_OPTIONS_OTHER, COMMAND(KT_COMMAND_HELP),
	  .help = "this text" },
	{ "version", .group = KT_OPTIONS_OTHER, COMMAND(KT_COMMAND_VERSION),
	  .help = "the version of ktest" },

	/* The spelling of cargo-nextest. */
	{ "fail-fast", HIDDEN, .apply = set_fail_fast, .value = 1, GIVEN(max_fail_given) },
	{ "no-fail-fast", HIDDEN, .apply = set_fail_fast, .value = 0, GIVEN(max_fail_given) },

	/* The spelling of Rust's libtest, what its runners pass, and GoogleTest's options. */
	{ "nocapture", HIDDEN, FLAG(no_capture) },
	{ "ignored", HIDDEN, .apply = set_value, .value = KT_IGNORED_ONLY, MEMBER(ignored) },
	{ "include-ignored", HIDDEN, .apply = set_value, .value = KT_IGNORED_ALL, MEMBER(ignored) },
	{ "show-output", HIDDEN, FLAG(verbose) },
	{ "gtest_list_tests", HIDDEN, .apply = list_for_gtest, .value = KT_COMMAND_LIST },
	{ "gtest_filter", HIDDEN, TEXT("PATTERNS", gtest_filter) },
	{ "gtest_repeat", HIDDEN, OWN("N", set_stress_count), GIVEN(stress_count_given) },
	{ "gtest_random_seed", HIDDEN, OWN("N", set_seed), GIVEN(seed_given) },
	{ "gtest_shuffle", HIDDEN, FLAG(shuffle) },
	{ "gtest_color", HIDDEN, OWN("COLOR", ignore) },
	{ "gtest_brief", HIDDEN, OWN("N", ignore) },
	{ "gtest_print_time", HIDDEN, OWN("N", ignore) },
	{ "gtest_catch_exceptions", HIDDEN, OWN("N", ignore) },
	{ "gtest_also_run_disabled_tests", HIDDEN, .apply = set_value, .value = KT_IGNORED_ALL,
	  MEMBER(ignored) },
};
/* clang-format on */

const struct kt_option *kt_option_table(size_t *ret_n)
{
	*ret_n = KT_ARRAY_LEN(table);
	return table;
}

const struct kt_option *kt_option_find(const char *name)
{
	for (size_t i = 0; i < KT_ARRAY_LEN(table); i++) {
		if (!strcmp(table[i].name, name))
			return &table[i];
	}
	return NULL;
}

int kt_option_apply(const struct kt_option *option, struct kt_options *options, const char *text,
		    struct kt_err *reterr)
{
	if (option->given)
		*(bool *)((char *)options + option->given) = true;
	return option->apply(option, options, text, reterr);
}

bool kt_option_is_setting(const struct kt_option *option)
{
	return !option->is_given &&
	       (option->group <= KT_OPTIONS_REPORTING || option->group == KT_OPTIONS_KERNELS);
}

bool kt_option_is_list(const struct kt_option *option)
{
	return option->apply == add_text;
}

void kt_option_variable(const struct kt_option *option, char *text, size_t room)
{
	(void)snprintf(text, room, "KTESTS_%s", option->name);
	for (char *at = text; *at; at++)
		*at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

void kt_option_argument(const struct kt_option *option, char *text, size_t room)
{
	(void)snprintf(text, room, "%s", option->argument ?: "");
	for (const struct kt_word *at = option->words; at && !option->argument && at->name; at++) {
		size_t len = strlen(text);

		(void)snprintf(text + len, room - len, "%s%s", len ? "|" : "", at->name);
	}
}

const char *kt_option_group_title(enum kt_option_group group)
{
	static const char *const titles[] = {
		[KT_OPTIONS_SELECTION] = "Selection",
		[KT_OPTIONS_MACHINES] = "Machines",
		[KT_OPTIONS_RUNNING] = "Running",
		[KT_OPTIONS_CAPSULES] = "Keeping machines",
		[KT_OPTIONS_REPORTING] = "Reporting",
		[KT_OPTIONS_SHELL] = "Shells and schedulers",
		[KT_OPTIONS_KERNELS] = "Kernels",
		[KT_OPTIONS_INSPECT] =
			"Looking into a kernel (docs/inspect.md), also by Ctrl-] in a shell",
		[KT_OPTIONS_OPEN] = "Opening a capsule (docs/capsules.md)",
		[KT_OPTIONS_COMPARE] = "Comparing results (docs/results.md#comparing)",
		[KT_OPTIONS_CACHE] = "Cache",
		[KT_OPTIONS_OTHER] = "Other",
	};

	return titles[group];
}
