/* SPDX-License-Identifier: MIT */
/* The command line and the environment. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framework/kernel/index.h"
#include "framework/options/options.h"
#include "framework/options/table.h"
#include "framework/options/words.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

UNIT_SUITE(options);

#define PARSE(options, err, ...)                                                                   \
	kt_options_parse((int)KT_ARRAY_LEN(((char *[]){ "ktests", __VA_ARGS__ })),                 \
			 (char *[]){ "ktests", __VA_ARGS__, NULL }, options, err)

Test(options, what_is_given_is_there)
{
	struct kt_options o;

	cr_assert(eq(int,
		     PARSE(&o, NULL, "-t", "a", "b", "--skip=c", "--exact", "-j", "7", "--timeout",
			   "1.5s", "--max-fail=2", "-k", "7.0", "--tap", "--status-level", "all"),
		     0));
	cr_assert(eq(int, (int)o.command, KT_COMMAND_RUN));
	cr_assert(eq(sz, o.tests.n, 2));
	cr_assert(eq(str, (char *)o.tests.at[1], "b"));
	cr_assert(eq(sz, o.skips.n, 1));
	cr_assert(o.exact && o.tap);
	cr_assert(eq(u32, o.budget_vcpus, 7));
	cr_assert(eq(u64, o.timeout_ns, 1500000000));
	cr_assert(eq(u32, o.max_fail, 2));
	cr_assert(eq(int, (int)o.status_level, KT_STATUS_ALL));
	kt_options_deinit(&o);
}

Test(options, how_many_failures_end_a_run)
{
	struct kt_options o;

	cr_assert(zero(int, PARSE(&o, NULL, "--max-fail", "3:immediate")));
	cr_assert(o.max_fail == 3 && o.max_fail_at_once);
	kt_options_deinit(&o);
	cr_assert(zero(int, PARSE(&o, NULL, "--max-fail", "3:immediate", "--max-fail", "2:wait")));
	cr_assert(o.max_fail == 2 && !o.max_fail_at_once);
	kt_options_deinit(&o);
	cr_assert(zero(int, PARSE(&o, NULL, "--max-fail", "3:immediate", "--ff")));
	cr_assert(o.max_fail == 1 && !o.max_fail_at_once);
	kt_options_deinit(&o);
	cr_assert(zero(int, PARSE(&o, NULL, "--ff", "--max-fail", "all")));
	cr_assert(o.max_fail == 0 && o.max_fail_given);
	kt_options_deinit(&o);
}

Test(options, commands)
{
	static const struct {
		char *words[4];
		enum kt_command command;
	} cases[] = {
		{ { "list" }, KT_COMMAND_LIST },
		{ { "-l" }, KT_COMMAND_LIST },
		{ { "run" }, KT_COMMAND_RUN },
		{ { "shell" }, KT_COMMAND_SHELL },
		{ { "kernel", "fetch" }, KT_COMMAND_KERNEL_FETCH },
		{ { "kernel", "fetch", "6.16" }, KT_COMMAND_KERNEL_FETCH },
		{ { "kernel", "path" }, KT_COMMAND_KERNEL_PATH },
		{ { "--help" }, KT_COMMAND_HELP },
		{ { "cache", "list" }, KT_COMMAND_CACHE_LIST },
		{ { "cache", "prune", "--max-age=7d" }, KT_COMMAND_CACHE_PRUNE },
		{ { "--", "kernel" }, KT_COMMAND_RUN },
		{ { "open", "a" }, KT_COMMAND_OPEN },
		{ { "open", "a", "--gdb=b" }, KT_COMMAND_OPEN },
		{ { "open", "a", "--vmcore=b" }, KT_COMMAND_OPEN },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		char *argv[6] = { "ktests" };
		struct kt_options o;
		int n = 1;

		while (cases[i].words[n - 1]) {
			argv[n] = cases[i].words[n - 1];
			n++;
		}
		cr_assert(eq(int, kt_options_parse(n, argv, &o, NULL), 0), "case %zu", i);
		cr_assert(eq(int, (int)o.command, (int)cases[i].command), "case %zu", i);
		kt_options_deinit(&o);
	}
}

Test(options, what_is_looked_at_in_a_capsule)
{
	struct kt_options o;

	cr_assert(zero(int, PARSE(&o, NULL, "open", "a.capsule", "--inspect", "x", "y", "z")));
	cr_assert(eq(sz, o.tests.n, 1));
	cr_assert(eq(str, (char *)o.tests.at[0], "a.capsule"));
	cr_assert(eq(sz, o.paths.n, 3));
	kt_options_deinit(&o);
	cr_assert(eq(int, PARSE(&o, NULL, "open", "a", "--inspect", "x", "--gdb"), -EINVAL));
	cr_assert(eq(int, PARSE(&o, NULL, "open", "a", "--vmcore", "x", "--shell"), -EINVAL));
}

Test(options, bad_ones_are_named)
{
	static char *const cases[][3] = {
		{ "--frobnicate" },
		{ "-x" },
		{ "--timeout", "soon" },
		{ "--timeout", "0" },
		{ "-j", "0" },
		{ "-j", "many" },
		{ "--format", "xml" },
		{ "--accel", "hvf" },
		{ "--vmm", "xen" },
		{ "--max-fail", "-1" },
		{ "--max-fail", "0" },
		{ "--max-fail", "2:" },
		{ "--max-fail", "2:soon" },
		{ "--max-fail", ":wait" },
		{ "--max-fail", "all:wait" },
		{ "--max-fail", "00000000000000000000001x" },
		{ "--stress-count", "0" },
		{ "--gtest_output", "json:x" },
		{ "--color", "green" },
		{ "-t" },
		{ "kernel" },
		{ "kernel", "eat" },
		{ "kernel", "list", "7" },
		{ "--exec", "true" },
		{ "--tap", "--no-capture" },
		{ "--tap", "--junit=-" },
		{ "--no-capture", "--html=-" },
		{ "--html=-", "--junit=-" },
		{ "--junit=-", "--gtest_output=xml:-" },
		{ "--timeout-multiplier", "nan" },
		{ "--timeout-multiplier", "-2" },
		{ "--capsule", "sometimes" },
		{ "--capsule-dir", "a" },
		{ "--capsule-max-size", "much" },
		{ "open" },
		{ "--shell" },
		{ "--gdb" },
		{ "--inspect", "jiffies_64" },
		{ "open", "a", "--exec=b" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		char *argv[5] = { "ktests", cases[i][0], cases[i][1], cases[i][2] };
		struct kt_err err = KT_ERR_NULL;
		struct kt_options o;
		int n = 1;

		while (argv[n])
			n++;
		cr_assert(eq(int, kt_options_parse(n, argv, &o, &err), -EINVAL), "case %zu", i);
		cr_assert(err.text[0] != '\0', "case %zu", i);
	}
}

Test(options, the_command_line_overrides_the_environment)
{
	struct kt_options o;
	struct kt_err err = KT_ERR_NULL;

	(void)setenv("KTESTS_KERNEL", "6.16", 1);
	(void)setenv("KTESTS_ACCEL", "tcg", 1);
	(void)setenv("KTESTS_VMM", "kvm", 1);
	cr_assert(eq(int, PARSE(&o, NULL, "-k", "7.0", "--vmm", "qemu"), 0));
	cr_assert(eq(int, (int)o.vmm, KT_VMM_CHOICE_QEMU));
	kt_options_deinit(&o);
	cr_assert(eq(int, PARSE(&o, NULL, "-k", "7.0"), 0));
	cr_assert(eq(int, (int)o.vmm, KT_VMM_CHOICE_KVM));
	cr_assert(eq(str, (char *)o.kernels.at[0], "7.0"));
	cr_assert(eq(int, (int)o.accel, KT_ACCEL_CHOICE_TCG));
	kt_options_deinit(&o);
	(void)setenv("KTESTS_ACCEL", "magic", 1);
	cr_assert(eq(int, PARSE(&o, &err, "-v"), -EINVAL));
	cr_assert(strstr(err.text, "KTESTS_ACCEL") != NULL, "%s", err.text);
}

/* Removes the variables that the tests themselves may run with, such as those of a CI. */
#define PARSE_ALONE(options, err, ...) ((void)clearenv(), PARSE(options, err, __VA_ARGS__))

Test(options, what_is_not_given_has_defaults)
{
	struct kt_options o, other;

	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "-v")));
	cr_assert(eq(int, (int)o.boot, KT_BOOT_FORK));
	cr_assert(eq(u64, o.template_cache_bytes, UINT64_C(4) << 30));
	cr_assert(zero(u32, o.memory_budget_mib));
	cr_assert(eq(u32, o.pool, 2));
	cr_assert(zero(u32, o.retries));
	cr_assert(not(o.flaky_fails || o.shuffle || o.shard_auto));
	cr_assert(eq(u32, o.stress_count, 1));
	cr_assert(zero(u64, o.stress_duration_ns));
	cr_assert(zero(u64, o.global_timeout_ns));
	cr_assert(eq(u32, o.shard.total, 1));
	cr_assert(zero(int, PARSE_ALONE(&other, NULL, "-v")));
	cr_assert(ne(u64, o.seed, other.seed), "each run draws a seed");
	kt_options_deinit(&o);
	kt_options_deinit(&other);
}

Test(options, machines_and_the_budget)
{
	struct kt_options o;

	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--boot", "cold", "--template-cache-size", "512M",
					"--memory-budget=3G", "--pool", "0")));
	cr_assert(eq(int, (int)o.boot, KT_BOOT_COLD));
	cr_assert(eq(u64, o.template_cache_bytes, UINT64_C(512) << 20));
	cr_assert(eq(u32, o.memory_budget_mib, 3072));
	cr_assert(zero(u32, o.pool));
	kt_options_deinit(&o);
	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--boot", "cold", "--boot", "fork", "--pool=7")));
	cr_assert(eq(int, (int)o.boot, KT_BOOT_FORK), "the last one counts");
	cr_assert(eq(u32, o.pool, 7));
	kt_options_deinit(&o);
}

Test(options, what_is_run_again)
{
	struct kt_options o;

	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--retries", "3", "--flaky-result", "fail",
					"--stress-count", "infinite", "--global-timeout", "10m",
					"--shuffle", "--seed", "18446744073709551615")));
	cr_assert(eq(u32, o.retries, 3));
	cr_assert(o.flaky_fails && o.shuffle);
	cr_assert(zero(u32, o.stress_count));
	cr_assert(eq(u64, o.global_timeout_ns, 600 * KT_NSEC_PER_SEC));
	cr_assert(eq(u64, o.seed, UINT64_MAX));
	kt_options_deinit(&o);
	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--flaky-result=fail", "--flaky-result=pass",
					"--stress-count", "5", "--stress-duration", "2s")));
	cr_assert(not(o.flaky_fails));
	cr_assert(eq(u32, o.stress_count, 5));
	cr_assert(eq(u64, o.stress_duration_ns, 2 * KT_NSEC_PER_SEC));
	kt_options_deinit(&o);
	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--stress-duration", "500ms")));
	cr_assert(zero(u32, o.stress_count), "for so long, whatever the number");
	cr_assert(eq(u64, o.stress_duration_ns, 500 * KT_NSEC_PER_MSEC));
	kt_options_deinit(&o);
}

/* The shard as text, "hash:2/5". Frees the options. */
static char *shard_text(struct kt_options *o)
{
	static char text[32];

	(void)snprintf(text, sizeof(text), "%s:%u/%u", kt_partition_name(o->shard.partition),
		       o->shard.index, o->shard.total);
	kt_options_deinit(o);
	return text;
}

Test(options, shards)
{
	struct kt_options o;

	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--shard", "2/5")));
	cr_assert(eq(str, shard_text(&o), "slice:2/5"));
	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--partition", "hash:2/5")));
	cr_assert(eq(str, shard_text(&o), "hash:2/5"));
	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--partition=count:1/3")));
	cr_assert(eq(str, shard_text(&o), "count:1/3"));
	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--partition=time:1/3", "--timings", "t.json")));
	cr_assert(eq(str, shard_text(&o), "time:1/3"));
	cr_assert(eq(str, (char *)o.timings, (char *)"t.json"));
}

/* One without the other would divide otherwise than its user thinks. */
Test(options, times_and_their_partition_go_together)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_options o;

	cr_assert(eq(int, PARSE_ALONE(&o, &err, "--partition", "time:1/2"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "--timings"), NULL), "%s", err.text);
	cr_assert(eq(int, PARSE_ALONE(&o, &err, "--shard", "1/2", "--timings", "t"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "--partition time"), NULL), "%s", err.text);
	cr_assert(eq(int, PARSE_ALONE(&o, &err, "merge"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "merge: directories"), NULL), "%s", err.text);
}

/*
 * A job of a CI must not silently drop tests. The variables of Bazel and GoogleTest are a request.
 */
Test(options, engines_count_when_asked_for)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_options o;

	cr_assert(eq(int, PARSE_ALONE(&o, &err, "--shard", "auto"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "--shard auto"), NULL), "%s", err.text);
	(void)setenv("CIRCLECI", "true", 1);
	(void)setenv("CIRCLE_NODE_INDEX", "1", 1);
	(void)setenv("CIRCLE_NODE_TOTAL", "5", 1);
	cr_assert(zero(int, PARSE(&o, NULL, "-v")));
	cr_assert(eq(str, shard_text(&o), "slice:1/1"));
	cr_assert(zero(int, PARSE(&o, NULL, "--shard", "auto")));
	cr_assert(eq(str, shard_text(&o), "slice:2/5"));
	(void)setenv("TEST_SHARD_INDEX", "2", 1);
	(void)setenv("TEST_TOTAL_SHARDS", "3", 1);
	cr_assert(zero(int, PARSE(&o, NULL, "-v")));
	cr_assert(eq(str, shard_text(&o), "slice:3/3"));
	cr_assert(zero(int, PARSE(&o, NULL, "--shard", "1/2")));
	cr_assert(eq(str, shard_text(&o), "slice:1/2"));
	(void)unsetenv("TEST_TOTAL_SHARDS");
	cr_assert(eq(int, PARSE(&o, &err, "-v"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "TEST_SHARD_INDEX=2"), NULL), "%s", err.text);
}

Test(options, retries_of_the_environment)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_options o;

	(void)clearenv();
	(void)setenv("KTESTS_RETRIES", "5", 1);
	cr_assert(zero(int, PARSE(&o, NULL, "-v")));
	cr_assert(eq(u32, o.retries, 5));
	kt_options_deinit(&o);
	cr_assert(zero(int, PARSE(&o, NULL, "--retries", "0")));
	cr_assert(zero(u32, o.retries));
	kt_options_deinit(&o);
	(void)setenv("KTESTS_RETRIES", "often", 1);
	cr_assert(eq(int, PARSE(&o, &err, "-v"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "KTESTS_RETRIES"), NULL), "%s", err.text);
	cr_assert(ne(ptr, strstr(err.text, "'often'"), NULL), "%s", err.text);
}

Test(options, the_shard_of_the_environment)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_options o;

	(void)clearenv();
	(void)setenv("KTESTS_SHARD", "2/5", 1);
	cr_assert(zero(int, PARSE(&o, NULL, "-v")));
	cr_assert(eq(str, shard_text(&o), "slice:2/5"));
	cr_assert(zero(int, PARSE(&o, NULL, "--shard", "1/3")));
	cr_assert(eq(str, shard_text(&o), "slice:1/3"));
	cr_assert(zero(int, PARSE(&o, NULL, "--partition", "hash:1/3")));
	cr_assert(eq(str, shard_text(&o), "hash:1/3"));
	(void)setenv("BUILDKITE", "true", 1);
	(void)setenv("BUILDKITE_PARALLEL_JOB", "2", 1);
	(void)setenv("BUILDKITE_PARALLEL_JOB_COUNT", "4", 1);
	cr_assert(zero(int, PARSE(&o, NULL, "--partition", "hash:auto")));
	cr_assert(eq(str, shard_text(&o), "hash:3/4"));
	(void)unsetenv("BUILDKITE");
	(void)unsetenv("BUILDKITE_PARALLEL_JOB");
	(void)setenv("KTESTS_SHARD", "auto", 1);
	cr_assert(eq(int, PARSE(&o, NULL, "-v"), -EINVAL), "there is no engine");
	cr_assert(zero(int, PARSE(&o, NULL, "--shard", "1/3")));
	cr_assert(eq(str, shard_text(&o), "slice:1/3"));
	(void)setenv("KTESTS_SHARD", "6/5", 1);
	cr_assert(eq(int, PARSE(&o, &err, "-v"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "KTESTS_SHARD"), NULL), "%s", err.text);
	cr_assert(ne(ptr, strstr(err.text, "'6/5'"), NULL), "%s", err.text);
}

Test(options, a_bad_value_is_named_with_its_option)
{
	static char *const cases[][2] = {
		{ "--boot", "warm" },
		{ "--template-cache-size", "much" },
		{ "--template-cache-size", "-1G" },
		{ "--memory-budget", "4X" },
		{ "--memory-budget", "63M" },
		{ "--pool", "65" },
		{ "--pool", "-1" },
		{ "--retries", "1001" },
		{ "--retries", "many" },
		{ "--flaky-result", "skip" },
		{ "--stress-count", "0" },
		{ "--stress-count", "endless" },
		{ "--stress-duration", "0" },
		{ "--stress-duration", "2 weeks" },
		{ "--global-timeout", "0s" },
		{ "--global-timeout", "never" },
		{ "--seed", "0x1" },
		{ "--seed", "18446744073709551616" },
		{ "--partition", "weight:1/2" },
		{ "--shard", "6/5" },
		{ "--shard", "automatic" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		/* Shards are also parsed where they are not an option. */
		bool plain = !strcmp(cases[i][0], "--partition") || !strcmp(cases[i][0], "--shard");
		KT_FREE char *named =
			kt_format("%s '%s'", cases[i][0] + (plain ? 2 : 0), cases[i][1]);
		struct kt_err err = KT_ERR_NULL;
		struct kt_options o;

		cr_assert(eq(int, PARSE_ALONE(&o, &err, cases[i][0], cases[i][1]), -EINVAL), "%s",
			  named);
		cr_assert(ne(ptr, strstr(err.text, named), NULL), "%s: %s", named, err.text);
	}
}

Test(options, the_cache)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_options o;

	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "cache", "prune")));
	cr_assert(eq(u64, o.cache_max_age_ns, UINT64_C(30) * 86400 * KT_NSEC_PER_SEC));
	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "cache", "prune", "--max-size", "2G")));
	cr_assert(zero(u64, o.cache_max_age_ns));
	cr_assert(eq(u64, o.cache_max_bytes, UINT64_C(2) << 30));
	cr_assert(eq(int, PARSE_ALONE(&o, &err, "cache", "eat"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "cache 'eat'"), NULL), "%s", err.text);
	cr_assert(eq(int, PARSE_ALONE(&o, &err, "cache", "list", "--max-age", "old"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "--max-age 'old'"), NULL), "%s", err.text);
}

Test(options, templates)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_options o;

	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "template", "list")));
	cr_assert(eq(int, (int)o.command, KT_COMMAND_TEMPLATE_LIST));
	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "template", "clear")));
	cr_assert(eq(int, (int)o.command, KT_COMMAND_TEMPLATE_CLEAR));
	cr_assert(eq(int, PARSE_ALONE(&o, &err, "template"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "template:"), NULL), "%s", err.text);
	cr_assert(eq(int, PARSE_ALONE(&o, &err, "template", "eat"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "template 'eat'"), NULL), "%s", err.text);
	cr_assert(eq(int, PARSE_ALONE(&o, &err, "template", "list", "more"), -EINVAL));
	cr_assert(ne(ptr, strstr(err.text, "template list: 'more'"), NULL), "%s", err.text);
	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--", "template", "list")), "names of tests");
	cr_assert(eq(int, (int)o.command, KT_COMMAND_RUN));
	cr_assert(eq(sz, o.tests.n, 2));
	kt_options_deinit(&o);
}

/* ---- the table ------------------------------------------------------------------------------- */

static char *written(void (*write)(const char *name, FILE *out))
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	write("ktests", out);
	(void)fclose(out);
	return text;
}

static void write_bash(const char *name, FILE *out)
{
	kt_options_completion(KT_COMMAND_COMPLETION_BASH, name, out);
}

static void write_zsh(const char *name, FILE *out)
{
	kt_options_completion(KT_COMMAND_COMPLETION_ZSH, name, out);
}

static void write_fish(const char *name, FILE *out)
{
	kt_options_completion(KT_COMMAND_COMPLETION_FISH, name, out);
}

/* The name with its hyphens as man(7) writes them. */
static void for_manual(const char *name, char *text)
{
	for (; *name; name++) {
		if (*name == '-')
			*text++ = '\\';
		*text++ = *name;
	}
	*text = '\0';
}

Test(options, each_is_in_the_help_the_manual_and_the_completions)
{
	KT_FREE char *help = written(kt_options_help), *manual = written(kt_options_manual),
		     *bash = written(write_bash), *zsh = written(write_zsh),
		     *fish = written(write_fish);
	size_t n;
	const struct kt_option *table = kt_option_table(&n);

	for (size_t i = 0; i < n && table[i].group != KT_OPTIONS_HIDDEN; i++) {
		char word[80], name[80], variable[96];

		(void)snprintf(word, sizeof(word), "--%s", table[i].name);
		cr_assert(strstr(help, word) && strstr(bash, word) && strstr(zsh, word), "%s",
			  word);
		for_manual(word, name);
		cr_assert(strstr(manual, name) != NULL, "%s", name);
		(void)snprintf(word, sizeof(word), " -l %s ", table[i].name);
		cr_assert(strstr(fish, word) != NULL, "%s", word);
		kt_option_variable(&table[i], name, sizeof(name));
		(void)snprintf(variable, sizeof(variable), "(%s)", name);
		cr_assert(eq(int, strstr(help, variable) != NULL, table[i].is_variable), "%s",
			  variable);
		cr_assert(eq(ptr, (void *)kt_option_find(table[i].name), (void *)&table[i]));
	}
	for (size_t i = 0; i < n; i++) {
		char word[80];

		(void)snprintf(word, sizeof(word), " --%s", table[i].name);
		cr_assert(not(table[i].group == KT_OPTIONS_HIDDEN && strstr(help, word)), "%s",
			  word);
	}
}

/* Rows stand in the order of their groups, under which --help writes them. */
Test(options, the_table_is_in_order)
{
	size_t n, n_commands;
	const struct kt_option *table = kt_option_table(&n);
	const struct kt_command_row *commands = kt_command_table(&n_commands);

	for (size_t i = 1; i < n; i++)
		cr_assert(le(int, (int)table[i - 1].group, (int)table[i].group), "%s",
			  table[i].name);
	for (size_t i = 0; i < n; i++) {
		cr_assert(not(table[i].is_variable && table[i].group == KT_OPTIONS_HIDDEN));
		cr_assert(eq(int, table[i].help != NULL, table[i].group != KT_OPTIONS_HIDDEN), "%s",
			  table[i].name);
	}
	for (size_t i = 0; i < n_commands; i++)
		cr_assert(commands[i].usage && commands[i].help);
}

/* Every row with a variable takes it, and every row takes its own name as an option. */
Test(options, each_variable_is_read)
{
	size_t n;
	const struct kt_option *table = kt_option_table(&n);

	for (size_t i = 0; i < n; i++) {
		struct kt_err err = KT_ERR_NULL;
		struct kt_options o;
		char name[80];

		kt_option_variable(&table[i], name, sizeof(name));
		if (!table[i].is_variable || table[i].apply == kt_option_find("append")->apply ||
		    kt_option_is_list(&table[i]))
			continue;
		(void)clearenv();
		(void)setenv(name, "?", 1);
		cr_assert(eq(int, PARSE(&o, &err, "-v"), -EINVAL), "%s", name);
		cr_assert(strstr(err.text, name) != NULL, "%s", err.text);
		(void)setenv(name, "", 1);
		cr_assert(zero(int, PARSE(&o, NULL, "-v")), "%s", name);
		kt_options_deinit(&o);
	}
}

Test(options, a_list_of_the_command_line_replaces_that_of_the_environment)
{
	struct kt_options o;

	(void)clearenv();
	(void)setenv("KTESTS_SKIP", "slow", 1);
	cr_assert(zero(int, PARSE(&o, NULL, "-v")));
	cr_assert(eq(sz, o.skips.n, 1));
	kt_options_deinit(&o);
	cr_assert(zero(int, PARSE(&o, NULL, "--skip", "a", "--skip", "b")));
	cr_assert(eq(sz, o.skips.n, 2));
	cr_assert(eq(str, (char *)o.skips.at[0], "a"));
	kt_options_deinit(&o);
}

Test(options, a_slip_is_told_what_was_meant)
{
	static const struct {
		char *given;
		const char *said;
	} cases[] = {
		{ "--retires=3", "did you mean --retries?" },
		{ "--sed", "did you mean --seed?" },
		{ "--kernal=7", "did you mean --kernel?" },
		{ "--stres-count", "did you mean --stress-count?" },
		{ "--tap=x", "option '--tap=x' takes no value" },
		{ "--frobnicate", "--help lists them" },
		{ "--stress", "ambiguous" },
		{ "--seed", "option '--seed' needs a value" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_err err = KT_ERR_NULL;
		struct kt_options o;

		cr_assert(eq(int, PARSE_ALONE(&o, &err, cases[i].given), -EINVAL));
		cr_assert(strstr(err.text, cases[i].said) != NULL, "%s", err.text);
	}
}

/* getopt_long(3) takes unambiguous beginnings. */
Test(options, names_can_be_shortened)
{
	struct kt_options o;

	cr_assert(zero(int, PARSE_ALONE(&o, NULL, "--test-t=3", "--global=3s")));
	cr_assert(eq(u32, o.budget_vcpus, 3));
	cr_assert(eq(u64, o.global_timeout_ns, 3 * KT_NSEC_PER_SEC));
	kt_options_deinit(&o);
}
