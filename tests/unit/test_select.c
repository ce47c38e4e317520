/* SPDX-License-Identifier: MIT */
/* Which tests run. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "framework/options/options.h"
#include "framework/select/select.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"

UNIT_SUITE(select);

/* Takes the options over. */
static bool selects(const char *name, struct kt_options *options)
{
	const struct kt_test test = { .name = name };
	struct kt_test_node node = { &test, NULL };
	struct kt_selection selection;
	bool result;

	cr_assert(zero(int, kt_select(&node, options, &selection, NULL)));
	cr_assert(eq(sz, selection.n + selection.n_left_out, 1));
	result = selection.n;
	kt_selection_deinit(&selection);
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

/* ---- what leaves a test out ------------------------------------------------------------------ */

static const struct kt_test fixture[] = {
	{ .name = "a" },
	{ .name = "a_skipped" },
	{ .name = "a_known" },
	{ .name = "a_disabled", .disabled = "not yet" },
	{ .name = "a_slow", .tags = KT_TAGS("slow") },
	{ .name = "b" },
};

static struct kt_selection select_fixture(char **argv, int argc, int expected)
{
	struct kt_test_node nodes[KT_ARRAY_LEN(fixture)];
	struct kt_selection selection = { .n = 0 };
	struct kt_err err = KT_ERR_NULL;
	struct kt_options options;

	for (size_t i = 0; i < KT_ARRAY_LEN(nodes); i++) {
		nodes[i].test = &fixture[i];
		nodes[i].next = i + 1 < KT_ARRAY_LEN(nodes) ? &nodes[i + 1] : NULL;
	}
	cr_assert(zero(int, kt_options_parse(argc, argv, &options, &err)), "%s", err.text);
	cr_assert(eq(int, kt_select(nodes, &options, &selection, &err), expected), "%s", err.text);
	cr_assert(eq(int, !!err.text[0], expected < 0));
	kt_options_deinit(&options);
	return selection;
}

static const struct kt_left_out *find_left_out(const struct kt_selection *selection,
					       const char *name)
{
	for (size_t i = 0; i < selection->n_left_out; i++) {
		if (!strcmp(selection->left_out[i].test->name, name))
			return &selection->left_out[i];
	}
	cr_fatal("%s is selected", name);
}

Test(select, each_test_that_is_left_out_has_its_cause)
{
	char path[] = "/tmp/kt-skip-XXXXXX", file[64];
	char *argv[] = { "k", "a", "--skip", "skip", "-E", "!tag(slow)", file };
	int fd = mkstemp(path);
	struct kt_selection selection;

	cr_assert(ge(int, fd, 0));
	(void)dprintf(fd, "# known\n\n  a_kn*  # fails on Mondays \nzzz\n");
	(void)snprintf(file, sizeof(file), "--skip-file=%s", path);
	selection = select_fixture(argv, 7, 0);
	cr_assert(eq(sz, selection.n, 2));
	cr_assert(eq(str, (char *)selection.tests[1]->name, "a_disabled"));
	cr_assert(eq(u32, selection.n_filtered, 4));
	cr_assert(eq(int, find_left_out(&selection, "b")->cause, KT_CAUSE_NAME));
	cr_assert(eq(int, find_left_out(&selection, "a_slow")->cause, KT_CAUSE_FILTER));
	cr_assert(eq(int, find_left_out(&selection, "a_skipped")->cause, KT_CAUSE_SKIP));
	cr_assert(eq(int, find_left_out(&selection, "a_known")->cause, KT_CAUSE_SKIP_FILE));
	cr_assert(
		eq(str, (char *)find_left_out(&selection, "a_known")->detail, "fails on Mondays"));
	kt_selection_deinit(&selection);
	(void)close(fd);
	(void)unlink(path);
}

Test(select, only_the_ignored)
{
	char *only[] = { "k", "--run-ignored", "only" }, *libtest[] = { "k", "--ignored" };
	char *all[] = { "k", "--run-ignored", "all" };
	struct kt_selection selection = select_fixture(only, 3, 0);

	cr_assert(eq(sz, selection.n, 1));
	cr_assert(eq(str, (char *)selection.tests[0]->name, "a_disabled"));
	cr_assert(eq(int, find_left_out(&selection, "b")->cause, KT_CAUSE_IGNORED));
	kt_selection_deinit(&selection);
	selection = select_fixture(libtest, 2, 0);
	cr_assert(eq(sz, selection.n, 1));
	kt_selection_deinit(&selection);
	selection = select_fixture(all, 3, 0);
	cr_assert(eq(sz, selection.n, KT_ARRAY_LEN(fixture)));
	kt_selection_deinit(&selection);
}

Test(select, wrong_filters_and_files_are_told)
{
	char *filter[] = { "k", "-E", "all()", "-E", "tga(slow)" };
	char *file[] = { "k", "--skip-file", "/nonexistent/file" };
	struct kt_selection selection = select_fixture(filter, 5, -EINVAL);

	cr_assert(eq(sz, selection.n, 0));
	selection = select_fixture(file, 3, -ENOENT);
	cr_assert(eq(sz, selection.n, 0));
}
