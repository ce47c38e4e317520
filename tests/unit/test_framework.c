/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "framework/declaration/validate.h"
#include "framework/kernel/index.h"
#include "framework/kernel/kernel.h"
#include "framework/options/options.h"
#include "framework/outcome/advice.h"
#include "framework/outcome/capture.h"
#include "framework/select/select.h"
#include "guest/scenario/lifetime.h"
#include "guest/test/kmsg.h"
#include "tests/unit/leaks.h"
#include "util/cache.h"
#include "util/cleanup.h"
#include "util/clock.h"
#include "util/io.h"

UNIT_SUITE(options);
UNIT_SUITE(select);
UNIT_SUITE(validate);
UNIT_SUITE(lifetime);
UNIT_SUITE(kmsg);
UNIT_SUITE(advice);
UNIT_SUITE(capture);
UNIT_SUITE(cache);
UNIT_SUITE(kernel);

/* ---- options ----------------------------------------------------------------------------------
 */

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
		{ "--max-fail", "-1" },
		{ "--stress-count", "0" },
		{ "--gtest_output", "json:x" },
		{ "--color", "green" },
		{ "-t" },
		{ "kernel" },
		{ "kernel", "eat" },
		{ "kernel", "list", "7" },
		{ "--exec", "true" },
		{ "--tap", "--no-capture" },
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
	cr_assert(eq(int, PARSE(&o, NULL, "-k", "7.0"), 0));
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
		{ "--partition", "time:1/2" },
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

/* ---- selection --------------------------------------------------------------------------------
 */

static bool selects(const char *name, struct kt_options *options)
{
	bool result = kt_select_matches(options, name);

	kt_options_deinit(options);
	return result;
}

Test(select, names)
{
	static const struct {
		char *argv[6];
		const char *name;
		bool selected;
	} cases[] = {
		{ { "k", "-v" }, "any", true },
		{ { "k", "freeze" }, "cgroup_freeze", true },
		{ { "k", "freeze" }, "cgroup_thaw", false },
		{ { "k", "-t", "freeze", "thaw" }, "cgroup_thaw", true },
		{ { "k", "--exact", "freeze" }, "cgroup_freeze", false },
		{ { "k", "--exact", "cgroup_freeze" }, "cgroup_freeze", true },
		{ { "k", "cgroup", "--skip", "freeze" }, "cgroup_freeze", false },
		{ { "k", "cgroup", "--skip", "freeze" }, "cgroup_thaw", true },
		{ { "k", "--exact", "--skip", "freeze" }, "cgroup_freeze", true },
		{ { "k", "--gtest_filter=cgroup*" }, "cgroup_thaw", true },
		{ { "k", "--gtest_filter=ktest.cgroup*" }, "cgroup_thaw", true },
		{ { "k", "--gtest_filter=a*:b?d" }, "bad", true },
		{ { "k", "--gtest_filter=a*:b?d" }, "bread", false },
		{ { "k", "--gtest_filter=-*thaw" }, "cgroup_thaw", false },
		{ { "k", "--gtest_filter=-*thaw" }, "cgroup_freeze", true },
		{ { "k", "--gtest_filter=cgroup*-*thaw:*ze" }, "cgroup_freeze", false },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		char *argv[7];
		struct kt_options o;
		int n = 0;

		memcpy(argv, cases[i].argv, sizeof(cases[i].argv));
		while (n < 6 && argv[n])
			n++;
		argv[n] = NULL;
		cr_assert(eq(int, kt_options_parse(n, argv, &o, NULL), 0));
		cr_assert(eq(int, selects(cases[i].name, &o), cases[i].selected), "case %zu", i);
	}
}

/* ---- validation: the sample "invalid" has the whole list ---------------------------------------
 */

static int run(struct kt_ctx *ctx)
{
	(void)ctx;
	return 0;
}

static unsigned int faults(const struct kt_test *test, char **text)
{
	struct kt_test_node node = { test, NULL };
	size_t len;
	FILE *out = open_memstream(text, &len);
	unsigned int n = kt_validate(&node, out);

	(void)fclose(out);
	return n;
}

Test(validate, a_good_test_has_no_fault)
{
	const struct kt_test test = {
		.name = "good",
		.file = "f.c",
		.line = 1,
		.duration_ms = 1000,
		.steps = KT_STEPS(
			{ KT_SETUP({ .name = "a", .work = KT_WORK(KT_SPIN_WAIT) },
				   { .name = "b/c" }),
			  .hold = KT_HOLD_FRAC(1.0 / 3) },
			{ KT_OPS(KT_FREEZE_CGROUP("a"), KT_REMOVE_CGROUP("a"), KT_ADD_CGROUP("a")),
			  .hold = KT_HOLD_FRAC(1.0 / 3) },
			{ KT_SETUP({ .name = "a" }), .hold = KT_HOLD_FRAC(1.0 / 3) }),
	};
	KT_FREE char *text = NULL;

	cr_assert(zero(u32, faults(&test, &text)), "%s", text);
}

Test(validate, a_fault_names_file_line_and_test)
{
	const struct kt_test test = {
		.name = "bad",
		.file = "f.c",
		.line = 12,
		.run = run,
		.memory_mib = 1,
	};
	KT_FREE char *text = NULL;

	cr_assert(eq(u32, faults(&test, &text), 1));
	cr_assert(zero(int, strncmp(text, "f.c:12: bad: ", 13)), "%s", text);
}

Test(validate, a_name_too_long_for_its_files)
{
	char name[200];
	const struct kt_test test = { .name = name, .file = "f.c", .line = 1, .run = run };
	KT_FREE char *text = NULL, *fine = NULL;

	memset(name, 'n', sizeof(name));
	name[160] = '\0';
	cr_assert(zero(u32, faults(&test, &fine)), "%s", fine);
	name[160] = 'n';
	name[161] = '\0';
	cr_assert(eq(u32, faults(&test, &text), 1));
	cr_assert(strstr(text, "161 characters; at most 160") != NULL, "%s", text);
}

Test(validate, no_tests_at_all)
{
	KT_FREE char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	cr_assert(eq(u32, kt_validate(NULL, out), 1));
	(void)fclose(out);
	cr_assert(strstr(text, "no tests") != NULL);
}

Test(lifetime, until_the_last_step_that_names_it)
{
	const struct kt_step *steps =
		KT_STEPS({ KT_SETUP({ .name = "a" }, { .name = "b" }, { .name = "p" }),
			   .hold = KT_HOLD_MS(1) },
			 { KT_OPS(KT_FREEZE_CGROUP("a")) },
			 { KT_OPS(KT_ADD_CGROUP("p/child"), KT_ADD_CGROUP("ab")) },
			 { KT_SETUP({ .name = "a" }) }, { KT_OPS(KT_FREEZE_CGROUP("a")) });

	cr_assert(eq(u32, kt_lifetime_end(steps, 0, "a"), 1), "step 3 makes another one");
	cr_assert(eq(u32, kt_lifetime_end(steps, 0, "b"), 0));
	cr_assert(eq(u32, kt_lifetime_end(steps, 0, "p"), 2), "a child names its parent");
	cr_assert(eq(u32, kt_lifetime_end(steps, 0, "a/child"), 4), "a parent names its children");
	cr_assert(eq(u32, kt_lifetime_end(steps, 3, "a"), 4));
	cr_assert(eq(u32, kt_lifetime_end(steps, 2, "ab"), 2), "a prefix is no parent");
}

/* ---- the kernel's log -------------------------------------------------------------------------
 */

Test(kmsg, complaints_of_the_kernel)
{
	static const struct {
		const char *line;
		bool complaint;
	} cases[] = {
		{ " [    1.0] WARNING: mm/page_alloc.c:5234 at f+0x1/0x2", true },
		{ " [    1.0] BUG: kernel NULL pointer dereference, address: 0", true },
		{ " [    1.0] Oops: general protection fault, probably", true },
		{ " [    1.0] INFO: task kworker:1 blocked for more than 1 seconds.", true },
		{ " [    1.0] WARNING: possible circular locking dependency detected", true },
		{ " [    1.0] rcu: INFO: rcu_preempt self-detected stall on CPU", true },
		{ " [    1.0] watchdog: BUG: soft lockup - CPU#0 stuck for 22s!", true },
		{ "#[    1.0] WARNING: said by a process, not by the kernel", false },
		{ " [    1.0] process 'x' launched 'y' with NULL argv: warning", false },
		{ " [    1.0] sched_ext: BPF scheduler \"fifo\" enabled", false },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		KT_FREE char *text =
			kt_format(" [    0.5] before\n%s\n [    1.5] after\n", cases[i].line);
		KT_FREE char *found = kt_kmsg_complaint(text);

		cr_assert(eq(int, !!found, cases[i].complaint), "%s", cases[i].line);
		if (found)
			cr_assert(eq(str, found, (char *)cases[i].line + 1));
	}
}

/* ---- advice ---------------------------------------------------------------------------------- */

/* The text after kt_advise() and kt_advise_cache(); valid until the next call. */
static const char *advised(int code)
{
	static struct kt_err err;

	(void)kt_err_set(&err, code, "no: %m");
	cr_assert(eq(int, kt_advise(&err, code), code));
	cr_assert(eq(int, kt_advise_cache(&err, code), code));
	return err.text;
}

static void expect_advice(int code, const char *limit, const char *option)
{
	const char *text = advised(code);

	cr_expect(ne(ptr, strstr(text, limit), NULL), "'%s' lacks '%s'", text, limit);
	cr_expect(ne(ptr, strstr(text, option), NULL), "'%s' lacks '%s'", text, option);
}

Test(advice, each_limit_is_named_with_what_stays_below_it)
{
	KT_FREE char *all = NULL, *text = NULL;
	struct rlimit limit;

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = 99;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	(void)getrlimit(RLIMIT_NPROC, &limit);
	limit.rlim_cur = 98;
	(void)setrlimit(RLIMIT_NPROC, &limit);
	cr_assert(zero(int, kt_file_read("/proc/sys/fs/file-max", 64, &text, NULL)));
	text[strcspn(text, "\n")] = '\0';
	all = kt_format("(fs.file-max) is %s:", text);
	expect_advice(-EMFILE, "(RLIMIT_NOFILE) is 99: run fewer virtual CPUs at once (-j N)",
		      "ulimit -n");
	expect_advice(-ENFILE, all, "-j N");
	expect_advice(-EAGAIN, "(RLIMIT_NPROC) is 98,", "ulimit -u");
	expect_advice(-EAGAIN, "pids.max", "-j N");
	expect_advice(-ENOMEM, " MiB of memory available", "--memory-budget SIZE");
	expect_advice(-ENOSPC, "ktests cache prune", "--template-cache-size");
	expect_advice(-EDQUOT, "ktests cache prune", "--template-cache-size");
}

Test(advice, other_errors_are_left_alone)
{
	cr_expect(eq(str, (char *)advised(-EPERM), "no: Operation not permitted"));
	cr_expect(zero(int, kt_advise(NULL, 0)));
	cr_expect(eq(int, kt_advise(NULL, -EMFILE), -EMFILE));
}

/* ---- capture ----------------------------------------------------------------------------------
 */

#define LINE_LEN 16u

/* Appends numbered lines of @n bytes in all, and returns what the capture keeps. */
static char *fill(unsigned int n)
{
	struct kt_capture capture;
	char lines[1000 * LINE_LEN + 1]; /* does not divide the limits */
	size_t len = 0;
	char *text;

	cr_assert(eq(int, kt_capture_init(&capture, "test", NULL), 0));
	for (unsigned int i = 0; i < n / LINE_LEN; i++) {
		len += (size_t)snprintf(lines + len, sizeof(lines) - len, "%15u\n", i);
		if (len < sizeof(lines) - 1 && i < n / LINE_LEN - 1)
			continue;
		cr_assert(eq(int, kt_capture_append(&capture, lines, len), 0));
		len = 0;
	}
	text = kt_capture_text(&capture);
	cr_assert(eq(sz, strlen(text), (size_t)capture.len));
	kt_capture_deinit(&capture);
	return text;
}

Test(capture, it_is_whole_up_to_the_limit)
{
	KT_FREE char *text = fill(KT_CAPTURE_MAX);

	cr_assert(eq(sz, strlen(text), KT_CAPTURE_MAX));
	cr_assert(zero(ptr, strstr(text, "left out")));
}

/* Beyond it, all bytes are either there, at either end, or in the number of the mark. */
Test(capture, a_mark_says_what_is_left_out)
{
	static const unsigned int lens[] = { KT_CAPTURE_MAX + LINE_LEN, 50u << 20 };

	for (size_t i = 0; i < KT_ARRAY_LEN(lens); i++) {
		KT_FREE char *text = fill(lens[i]);
		char *mark = strstr(text, "\n[... "), *end;
		unsigned long long lost;
		char last[LINE_LEN + 1];

		cr_assert(eq(sz, (size_t)(mark - text), KT_CAPTURE_HEAD));
		cr_assert(zero(int, memcmp(mark - LINE_LEN, "         262143\n", LINE_LEN)));
		cr_assert(eq(int, sscanf(mark, "\n[... %llu bytes left out ...]", &lost), 1));
		end = strchr(mark + 1, '\n') + 1;
		cr_assert(ge(sz, strlen(end), 4u << 20));
		cr_assert(eq(u64, (size_t)(mark - text) + strlen(end) + lost, lens[i]));
		(void)snprintf(last, sizeof(last), "%15u\n", lens[i] / LINE_LEN - 1);
		cr_assert(eq(str, text + strlen(text) - LINE_LEN, last));
		cr_assert(zero(ptr, strstr(end, "left out")));
		cr_assert(le(sz, strlen(text), KT_CAPTURE_MAX));
	}
}

Test(capture, terminal_control_goes)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "plain\n", "plain\n" },
		{ "\033c\033[?7l\033[2J\033[0mSeaBIOS\r\n", "SeaBIOS\n" },
		{ "\033]0;title\aafter", "after" },
		{ "cut \033[1", "cut " },
		{ "cut \033", "cut " },
		{ "a\bb\x7f", "ab" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		KT_FREE char *text = strdup(cases[i].in);

		kt_text_sanitize(text);
		cr_assert(eq(str, text, (char *)cases[i].out), "case %zu", i);
	}
}

Test(capture, tail)
{
	cr_assert(eq(str, (char *)kt_text_tail("a\nb\nc\n", 2), "b\nc\n"));
	cr_assert(eq(str, (char *)kt_text_tail("a\nb\nc", 1), "c"));
	cr_assert(eq(str, (char *)kt_text_tail("a\n", 5), "a\n"));
	cr_assert(eq(str, (char *)kt_text_tail("", 5), ""));
}

/* ---- cache ------------------------------------------------------------------------------------
 */

static void use_temp_cache(char *dir)
{
	(void)strcpy(dir, "/tmp/ktest-cache-XXXXXX");
	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	(void)setenv("XDG_CACHE_HOME", dir, 1);
}

static void note_wait(void *data)
{
	*(bool *)data = true;
}

/* The second process waits until the first one is killed, and the kernel releases its lock. */
Test(cache, a_lock_ends_with_its_holder)
{
	char dir[64];
	int ends[2], fd;
	bool waited = false;
	uint64_t began;
	pid_t pid;

	use_temp_cache(dir);
	cr_assert(zero(int, pipe(ends)));
	pid = fork();
	if (pid == 0) {
		if (kt_cache_lock("x", NULL, NULL, &fd, NULL) < 0)
			_exit(1);
		(void)kt_write_full(ends[1], "x", 1);
		(void)poll(NULL, 0, 200);
		(void)kill(getpid(), SIGKILL);
	}
	cr_assert(zero(int, kt_read_full(ends[0], &(char){ 0 }, 1)));
	began = kt_now_ns();
	cr_assert(zero(int, kt_cache_lock("x", note_wait, &waited, &fd, NULL)));
	cr_assert(waited);
	cr_assert(gt(u64, kt_now_ns() - began, 100000000));
	(void)waitpid(pid, NULL, 0);
	(void)close(fd);
	(void)kt_remove_all(dir);
}

Test(cache, a_killed_builder_leaves_nothing_that_looks_finished)
{
	char dir[64];
	KT_FREE char *root = NULL, *path = NULL, *stage = NULL, *second = NULL, *file = NULL;

	use_temp_cache(dir);
	cr_assert(zero(int, kt_cache_path("things", &root, NULL)));
	path = kt_format("%s/thing", root);
	cr_assert(zero(int, kt_cache_stage(path, &stage, NULL)));
	/* The builder dies here. */
	cr_assert(eq(int, access(path, F_OK), -1));
	cr_assert(zero(int, kt_cache_stage(path, &second, NULL)));
	cr_assert(eq(int, access(stage, F_OK), -1), "what the dead one left is still there");
	file = kt_format("%s/contents", second);
	cr_assert(zero(int, kt_file_publish(file, "1", 1, NULL)));
	cr_assert(zero(int, kt_cache_publish(second, path, NULL)));
	cr_assert(zero(int, access(path, F_OK)));
	(void)kt_remove_all(dir);
}

Test(cache, stages_of_killed_builders_are_swept_and_others_stay)
{
	KT_FREE char *sub = NULL, *dead = NULL, *live = NULL, *stage = NULL, *other = NULL;
	uint64_t bytes = 0;
	char dir[64];
	int lock;

	use_temp_cache(dir);
	cr_assert(zero(int, kt_cache_path("things", &sub, NULL)));
	dead = kt_format("%s/dead", sub);
	live = kt_format("%s/live", sub);
	cr_assert(zero(int, kt_cache_stage(dead, &stage, NULL)));
	cr_assert(zero(int, kt_cache_stage(live, &other, NULL)));
	cr_assert(zero(int, kt_cache_lock("thing-live", NULL, NULL, &lock, NULL)));
	cr_assert(eq(u32, kt_cache_sweep("things", "thing-", true, &bytes), 1));
	cr_assert(eq(int, access(stage, F_OK), -1), "that of the killed builder");
	cr_assert(zero(int, access(other, F_OK)), "that of the living one");
	(void)close(lock);
	cr_assert(eq(u32, kt_cache_sweep("things", "thing-", true, &bytes), 1));
	cr_assert(eq(int, access(other, F_OK), -1));
	(void)kt_remove_all(dir);
}

Test(cache, what_is_in_use_is_not_removed)
{
	KT_FREE char *path = NULL;
	char dir[64];
	int use;

	use_temp_cache(dir);
	cr_assert(zero(int, kt_cache_path("entry", &path, NULL)));
	kt_cache_use(path, &use);
	cr_assert(ge(int, use, 0));
	cr_assert(eq(int, kt_cache_remove(path), -EBUSY));
	cr_assert(zero(int, access(path, F_OK)));
	(void)close(use);
	cr_assert(zero(int, kt_cache_remove(path)));
	cr_assert(eq(int, access(path, F_OK), -1));
	(void)kt_remove_all(dir);
}

Test(cache, publishing_replaces_a_directory_that_is_not_empty)
{
	char dir[64];
	KT_FREE char *root = NULL, *path = NULL;

	use_temp_cache(dir);
	cr_assert(zero(int, kt_cache_path("things", &root, NULL)));
	path = kt_format("%s/thing", root);
	for (int i = 0; i < 2; i++) {
		KT_FREE char *stage = NULL, *file = NULL;

		cr_assert(zero(int, kt_cache_stage(path, &stage, NULL)));
		file = kt_format("%s/file%d", stage, i);
		cr_assert(zero(int, kt_file_publish(file, "x", 1, NULL)));
		cr_assert(zero(int, kt_cache_publish(stage, path, NULL)));
	}
	{
		KT_FREE char *old = kt_format("%s/file0", path), *new = kt_format("%s/file1", path);

		cr_assert(eq(int, access(old, F_OK), -1));
		cr_assert(zero(int, access(new, F_OK)));
	}
	(void)kt_remove_all(dir);
}

/* ---- kernels ----------------------------------------------------------------------------------
 */

Test(kernel, an_index_is_read_without_what_else_apt_says)
{
	struct kt_releases releases = KT_RELEASES_NULL;

	cr_assert(zero(int,
		       kt_kernel_index_parse("W: no\n\n"
					     "linux-image-6.12.9+deb13-cloud-amd64 - Linux 6.12\n"
					     "linux-image-6.12.9+deb13-amd64 - another flavour\n"
					     "linux-image-../x-cloud-amd64 - no release\n"
					     "WARNING: apt has no stable interface\n"
					     "linux-image-7.0.13+deb13-cloud-amd64 - Linux 7.0\n",
					     &releases)));
	cr_assert(eq(sz, releases.n, 2));
	cr_assert(eq(str, releases.at[0], "7.0.13+deb13-cloud-amd64"));
	cr_assert(eq(str, releases.at[1], "6.12.9+deb13-cloud-amd64"));
	kt_releases_deinit(&releases);
}

Test(kernel, versions)
{
	cr_assert(kt_kernel_version_matches("7.0.13+deb13-cloud-amd64", "7.0"));
	cr_assert(kt_kernel_version_matches("7.0.13+deb13-cloud-amd64", "7.0.13"));
	cr_assert(
		kt_kernel_version_matches("7.0.13+deb13-cloud-amd64", "7.0.13+deb13-cloud-amd64"));
	cr_assert(not(kt_kernel_version_matches("7.0.13+deb13-cloud-amd64", "7.0.1")));
	cr_assert(not(kt_kernel_version_matches("6.16.12", "6.1")));
}

Test(kernel, an_empty_cache_names_the_command)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_kernel kernel;
	char dir[64];

	use_temp_cache(dir);
	cr_assert(eq(int, kt_kernel_resolve(NULL, &kernel, &err), -ENOENT));
	cr_assert(strstr(err.text, "ktests kernel fetch") != NULL, "%s", err.text);
	cr_assert(eq(int, kt_kernel_resolve("6.16", &kernel, &err), -ENOENT));
	cr_assert(strstr(err.text, "ktests kernel fetch 6.16") != NULL, "%s", err.text);
	cr_assert(eq(int, kt_kernel_resolve("/tmp", &kernel, &err), -ENOENT));
	cr_assert(strstr(err.text, "not a build tree") != NULL, "%s", err.text);
	(void)kt_remove_all(dir);
}

/* A missing need of all tests is reported before any machine starts. */
Test(kernel, one_that_cannot_run_tests_is_refused)
{
	static const struct {
		const char *lacks;
		const char *text;
	} cases[] = {
		{ "btf", "CONFIG_DEBUG_INFO_BTF" },
		{ "virtio_pci", "CONFIG_VIRTIO_PCI" },
		{ "virtio_console", "CONFIG_VIRTIO_CONSOLE" },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		char dir[] = "/tmp/ktest-kernel-XXXXXX";
		KT_FREE char *meta = NULL, *boot = NULL, *text = NULL;
		struct kt_err err = KT_ERR_NULL;
		struct kt_kernel kernel;

		cr_assert(ne(ptr, mkdtemp(dir), NULL));
		meta = kt_format("%s/meta.json", dir);
		boot = kt_format("%s/vmlinuz", dir);
		text = kt_format("{\"release\":\"1.2.3\",\"build_id\":\"\",\"broken_kfuncs\":[],"
				 "\"btf\":%s,\"virtio_pci\":%s,\"virtio_console\":%s}",
				 i == 0 ? "false" : "true", i == 1 ? "false" : "true",
				 i == 2 ? "false" : "true");
		cr_assert(zero(int, kt_file_publish(meta, text, strlen(text), NULL)));
		cr_assert(zero(int, kt_file_publish(boot, "", 0, NULL)));
		cr_assert(eq(int, kt_kernel_resolve(dir, &kernel, &err), -ENOTSUP));
		cr_assert(strstr(err.text, cases[i].text) != NULL, "%s", err.text);
		(void)kt_remove_all(dir);
	}
}

static void touch(const char *dir, const char *name)
{
	KT_FREE char *path = kt_format("%s/%s", dir, name);

	cr_assert(zero(int, kt_file_publish(path, "", 0, NULL)));
}

Test(kernel, a_configuration_is_found_where_builds_and_distributions_put_it)
{
	static const char *const cases[][2] = {
		{ "vmlinux", ".config" },
		{ "arch/x86/boot/bzImage", ".config" },
		{ "vmlinuz-1.2", "config-1.2" },
		{ "vmlinuz-3.4", NULL },
		{ "bzImage", NULL },
	};
	char dir[] = "/tmp/ktest-kernel-XXXXXX";
	KT_FREE char *boot = NULL;

	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	boot = kt_format("%s/arch/x86/boot", dir);
	cr_assert(zero(int, kt_mkdir_all(boot, NULL)));
	touch(dir, ".config");
	touch(dir, "config-1.2");
	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		KT_FREE char *kernel = kt_format("%s/%s", dir, cases[i][0]);
		KT_FREE char *want = cases[i][1] ? kt_format("%s/%s", dir, cases[i][1]) : NULL;
		KT_FREE char *got = NULL;

		touch(dir, cases[i][0]);
		got = kt_kernel_find_config(kernel);
		cr_assert(eq(str, got ?: "", want ?: ""));
	}
	(void)kt_remove_all(dir);
}

Test(kernel, a_damaged_entry_says_what_to_do)
{
	KT_FREE char *kernels = NULL, *entry = NULL, *meta = NULL;
	struct kt_err err = KT_ERR_NULL;
	struct kt_kernel kernel;
	char dir[64];

	use_temp_cache(dir);
	cr_assert(zero(int, kt_cache_path("kernels", &kernels, NULL)));
	entry = kt_format("%s/7.0.0", kernels);
	meta = kt_format("%s/meta.json", entry);
	cr_assert(zero(int, kt_mkdir_all(entry, NULL)));
	cr_assert(zero(int, kt_file_publish(meta, "{}", 2, NULL)));
	cr_assert(lt(int, kt_kernel_resolve("7.0", &kernel, &err), 0));
	cr_assert(strstr(err.text, "damaged") != NULL, "%s", err.text);
	(void)kt_remove_all(dir);
}
