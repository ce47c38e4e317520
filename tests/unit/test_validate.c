/* SPDX-License-Identifier: MIT */
/* What a test declares: its faults, and how long what it names lives. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "framework/declaration/validate.h"
#include "guest/scenario/lifetime.h"
#include "tests/unit/leaks.h"
#include "util/cleanup.h"

UNIT_SUITE(validate);
UNIT_SUITE(lifetime);

/* The sample "invalid" has the whole list. */

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

Test(validate, a_topology_lists_its_llcs_or_counts_them)
{
	static const struct {
		struct kt_topology topology;
		const char *want; /* NULL: nothing is wrong */
	} cases[] = {
		{ { .llc_cores = { 3, 1 } }, NULL },
		{ { .llcs = 2, .llc_cores = { 3, 1 } },
		  "for 2 LLCs, which takes the place of .llcs (2)" },
		{ { .cores = 3, .llc_cores = { 3, 1 } }, "and .cores (3)" },
		{ { .llc_cores = { 3, 0, 1 } }, "has 1 for LLC 2 and none for LLC 1" },
		{ { .llc_cores = { 0, 2 } }, "has 2 for LLC 1 and none for LLC 0" },
		{ { .llc_cores = { 200, 56 } }, "more than 255 CPUs" },
		{ { .numa_nodes = 2, .llc_cores = { 1, 2, 3 } }, "3 LLCs out to 2 NUMA nodes" },
		{ { .llcs = 1, .cores = 1, .memory_nodes = 63 }, "has 64 NUMA nodes" },
		{ { .llcs = 1, .cores = 1, .memory_nodes = UINT_MAX },
		  "has 4294967296 NUMA nodes" },
		{ { .llcs = 1, .cores = 1, .memory_nodes = 16 }, "is 64 for 17 NUMA nodes" },
		{ { .llcs = 1, .cores = 1, .memory_nodes = 15 }, NULL },
	};

	for (size_t i = 0; i < KT_ARRAY_LEN(cases); i++) {
		const struct kt_test test = { .name = "t",
					      .file = "f.c",
					      .line = 1,
					      .topology = cases[i].topology,
					      .memory_mib = 64,
					      .run = run };
		KT_FREE char *text = NULL;

		cr_assert(eq(u32, faults(&test, &text), !!cases[i].want), "case %zu: %s", i, text);
		if (cases[i].want)
			cr_assert(ne(ptr, strstr(text, cases[i].want), NULL), "case %zu: %s", i,
				  text);
	}
}

Test(validate, a_disk_has_a_size_that_a_host_can_have)
{
	struct kt_test test = { .name = "bad", .file = "f.c", .line = 1, .run = run, .net = true };
	KT_FREE char *text = NULL, *fine = NULL;

	test.disk_mib = 65537;
	cr_assert(eq(u32, faults(&test, &text), 1));
	cr_assert(strstr(text, ".disk_mib is 65537; it must be within 1..65536") != NULL, "%s",
		  text);
	test.disk_mib = 65536;
	cr_assert(zero(u32, faults(&test, &fine)), "%s", fine);
}

Test(validate, a_worker_of_a_cgroup_that_is_not_there)
{
	const struct kt_test test = {
		.name = "bad",
		.file = "f.c",
		.line = 12,
		.duration_ms = 1000,
		.steps = KT_STEPS(
			{ KT_SETUP({ .name = "a", .work = KT_WORK(KT_SPIN_WAIT) }),
			  KT_OPS(KT_READ_KERNEL_HOT(KT_GET(
				  "x", KT_KERNEL_WORKER_FIELD("a", 0, "pid"), KT_AS_NUMBER))),
			  .hold = KT_HOLD_MS(1) },
			{ KT_OPS(KT_READ_KERNEL_HOT(KT_GET(
				  "x", KT_KERNEL_WORKER_FIELD("b", 1, "pid"), KT_AS_NUMBER))),
			  .hold = KT_HOLD_MS(1) }),
	};
	KT_FREE char *text = NULL;

	cr_assert(eq(u32, faults(&test, &text), 1), "%s", text);
	cr_assert(strstr(text, "KT_READ_KERNEL_HOT(worker 1 of 'b': pid): no earlier step creates "
			       "the cgroup \"b\"") != NULL,
		  "%s", text);
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

	const struct kt_step *workers =
		KT_STEPS({ KT_SETUP({ .name = "a" }, { .name = "b" }), .hold = KT_HOLD_MS(1) },
			 { KT_OPS(KT_READ_KERNEL_HOT(KT_GET(
				 "x", KT_KERNEL_WORKER_FIELD("a", 0, "pid"), KT_AS_NUMBER))) });

	cr_assert(eq(u32, kt_lifetime_end(workers, 0, "a"), 1), "a worker names its cgroup");
	cr_assert(eq(u32, kt_lifetime_end(workers, 0, "b"), 0));
	cr_assert(eq(u32, kt_lifetime_end(steps, 0, "a"), 1), "step 3 makes another one");
	cr_assert(eq(u32, kt_lifetime_end(steps, 0, "b"), 0));
	cr_assert(eq(u32, kt_lifetime_end(steps, 0, "p"), 2), "a child names its parent");
	cr_assert(eq(u32, kt_lifetime_end(steps, 0, "a/child"), 4), "a parent names its children");
	cr_assert(eq(u32, kt_lifetime_end(steps, 3, "a"), 4));
	cr_assert(eq(u32, kt_lifetime_end(steps, 2, "ab"), 2), "a prefix is not a parent");
}
