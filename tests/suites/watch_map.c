/* SPDX-License-Identifier: MIT */
/* Watches on what BPF maps hold: a variable of a scheduler, and an element of one CPU. */
#include "tests/suites/schedulers.h"

#include <string.h>

#include "tests/suites/look.h"

#define TWO_CPUS .topology = { .llcs = 1, .cores = 2, .threads = 1 }
#define HOLD_MS  100

KT_SCHEDULER(watched_fault, .object = FIXTURE("fault"));

/* Thousands of writes in a second are counted, and few are captured. */
static int variable_post(struct kt_ctx *ctx)
{
	struct kt_watch_count all, some;
	const struct kt_freeze_hit *hits;
	uint64_t last = 0;
	size_t n;

	if (kt_vm_failed(ctx))
		return 0;
	hits = kt_freeze_hits(ctx, &n);
	KT_ASSERT(ctx, kt_watch_count(ctx, "all", &all));
	KT_ASSERT(ctx, kt_watch_count(ctx, "some", &some));
	KT_EXPECT_GE(ctx, all.hits, HOLD_MS); /* 1,000 in a second */
	KT_EXPECT_EQ(ctx, all.captures, 0);
	/* They are armed and ended one after the other. */
	KT_EXPECT_LE(ctx, some.hits + some.unmet, all.hits + 5);
	KT_EXPECT_GE(ctx, some.hits + some.unmet + 5, all.hits);
	KT_EXPECT_GT(ctx, some.unmet, 0);
	KT_EXPECT_GE(ctx, some.captures, 2);
	KT_EXPECT_LE(ctx, some.captures, HOLD_MS / 10 + 1);
	KT_EXPECT_EQ(ctx, some.left_out, some.hits - some.captures);
	for (size_t i = 0; i < n; i++) {
		KT_EXPECT_STREQ(ctx, hits[i].name, "some");
		KT_EXPECT_GE(ctx, hits[i].value, 40);
		KT_EXPECT_GT(ctx, hits[i].value, last);
		last = hits[i].value;
	}
	KT_EXPECT_EQ(ctx, n, some.captures);
	return 0;
}

KTEST(watch_map_variable, .summary = "each write to a variable of a scheduler is a hit", TWO_CPUS,
      .duration_ms = 300, .scheduler = KT_SCHEDULER_REF(watched_fault),
      .steps = KT_STEPS(
	      { KT_OPS(KT_WRITE_BPF_MAP("fault.bss", "nr_queued", 0),
		       KT_WATCH("map(fault.bss).nr_queued", .name = "all", .count_only = true),
		       KT_WATCH("map(fault.bss).nr_queued", .name = "some", .when = KT_GE(40),
				.interval_ms = 10)),
		KT_SETUP({ .name = "w", .work = KT_WORK(KT_FUTEX_PING_PONG, .workers = 2) }),
		.hold = KT_HOLD_MS(HOLD_MS) },
	      { KT_OPS(KT_UNWATCH("all"), KT_UNWATCH("some")) }),
      .post_vm = variable_post);

static int write_element(struct kt_ctx *ctx, unsigned int cpu, uint64_t number)
{
	return kt_bpf_write(
		ctx, KT_BPF("per_cpu", .field = "nested.inner[2]", .key = 1, .cpu = cpu), number);
}

static int element_run(struct kt_ctx *ctx)
{
	KT_ASSERT_OK(ctx, write_element(ctx, 1, 76));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WATCH("map(per_cpu)[1][cpu 1].nested.inner[2]",
						 .name = "element", .when = KT_NE(76))));
	KT_ASSERT_OK(ctx, write_element(ctx, 1, 77));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_UNWATCH("element")));
	return write_element(ctx, 1, 78);
}

static int element_post(struct kt_ctx *ctx)
{
	struct kt_watch_count count;
	const struct kt_freeze_hit *hits;
	size_t n;

	if (kt_vm_failed(ctx))
		return 0;
	hits = kt_freeze_hits(ctx, &n);
	KT_ASSERT(ctx, kt_watch_count(ctx, "element", &count));
	KT_EXPECT_EQ(ctx, count.hits, 1);
	KT_ASSERT_EQ(ctx, n, 1);
	KT_EXPECT_EQ(ctx, hits[0].value, 77);
	return 0;
}

KTEST(watch_map_element, .summary = "one element of one CPU is watched", TWO_CPUS,
      .scheduler = KT_SCHEDULER_REF(watched_fault), .run = element_run, .post_vm = element_post);
