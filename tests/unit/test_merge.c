/* SPDX-License-Identifier: MIT */
/* Cold operations on the kernel's memory that follow each other become one. */
#include <string.h>

#include "guest/scenario/op.h"
#include "tests/unit/leaks.h"

UNIT_SUITE(merge);

#define READ_COLD  KT_OP_READ_KERNEL_COLD
#define READ_HOT   KT_OP_READ_KERNEL_HOT
#define WRITE_COLD KT_OP_WRITE_KERNEL_COLD
#define WRITE_HOT  KT_OP_WRITE_KERNEL_HOT

static const struct kt_kernel_pair END = { .end = true };

/* @n pairs, of which only the end counts here. */
static struct kt_kernel_pair *pairs(size_t n)
{
	struct kt_kernel_pair *all = calloc(n + 1, sizeof(*all));

	all[n] = END;
	return all;
}

static unsigned int count(enum kt_op_kind first, size_t n_first, enum kt_op_kind second,
			  size_t n_second)
{
	struct kt_kernel_pair *const a = pairs(n_first), *const b = pairs(n_second);
	const struct kt_op ops[] = {
		{ .kind = first, .kernel = a },
		{ .kind = second, .kernel = b },
		{ .end = true },
	};
	unsigned int n = kt_op_count_merged(ops);

	free(a);
	free(b);
	return n;
}

Test(merge, cold_ones_of_a_kind_are_one)
{
	cr_assert(eq(u32, count(READ_COLD, 1, READ_COLD, 3), 2));
	cr_assert(eq(u32, count(WRITE_COLD, 2, WRITE_COLD, 1), 2));
}

Test(merge, a_write_and_a_read_stay_apart)
{
	cr_assert(eq(u32, count(READ_COLD, 1, WRITE_COLD, 1), 1));
	cr_assert(eq(u32, count(WRITE_COLD, 1, READ_COLD, 1), 1));
	cr_assert(eq(u32, count(READ_COLD, 1, KT_OP_FREEZE_CGROUP, 0), 1));
}

Test(merge, hot_ones_stay_apart)
{
	cr_assert(eq(u32, count(READ_HOT, 1, READ_HOT, 1), 1));
	cr_assert(eq(u32, count(WRITE_HOT, 1, WRITE_HOT, 1), 1));
	cr_assert(eq(u32, count(READ_HOT, 1, READ_COLD, 1), 1));
}

Test(merge, together_they_are_no_more_than_one_may_have)
{
	cr_assert(eq(u32, count(READ_COLD, KT_KERNEL_PAIRS_MAX - 1, READ_COLD, 1), 2));
	cr_assert(eq(u32, count(READ_COLD, KT_KERNEL_PAIRS_MAX, READ_COLD, 1), 1));
}
