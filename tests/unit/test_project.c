/* SPDX-License-Identifier: MIT */
/* The project file: its options, profiles and overrides, and their rank. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "framework/options/options.h"
#include "framework/select/select.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"
#include "util/io.h"

UNIT_SUITE(project);

/* A directory of its own is the current one: project/sub, where project has a .git. */
static void enter(const char *json)
{
	char dir[] = "/tmp/kt-project-XXXXXX";

	cr_assert(ne(ptr, mkdtemp(dir), NULL));
	cr_assert(zero(int, chdir(dir)));
	cr_assert(zero(int, mkdir("project", 0700) ?: mkdir("project/.git", 0700)
						     ?: mkdir("project/sub", 0700)));
	cr_assert(zero(int, kt_file_publish("project/ktests.json", json, strlen(json), NULL)));
	cr_assert(zero(int, chdir("project/sub")));
}

static void leave(void)
{
	KT_FREE char *dir = NULL;

	cr_assert(zero(int, chdir("../..")));
	dir = getcwd(NULL, 0);
	cr_assert(zero(int, chdir("/")));
	cr_assert(zero(int, kt_remove_all(dir)));
}

static const char json[] =
	"{ \"retries\": 2, \"skip\": [\"a\", \"b\"], \"timeout\": \"30s\", \"shuffle\": true,"
	"  \"skip-file\": \"known\", \"baseline\": \"before\", \"boot\": \"cold\", \"color\": "
	"\"never\","
	"  \"profiles\": { \"ci\": { \"retries\": 5, \"skip\": \"c\", \"shuffle\": false,"
	"    \"overrides\": [ { \"filter\": \"test(=slow)\", \"retries\": 7 } ] } },"
	"  \"overrides\": [ { \"filter\": \"tag(slow)\", \"retries\": 0, \"timeout\": \"2m\" },"
	"                   { \"filter\": \"all()\", \"slots\": 3, \"timeout\": \"9s\" } ] }";

static struct kt_options parse(char **argv, int argc)
{
	struct kt_err err = KT_ERR_NULL;
	struct kt_options o;

	cr_assert(zero(int, kt_options_parse(argc, argv, &o, &err)), "%s", err.text);
	return o;
}

Test(project, the_file_is_found_above_and_has_the_lowest_rank)
{
	char *plain[] = { "k" }, *more[] = { "k", "--retries", "1", "--skip", "z" };
	char *none[] = { "k", "--config", "none" };
	struct kt_options o;

	enter(json);
	o = parse(plain, 1);
	cr_assert(eq(u32, o.retries, 2));
	cr_assert(eq(sz, o.skips.n, 2));
	cr_assert(eq(u64, o.timeout_ns, 30000000000));
	cr_assert(eq(int, o.shuffle, 1));
	cr_assert(eq(int, o.boot, KT_BOOT_COLD));
	cr_assert(not(o.timeout_given));
	cr_assert(
		ge(sz, strlen(o.skip_files.at[0]), strlen("/tmp/kt-project-XXXXXX/project/known")));
	cr_assert(eq(chr, o.baseline[0], '/'));
	kt_options_deinit(&o);

	(void)setenv("KTESTS_RETRIES", "4", 1);
	o = parse(plain, 1);
	cr_assert(eq(u32, o.retries, 4), "the environment is above the file");
	kt_options_deinit(&o);
	o = parse(more, 5);
	cr_assert(eq(u32, o.retries, 1), "the command line is above both");
	cr_assert(eq(sz, o.skips.n, 1), "also for lists");
	cr_assert(eq(str, (char *)o.skips.at[0], "z"));
	kt_options_deinit(&o);
	(void)unsetenv("KTESTS_RETRIES");

	o = parse(none, 3);
	cr_assert(eq(u32, o.retries, 0));
	cr_assert(eq(ptr, o.project, NULL));
	kt_options_deinit(&o);
	cr_assert(zero(int, chdir("../..")));
	o = parse(plain, 1);
	cr_assert(eq(ptr, o.project, NULL), "a file below is none of ours");
	kt_options_deinit(&o);
	cr_assert(zero(int, chdir("project/sub")));
	leave();
}

Test(project, a_file_above_the_repository_is_not_looked_at)
{
	char *plain[] = { "k" };
	struct kt_options o;

	enter(json);
	cr_assert(zero(int, mkdir(".git", 0700)));
	o = parse(plain, 1);
	cr_assert(eq(ptr, o.project, NULL));
	kt_options_deinit(&o);
	leave();
}

Test(project, profiles)
{
	char *ci[] = { "k", "--profile", "ci" }, *plain[] = { "k" };
	struct kt_options o;

	enter(json);
	o = parse(ci, 3);
	cr_assert(eq(u32, o.retries, 5));
	cr_assert(eq(sz, o.skips.n, 1));
	cr_assert(eq(int, o.shuffle, 0), "false is an option that is not given");
	cr_assert(eq(int, o.boot, KT_BOOT_COLD), "what the profile does not name stays");
	kt_options_deinit(&o);
	(void)setenv("KTESTS_PROFILE", "ci", 1);
	o = parse(plain, 1);
	cr_assert(eq(u32, o.retries, 5));
	kt_options_deinit(&o);
	(void)unsetenv("KTESTS_PROFILE");
	leave();
}

static const struct kt_test slow = { .name = "slow", .tags = KT_TAGS("slow") };
static const struct kt_test quick = { .name = "quick" };

static struct kt_override override_of(char **argv, int argc, const struct kt_test *test)
{
	const struct kt_test *tests[] = { &slow, &quick };
	struct kt_options o = parse(argv, argc);
	struct kt_overrides overrides;
	struct kt_override override;

	cr_assert(zero(int, kt_overrides_init(&overrides, &o, tests, 2, NULL)));
	override = *kt_override_of(&overrides, test);
	kt_overrides_deinit(&overrides);
	kt_options_deinit(&o);
	return override;
}

/* The first rule with a member decides it; those of the profile are first. */
Test(project, overrides)
{
	char *plain[] = { "k" }, *ci[] = { "k", "--profile", "ci" };
	char *given[] = { "k", "--timeout", "1s", "--retries", "3" };
	struct kt_override override;

	enter(json);
	override = override_of(plain, 1, &slow);
	cr_assert(eq(u64, override.timeout_ns, 120000000000));
	cr_assert(override.has_retries);
	cr_assert(zero(u32, override.retries));
	cr_assert(eq(u32, override.slots, 3));
	override = override_of(plain, 1, &quick);
	cr_assert(eq(u64, override.timeout_ns, 9000000000));
	cr_assert(not(override.has_retries));
	override = override_of(ci, 3, &slow);
	cr_assert(eq(u32, override.retries, 7));
	override = override_of(given, 5, &slow);
	cr_assert(zero(u64, override.timeout_ns), "--timeout is above overrides");
	cr_assert(not(override.has_retries));
	cr_assert(eq(u32, override.slots, 3));
	leave();
}

Test(project, faults_are_told)
{
	static const char *const cases[][2] = {
		{ "", "ktests.json" },
		{ "[]", "ktests.json" },
		{ "{\"retires\": 2}", "unknown option 'retires'; did you mean 'retries'?" },
		{ "{\"retries\": \"many\"}", "ktests.json: --retries 'many'" },
		{ "{\"retries\": {}}", "'retries': a text, a number" },
		{ "{\"retries\": true}", "'retries' needs a value" },
		{ "{\"shuffle\": \"yes\"}", "'shuffle' is true or false" },
		{ "{\"list\": true}", "unknown option 'list'" },
		{ "{\"retries\": 1, \"retries\": 2}", "ktests.json" },
		{ "{\"profiles\": {\"cj\": {}}}", "it has no profile 'ci'; did you mean 'cj'?" },
		{ "{\"profiles\": []}", "'profiles' is not an object" },
		{ "{\"profiles\": {\"ci\": {\"retires\": 2}}}", "did you mean 'retries'?" },
		{ "{\"overrides\": {}, \"profiles\": {\"ci\": {}}}", "'overrides' is not a list" },
		{ "{\"overrides\": [{\"retries\": 1}], \"profiles\": {\"ci\": {}}}",
		  "override 1: it has no filter" },
		{ "{\"overrides\": [{\"filter\": \"all()\", \"slot\": 1}], \"profiles\": {\"ci\": "
		  "{}}}",
		  "unknown member 'slot'; did you mean slots" },
		{ "{\"overrides\": [{\"filter\": \"all()\", \"slots\": 0}], \"profiles\": {\"ci\": "
		  "{}}}",
		  "slots '0' is not a number within 1..4096" },
	};
	char *argv[] = { "k", "--profile", "ci" };

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		bool needs_no_profile = !strstr(cases[i][0], "profiles");
		struct kt_err err = KT_ERR_NULL;
		struct kt_options o;

		enter(cases[i][0]);
		cr_assert(eq(int, kt_options_parse(needs_no_profile ? 1 : 3, argv, &o, &err),
			     -EINVAL),
			  "%s", cases[i][0]);
		cr_assert(ne(ptr, strstr(err.text, cases[i][1]), NULL), "%s: %s", cases[i][0],
			  err.text);
		leave();
	}
}

Test(project, wrong_filters_of_overrides)
{
	static const char *const cases[][2] = {
		{ "{\"overrides\": [{\"filter\": \"tga(x)\"}]}", "did you mean tag()?" },
		{ "{\"overrides\": [{\"filter\": \"kernel(6)\"}]}", "cannot depend on kernel()" },
	};
	const struct kt_test *tests[] = { &slow };
	char *argv[] = { "k" };

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		struct kt_err err = KT_ERR_NULL;
		struct kt_overrides overrides;
		struct kt_options o;

		enter(cases[i][0]);
		o = parse(argv, 1);
		cr_assert(eq(int, kt_overrides_init(&overrides, &o, tests, 1, &err), -EINVAL));
		cr_assert(ne(ptr, strstr(err.text, cases[i][1]), NULL), "%s", err.text);
		kt_options_deinit(&o);
		leave();
	}
}
