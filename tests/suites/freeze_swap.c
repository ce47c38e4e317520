/* SPDX-License-Identifier: MIT */
/*
 * Replacements of one scheduler by another under load, with the exit watch armed: four here, and a
 * hundred in tests/checks/swaps.py, which take minutes. Some of them are made by an error, and the
 * machine stands at each error and at no other moment.
 */
#include "tests/suites/schedulers.h"

#include <string.h>

#ifndef N_SWAPS
#define N_SWAPS 4
#endif
#define EVERY    4u /* swaps, one is made by an error */
#define N_ERRORS ((N_SWAPS + EVERY - 1) / EVERY)
#define AWAIT_MS 20000

KT_SCHEDULER(swap_a, .object = FIXTURE("fault"));
KT_SCHEDULER(swap_b, .object = FIXTURE("fifo"));

/* From A to B; A may err, so that there is none for a while. */
static int swap(struct kt_ctx *ctx, bool errs)
{
	if (!errs)
		return kt_apply(ctx, KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(swap_b)));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WRITE_BPF_MAP("fault.bss", "error", 7)));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)));
	return kt_apply(ctx, KT_ATTACH_SCHEDULER(KT_SCHEDULER_REF(swap_b)));
}

static int swaps_run(struct kt_ctx *ctx)
{
	KT_ASSERT_OK(ctx,
		     kt_apply(ctx, KT_ADD_CGROUP_DEF("load", .work = KT_WORK(KT_FUTEX_PING_PONG,
									     .workers = 4))));
	for (unsigned int i = 0; i < N_SWAPS; i += 2) {
		KT_ASSERT_OK(ctx, swap(ctx, i % EVERY == 0));
		KT_ASSERT_OK(ctx, kt_apply(ctx, KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(swap_a))));
	}
	return 0;
}

static int swaps_post(struct kt_ctx *ctx)
{
	unsigned int n_claimed = 0, n_told = 0;
	size_t n;
	const struct kt_freeze_hit *hits = kt_freeze_hits(ctx, &n);

	if (kt_vm_failed(ctx))
		return 0;
	for (size_t i = 0; i < n; i++) {
		n_claimed += !strcmp(hits[i].reason, "exit-claimed");
		n_told += !strcmp(hits[i].reason, "exit-told");
		KT_EXPECT_STREQ(ctx, hits[i].name, "fault");
		KT_EXPECT_STREQ(ctx, hits[i].kind, "SCX_EXIT_ERROR_BPF");
	}
	KT_EXPECT_EQ(ctx, n_claimed, N_ERRORS);
	KT_EXPECT_EQ(ctx, n_told, N_ERRORS);
	KT_EXPECT_EQ(ctx, n, 2 * N_ERRORS); /* none was missed, and none was another's */
	return 0;
}

KTEST(freeze_swaps,
      .summary = "schedulers replace each other under load: all errors are hits, nothing else is",
      .scheduler = KT_SCHEDULER_REF(swap_a), .topology = { .llcs = 1, .cores = 2, .threads = 1 },
      .timeout_ms = N_SWAPS * 15000, .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_BPF },
      .run = swaps_run, .schedulers = KT_SCHEDULERS(KT_SCHEDULER_REF(swap_b)),
      .post_vm = swaps_post);
