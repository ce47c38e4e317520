/* SPDX-License-Identifier: MIT */
/* Which tests run. */
#include <string.h>

#include "framework/options/options.h"
#include "framework/select/select.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"

UNIT_SUITE(select);

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
