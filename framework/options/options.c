/* SPDX-License-Identifier: MIT */
#include "framework/options/options.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "framework/options/value.h"
#include "framework/options/words.h"
#include "util/cleanup.h"

/*
 * The environment is applied first and the command line after it, through the same function
 * apply(): a variable is nothing but a default for its option. What remains after the options are
 * words (words.c). check() rejects combinations that make no sense.
 *
 * An option appears in four places that must agree: help.c, enum OPT_*, long_options[] and one of
 * the apply functions, which pass an option that is not theirs on to the next one. The values of
 * options are parsed by value.c.
 *
 * Nothing is printed here, and no string is copied: argv and the environment live as long as the
 * program.
 */

#define DEFAULT_TEMPLATE_CACHE_BYTES (UINT64_C(4) << 30)
#define DEFAULT_CAPSULE_BYTES        (UINT64_C(256) << 20) /* of one */
#define DEFAULT_CAPSULE_CACHE_BYTES  (UINT64_C(1) << 30)
#define DEFAULT_SLOW_NS              UINT64_C(60000000000)
#define DEFAULT_POOL                 2 /* machines */

/*
 * Options without a short form. The values begin above those of characters, which stand for short
 * options.
 */
enum {
	OPT_EXACT = 256,
	OPT_SKIP,
	OPT_FORMAT,
	OPT_APPEND,
	OPT_ACCEL,
	OPT_VMM,
	OPT_TIME,
	OPT_QEMU,
	OPT_TIMEOUT,
	OPT_BOOT_TIMEOUT,
	OPT_TIMEOUT_MULTIPLIER,
	OPT_MAX_FAIL,
	OPT_STRESS_COUNT,
	OPT_NO_CAPTURE,
	OPT_STATUS_LEVEL,
	OPT_COLOR,
	OPT_TAP,
	OPT_MESON,
	OPT_JUNIT,
	OPT_HTML,
	OPT_GITHUB,
	OPT_TRACE_SCHED,
	OPT_SLOW,
	OPT_SHOW_PROGRESS,
	OPT_TRACE,
	OPT_KTAP,
	OPT_JSON,
	OPT_GTEST_OUTPUT,
	OPT_GTEST_LIST,
	OPT_GTEST_FILTER,
	OPT_EXEC,
	OPT_MIRROR,
	OPT_SUITE,
	OPT_MAX_AGE,
	OPT_MAX_SIZE,
	OPT_IGNORED,
	OPT_ACCEPTED,
	OPT_BOOT,
	OPT_TEMPLATE,
	OPT_TEMPLATE_CACHE_SIZE,
	OPT_MEMORY_BUDGET,
	OPT_POOL,
	OPT_RETRIES,
	OPT_FLAKY_RESULT,
	OPT_STRESS_DURATION,
	OPT_GLOBAL_TIMEOUT,
	OPT_SHUFFLE,
	OPT_SEED,
	OPT_EXPLORE,
	OPT_POLICY,
	OPT_TURN,
	OPT_PCT_DEPTH,
	OPT_PCT_LENGTH,
	OPT_MIPS,
	OPT_PARTITION,
	OPT_SHARD,
	OPT_WORK_TYPE,
	OPT_VERIFY,
	OPT_VMCORE,
	OPT_STEP,
	OPT_DEPTH,
	OPT_POINTERS,
	OPT_CAPSULE,
	OPT_CAPSULE_DIR,
	OPT_CAPSULE_MAX_SIZE,
	OPT_CAPSULE_CACHE_SIZE,
	OPT_INSPECT,
	OPT_GDB,
	OPT_SHELL,
	OPT_GATE,
	OPT_VERSION,
};

/*
 * getopt_long(3) also accepts unambiguous beginnings of these names. The second spelling of
 * --no-capture is that of Rust's libtest, and the --gtest_ options are those of GoogleTest.
 */
static const struct option long_options[] = {
	{ "test", required_argument, NULL, 't' },
	{ "exact", no_argument, NULL, OPT_EXACT },
	{ "skip", required_argument, NULL, OPT_SKIP },
	{ "list", no_argument, NULL, 'l' },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "kernel", required_argument, NULL, 'k' },
	{ "append", required_argument, NULL, OPT_APPEND },
	{ "accel", required_argument, NULL, OPT_ACCEL },
	{ "vmm", required_argument, NULL, OPT_VMM },
	{ "time", required_argument, NULL, OPT_TIME },
	{ "qemu", required_argument, NULL, OPT_QEMU },
	{ "test-threads", required_argument, NULL, 'j' },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "boot-timeout", required_argument, NULL, OPT_BOOT_TIMEOUT },
	{ "timeout-multiplier", required_argument, NULL, OPT_TIMEOUT_MULTIPLIER },
	{ "max-fail", required_argument, NULL, OPT_MAX_FAIL },
	{ "stress-count", required_argument, NULL, OPT_STRESS_COUNT },
	{ "no-capture", no_argument, NULL, OPT_NO_CAPTURE },
	{ "nocapture", no_argument, NULL, OPT_NO_CAPTURE },
	{ "status-level", required_argument, NULL, OPT_STATUS_LEVEL },
	{ "color", required_argument, NULL, OPT_COLOR },
	{ "verbose", no_argument, NULL, 'v' },
	{ "tap", no_argument, NULL, OPT_TAP },
	{ "meson", no_argument, NULL, OPT_MESON },
	{ "junit", required_argument, NULL, OPT_JUNIT },
	{ "html", required_argument, NULL, OPT_HTML },
	{ "github", required_argument, NULL, OPT_GITHUB },
	{ "ktap", optional_argument, NULL, OPT_KTAP },
	{ "json", optional_argument, NULL, OPT_JSON },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "slow", required_argument, NULL, OPT_SLOW },
	{ "show-progress", required_argument, NULL, OPT_SHOW_PROGRESS },
	{ "trace-sched", no_argument, NULL, OPT_TRACE_SCHED },
	{ "gtest_output", required_argument, NULL, OPT_GTEST_OUTPUT },
	{ "gtest_list_tests", no_argument, NULL, OPT_GTEST_LIST },
	{ "gtest_filter", required_argument, NULL, OPT_GTEST_FILTER },
	{ "exec", required_argument, NULL, OPT_EXEC },
	{ "mirror", required_argument, NULL, OPT_MIRROR },
	{ "suite", required_argument, NULL, OPT_SUITE },
	{ "max-age", required_argument, NULL, OPT_MAX_AGE },
	{ "max-size", required_argument, NULL, OPT_MAX_SIZE },
	{ "ignored", no_argument, NULL, OPT_IGNORED },
	{ "include-ignored", no_argument, NULL, OPT_ACCEPTED },
	{ "show-output", no_argument, NULL, 'v' },
	{ "gtest_repeat", required_argument, NULL, OPT_STRESS_COUNT },
	{ "gtest_random_seed", required_argument, NULL, OPT_SEED },
	{ "gtest_shuffle", no_argument, NULL, OPT_SHUFFLE },
	{ "gtest_color", required_argument, NULL, OPT_ACCEPTED },
	{ "gtest_brief", required_argument, NULL, OPT_ACCEPTED },
	{ "gtest_print_time", required_argument, NULL, OPT_ACCEPTED },
	{ "gtest_catch_exceptions", required_argument, NULL, OPT_ACCEPTED },
	{ "gtest_also_run_disabled_tests", no_argument, NULL, OPT_ACCEPTED },
	{ "boot", required_argument, NULL, OPT_BOOT },
	{ "template", required_argument, NULL, OPT_TEMPLATE },
	{ "template-cache-size", required_argument, NULL, OPT_TEMPLATE_CACHE_SIZE },
	{ "memory-budget", required_argument, NULL, OPT_MEMORY_BUDGET },
	{ "pool", required_argument, NULL, OPT_POOL },
	{ "retries", required_argument, NULL, OPT_RETRIES },
	{ "flaky-result", required_argument, NULL, OPT_FLAKY_RESULT },
	{ "stress-duration", required_argument, NULL, OPT_STRESS_DURATION },
	{ "global-timeout", required_argument, NULL, OPT_GLOBAL_TIMEOUT },
	{ "shuffle", no_argument, NULL, OPT_SHUFFLE },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "explore", required_argument, NULL, OPT_EXPLORE },
	{ "policy", required_argument, NULL, OPT_POLICY },
	{ "turn", required_argument, NULL, OPT_TURN },
	{ "pct-depth", required_argument, NULL, OPT_PCT_DEPTH },
	{ "pct-length", required_argument, NULL, OPT_PCT_LENGTH },
	{ "mips", required_argument, NULL, OPT_MIPS },
	{ "partition", required_argument, NULL, OPT_PARTITION },
	{ "shard", required_argument, NULL, OPT_SHARD },
	{ "work-type", required_argument, NULL, OPT_WORK_TYPE },
	{ "output-dir", required_argument, NULL, 'o' },
	{ "verify", no_argument, NULL, OPT_VERIFY },
	{ "vmcore", required_argument, NULL, OPT_VMCORE },
	{ "step", required_argument, NULL, OPT_STEP },
	{ "depth", required_argument, NULL, OPT_DEPTH },
	{ "pointers", required_argument, NULL, OPT_POINTERS },
	{ "capsule", required_argument, NULL, OPT_CAPSULE },
	{ "capsule-dir", required_argument, NULL, OPT_CAPSULE_DIR },
	{ "capsule-max-size", required_argument, NULL, OPT_CAPSULE_MAX_SIZE },
	{ "capsule-cache-size", required_argument, NULL, OPT_CAPSULE_CACHE_SIZE },
	{ "inspect", required_argument, NULL, OPT_INSPECT },
	{ "gdb", optional_argument, NULL, OPT_GDB },
	{ "shell", no_argument, NULL, OPT_SHELL },
	{ "gate", required_argument, NULL, OPT_GATE },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ 0 },
};

static const struct kt_word format_words[] = {
	{ "terse", KT_LIST_TERSE },
	{ "names", KT_LIST_NAMES },
	{ "json", KT_LIST_JSON },
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

static int parse_template(struct kt_options *o, const char *text, struct kt_err *reterr)
{
	int end = 0;

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

/* "auto" is resolved by find_shard(), after all options are known. */
static int parse_shard(struct kt_options *o, const char *text, struct kt_err *reterr)
{
	int r;

	o->shard_given = true;
	o->shard_auto = !strcmp(text, "auto");
	r = o->shard_auto ? 0 : kt_shard_parse(text, &o->shard, reterr);
	return r < 0 ? kt_err_prefix(reterr, r, "--shard") : 0;
}

/* Replaces an earlier --shard, as a later option replaces an earlier one of the same name. */
static int parse_partition(struct kt_options *o, const char *text, struct kt_err *reterr)
{
	int r = kt_shard_parse_partition(text, &o->shard, reterr);

	o->shard_given = true;
	o->shard_auto = false;
	return r < 0 ? kt_err_prefix(reterr, r, "--partition '%s'", text) : 0;
}

/* The functions set_*() let a case of the switches below be a single line. */
static int set_flag(bool *flag)
{
	*flag = true;
	return 0;
}

static int set_text(const char **to, const char *text)
{
	*to = text;
	return 0;
}

static int set_command(struct kt_options *options, enum kt_command command)
{
	options->command = command;
	return 0;
}

/* The last of the apply functions: an option that is not known here is not known at all. */
static int apply_reporting(struct kt_options *o, int option, const char *text,
			   struct kt_err *reterr)
{
	int value = 0, r;

	switch (option) {
	case OPT_FORMAT:
		r = kt_value_word("--format", format_words, text, &value, reterr);
		o->list_format = (enum kt_list_format)value;
		return r;
	case OPT_STATUS_LEVEL:
		r = kt_value_word("--status-level", status_words, text, &value, reterr);
		o->status_level = (enum kt_status_level)value;
		return r;
	case OPT_COLOR:
		r = kt_value_word("--color", color_words, text, &value, reterr);
		o->color = (enum kt_color_choice)value;
		return r;
	case OPT_GITHUB:
		r = kt_value_word("--github", github_words, text, &value, reterr);
		o->github = (enum kt_github_choice)value;
		return r;
	case OPT_TRACE:
		return set_text(&o->trace, text);
	case OPT_SLOW:
		return kt_value_time("--slow", text, &o->slow_ns, reterr);
	case OPT_SHOW_PROGRESS:
		r = kt_value_word("--show-progress", progress_words, text, &value, reterr);
		o->show_progress = (enum kt_progress_choice)value;
		return r;
	case OPT_TRACE_SCHED:
		return set_flag(&o->trace_sched);
	case OPT_KTAP:
		return set_text(&o->ktap, text ?: "-");
	case OPT_JSON:
		return set_text(&o->json, text ?: "-");
	case OPT_TAP:
		return set_flag(&o->tap);
	case OPT_MESON:
		o->tap = true;
		return set_flag(&o->meson);
	case OPT_JUNIT:
		return set_text(&o->junit, text);
	case OPT_HTML:
		return set_text(&o->html, text);
	case OPT_GTEST_OUTPUT:
		return kt_value_gtest_output(text, &o->gtest_output, reterr);
	case 'o':
		return set_text(&o->output_dir, text);
	case OPT_GTEST_LIST:
		o->list_format = KT_LIST_GTEST;
		return set_command(o, KT_COMMAND_LIST);
	case 'v':
		return set_flag(&o->verbose);
	case 'h':
		return set_command(o, KT_COMMAND_HELP);
	case OPT_VERSION:
		return set_command(o, KT_COMMAND_VERSION);
	}
	return kt_err_set(reterr, -EINVAL, "unknown option; --help lists them");
}

static int apply_repeating(struct kt_options *o, int option, const char *text,
			   struct kt_err *reterr)
{
	int value = 0, r;

	switch (option) {
	case OPT_STRESS_COUNT:
		o->stress_count_given = true;
		return kt_value_stress_count(text, &o->stress_count, reterr);
	case OPT_WORK_TYPE:
		return kt_value_work_type(text, &o->work_type, reterr);
	case OPT_STRESS_DURATION:
		return kt_value_time("--stress-duration", text, &o->stress_duration_ns, reterr);
	case OPT_GLOBAL_TIMEOUT:
		return kt_value_time("--global-timeout", text, &o->global_timeout_ns, reterr);
	case OPT_RETRIES:
		return kt_value_number("--retries", text, 0, 1000, &o->retries, reterr);
	case OPT_FLAKY_RESULT:
		r = kt_value_word("--flaky-result", flaky_words, text, &value, reterr);
		o->flaky_fails = value;
		return r;
	case OPT_SHUFFLE:
		return set_flag(&o->shuffle);
	case OPT_SEED:
		o->seed_given = true;
		return kt_value_seed(text, &o->seed, reterr);
	case OPT_EXPLORE:
		o->explore = true;
		return kt_value_number("--explore", text, 1, KT_STRESS_COUNT_MAX, &o->stress_count,
				       reterr);
	case OPT_POLICY:
		r = kt_value_word("--policy", policy_words, text, &value, reterr);
		o->policy_given = true;
		o->policy = (enum kt_turns_policy)value;
		return r;
	case OPT_MIPS:
		return kt_value_number("--mips", text, 1, 1000, &o->mips, reterr);
	case OPT_TURN:
		return kt_value_number("--turn", text, KT_TURNS_MEAN_MIN, KT_TURNS_MEAN_MAX,
				       &o->turn_insns, reterr);
	case OPT_PCT_DEPTH:
		return kt_value_number("--pct-depth", text, 1, KT_TURNS_DEPTH_MAX, &o->pct_depth,
				       reterr);
	case OPT_PCT_LENGTH:
		return kt_value_number("--pct-length", text, 1, UINT32_MAX, &o->pct_length, reterr);
	}
	return apply_reporting(o, option, text, reterr);
}

static int apply_running(struct kt_options *o, int option, const char *text, struct kt_err *reterr)
{
	switch (option) {
	case OPT_MEMORY_BUDGET:
		return kt_value_memory_budget(text, &o->memory_budget_mib, reterr);
	case OPT_POOL:
		return kt_value_number("--pool", text, 0, 64, &o->pool, reterr);
	case 'j':
		return kt_value_budget(text, &o->budget_vcpus, reterr);
	case OPT_TIMEOUT:
		return kt_value_time("--timeout", text, &o->timeout_ns, reterr);
	case OPT_BOOT_TIMEOUT:
		return kt_value_time("--boot-timeout", text, &o->boot_timeout_ns, reterr);
	case OPT_TIMEOUT_MULTIPLIER:
		return kt_value_multiplier(text, &o->timeout_multiplier, reterr);
	case OPT_MAX_FAIL:
		o->max_fail_given = true;
		return kt_value_max_fail(text, &o->max_fail, reterr);
	case OPT_NO_CAPTURE:
		return set_flag(&o->no_capture);
	}
	return apply_repeating(o, option, text, reterr);
}

static int apply_capsule(struct kt_options *o, int option, const char *text, struct kt_err *reterr)
{
	int value = 0, r;

	switch (option) {
	case OPT_CAPSULE:
		r = kt_value_word("--capsule", capsule_words, text, &value, reterr);
		o->capsule = (enum kt_capsule_choice)value;
		return r;
	case OPT_CAPSULE_DIR:
		return set_text(&o->capsule_dir, text);
	case OPT_CAPSULE_MAX_SIZE:
		return kt_value_bytes("--capsule-max-size", text, &o->capsule_max_bytes, reterr);
	case OPT_CAPSULE_CACHE_SIZE:
		return kt_value_bytes("--capsule-cache-size", text, &o->capsule_cache_bytes,
				      reterr);
	case OPT_INSPECT:
		return kt_strings_add(&o->paths, text, reterr);
	case OPT_GDB:
		o->gdb_socket = text;
		return set_flag(&o->gdb);
	case OPT_SHELL:
		return set_flag(&o->shell);
	}
	return apply_running(o, option, text, reterr);
}

static int apply_inspect(struct kt_options *o, int option, const char *text, struct kt_err *reterr)
{
	switch (option) {
	case OPT_VMCORE:
		return set_text(&o->vmcore, text);
	case OPT_STEP:
		o->step_given = true;
		return kt_value_number("--step", text, 0, 65535, &o->step, reterr);
	case OPT_DEPTH:
		return kt_value_number("--depth", text, 1, 32, &o->depth, reterr);
	case OPT_POINTERS:
		return kt_value_number("--pointers", text, 0, 32, &o->pointers, reterr);
	}
	return apply_capsule(o, option, text, reterr);
}

/*
 * Applies one option, whose letter or OPT_ value is @option, with its value @text (NULL without
 * one).
 */
static int apply(struct kt_options *o, int option, const char *text, struct kt_err *reterr)
{
	int value = 0, r;

	switch (option) {
	case 't':
		return kt_strings_add(&o->tests, text, reterr);
	case OPT_SKIP:
		return kt_strings_add(&o->skips, text, reterr);
	case OPT_EXACT:
		return set_flag(&o->exact);
	case OPT_GTEST_FILTER:
		return set_text(&o->gtest_filter, text);
	case 'l':
		return set_command(o, KT_COMMAND_LIST);
	case 'k':
		return kt_strings_add(&o->kernels, text, reterr);
	case OPT_APPEND:
		return set_text(&o->append, text);
	case OPT_QEMU:
		return set_text(&o->qemu, text);
	case OPT_ACCEL:
		r = kt_value_word("--accel", accel_words, text, &value, reterr);
		o->accel = (enum kt_accel_choice)value;
		return r;
	case OPT_VMM:
		r = kt_value_word("--vmm", vmm_words, text, &value, reterr);
		o->vmm = (enum kt_vmm_choice)value;
		return r;
	case OPT_TIME:
		r = kt_value_word("--time", time_words, text, &value, reterr);
		o->time = (enum kt_time_choice)value;
		return r;
	case OPT_BOOT:
		r = kt_value_word("--boot", boot_words, text, &value, reterr);
		o->boot = (enum kt_boot)value;
		return r;
	case OPT_TEMPLATE:
		return parse_template(o, text, reterr);
	case OPT_TEMPLATE_CACHE_SIZE:
		return kt_value_bytes("--template-cache-size", text, &o->template_cache_bytes,
				      reterr);
	case OPT_PARTITION:
		return parse_partition(o, text, reterr);
	case OPT_SHARD:
		return parse_shard(o, text, reterr);
	case OPT_EXEC:
		return set_text(&o->exec, text);
	case OPT_MIRROR:
		return set_text(&o->mirror, text);
	case OPT_SUITE:
		return set_text(&o->suite, text);
	case OPT_MAX_AGE:
		return kt_value_time("--max-age", text, &o->cache_max_age_ns, reterr);
	case OPT_MAX_SIZE:
		return kt_value_bytes("--max-size", text, &o->cache_max_bytes, reterr);
	case OPT_VERIFY:
		return set_flag(&o->verify);
	case OPT_GATE:
		return kt_strings_add(&o->gates, text, reterr);
	case OPT_IGNORED:
		return set_flag(&o->ignored);
	case OPT_ACCEPTED:
		return 0; /* runners that are made for libtest or GoogleTest pass it */
	}
	return apply_inspect(o, option, text, reterr);
}

/* Applies the KTESTS_* variables. An empty variable counts as unset. */
static int apply_environment(struct kt_options *o, struct kt_err *reterr)
{
	static const struct {
		const char *name;
		int option;
	} variables[] = {
		{ "KTESTS_KERNEL", 'k' },       { "KTESTS_ACCEL", OPT_ACCEL },
		{ "KTESTS_VMM", OPT_VMM },      { "KTESTS_TIME", OPT_TIME },
		{ "KTESTS_TEST_THREADS", 'j' }, { "KTESTS_RETRIES", OPT_RETRIES },
		{ "KTESTS_SHARD", OPT_SHARD },  { "KTESTS_OUTPUT_DIR", 'o' },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(variables); i++) {
		const char *text = getenv(variables[i].name);
		int r = text && *text ? apply(o, variables[i].option, text, reterr) : 0;

		if (r < 0)
			return kt_err_prefix(reterr, r, "%s", variables[i].name);
	}
	o->kernel_from_environment = o->kernels.n;
	return 0;
}

static int apply_getopt(struct kt_options *o, int argc, char **argv, struct kt_err *reterr)
{
	int option;

	optind = 0; /* GNU: start afresh */
	opterr = 0;
	/*
	 * The leading colon makes getopt_long(3) tell a missing value (':') from an unknown option
	 * ('?').
	 */
	while ((option = getopt_long(argc, argv, ":t:lk:j:o:vh", long_options, NULL)) != -1) {
		const char *given = argv[optind - 1];
		int r;

		if (option == '?' && optopt > ' ' && optopt < 256)
			return kt_err_set(reterr, -EINVAL,
					  "unknown option '-%c'; --help lists them", optopt);
		if (option == '?')
			return kt_err_set(reterr, -EINVAL,
					  "unknown or ambiguous option '%s'; --help lists them",
					  given);
		if (option == ':')
			return kt_err_set(reterr, -EINVAL, "option '%s' needs a value", given);
		/* -k adds to a list, so the kernel from the environment is removed by hand. */
		if (option == 'k' && o->kernel_from_environment) {
			o->kernels.n = 0;
			o->kernel_from_environment = false;
		}
		r = apply(o, option, optarg, reterr);
		if (r < 0)
			return r;
	}
	return 0;
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
		{ "--junit -", is_stdout(o->junit) },
		{ "--trace -", is_stdout(o->trace) },
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
	if (o->trace_sched && !o->output_dir)
		return kt_err_set(reterr, -EINVAL, "--trace-sched goes with -o DIR");
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

	r = apply_environment(&o, reterr) ?: apply_getopt(&o, argc, argv, reterr);
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

const char *kt_turns_policy_name(enum kt_turns_policy policy)
{
	return policy_words[policy].name;
}

void kt_options_deinit(struct kt_options *options)
{
	free(options->tests.at);
	free(options->skips.at);
	free(options->kernels.at);
	free(options->paths.at);
	free(options->gates.at);
	options->tests = options->skips = options->kernels = options->paths = options->gates =
		(struct kt_strings){ NULL, 0 };
}
