/* SPDX-License-Identifier: MIT */
/* Payloads in scenarios: started, waited for, killed, moved, and ended with their cgroup. */
#include <ktest.h>

#include "tests/suites/look.h"

#define ONE_CPU    .topology = { .llcs = 1, .cores = 1 }
#define APPLY(...) KT_ASSERT_EQ(ctx, kt_apply(ctx, __VA_ARGS__), 0)

KT_PAYLOAD(sleeper, .binary = "/bin/sleep", .args = KT_ARGS("1000"));
KT_PAYLOAD(speaker, .binary = "/bin/sh", .output = KT_OUTPUT_JSON | KT_OUTPUT_EXIT_CODE,
	   .args = KT_ARGS("-c", "echo '{\"answer\":42}'"),
	   .checks = KT_PAYLOAD_CHECKS(KT_METRIC_RANGE("answer", 42, 42), KT_EXIT_CODE(0)));

#define SLEEPER KT_PAYLOAD_REF(sleeper)
#define SPEAKER KT_PAYLOAD_REF(speaker)

/* The number of processes in a cgroup. */
static size_t count(struct kt_ctx *ctx, const char *cgroup)
{
	size_t n = 1000;

	if (kt_apply(ctx, KT_CAPTURE_CGROUP_PROCS("count", cgroup)) == 0)
		(void)kt_captured(ctx, "count", &n);
	return n;
}

static int lifecycle_run(struct kt_ctx *ctx)
{
	const pid_t *pids;
	char text[LOOK_LEN];
	size_t n;

	APPLY(KT_ADD_CGROUP("a"));
	APPLY(KT_ADD_CGROUP("b"));
	APPLY(KT_RUN_PAYLOAD(SLEEPER, "a"));
	APPLY(KT_CAPTURE_CGROUP_PROCS("a", "a"));
	pids = kt_captured(ctx, "a", &n);
	KT_ASSERT_EQ(ctx, n, 1);
	KT_ASSERT_STREQ(ctx, look(text, "/proc/%d/comm", pids[0]), "sleep");
	/* A payload that runs once is found without a cgroup. */
	APPLY(KT_KILL_PAYLOAD(SLEEPER, NULL));
	KT_ASSERT_EQ(ctx, count(ctx, "a"), 0);
	/* Two in different cgroups are distinguished. */
	APPLY(KT_RUN_PAYLOAD(SLEEPER, "a"));
	APPLY(KT_RUN_PAYLOAD(SLEEPER, "b"));
	APPLY(KT_KILL_PAYLOAD(SLEEPER, "b"));
	KT_ASSERT_EQ(ctx, count(ctx, "a"), 1);
	KT_ASSERT_EQ(ctx, count(ctx, "b"), 0);
	APPLY(KT_MOVE_ALL_TASKS("a", "b"));
	KT_ASSERT_EQ(ctx, count(ctx, "b"), 1);
	APPLY(KT_STOP_CGROUP("b"));
	KT_ASSERT_EQ(ctx, count(ctx, "b"), 0);
	return 0;
}

KTEST(payload_ops,
      .summary = "payloads are started, found, killed, moved and stopped by operations", ONE_CPU,
      .payloads = KT_PAYLOADS(SLEEPER), .run = lifecycle_run);

KTEST(payload_wait, .summary = "KT_WAIT_PAYLOAD waits for the end, and checks", ONE_CPU,
      .duration_ms = 300,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) }),
			  KT_OPS(KT_RUN_PAYLOAD(SPEAKER, "w"), KT_WAIT_PAYLOAD(SPEAKER, "w", 10000),
				 KT_RUN_PAYLOAD_WITH(SPEAKER, "", "ignored", "too"),
				 KT_WAIT_PAYLOAD(SPEAKER, NULL, 10000)),
			  .hold = KT_HOLD_FRAC(0.3) }));

static int ends_check(struct kt_ctx *ctx)
{
	size_t n;

	(void)kt_captured(ctx, "first", &n);
	KT_EXPECT_EQ(ctx, n, 1);
	(void)kt_captured(ctx, "kept", &n);
	KT_EXPECT_EQ(ctx, n, 1);
	return 0;
}

KTEST(payload_of_a_cgroup, .summary = "a definition's payload lives as long as its cgroup", ONE_CPU,
      .duration_ms = 300, .backdrop = { KT_SETUP({ .name = "kept", .payload = SLEEPER }) },
      .steps = KT_STEPS(
	      { KT_SETUP({ .name = "first", .payload = SLEEPER }),
		KT_OPS(KT_CAPTURE_CGROUP_PROCS("first", "first")), .hold = KT_HOLD_FRAC(0.3) },
	      { KT_OPS(KT_CAPTURE_CGROUP_PROCS("kept", "kept"), KT_KILL_PAYLOAD(SLEEPER, NULL)),
		.hold = KT_HOLD_FRAC(0.3) }),
      .check = ends_check);

KT_PAYLOAD(obeys, .binary = "/bin/sh", .args = KT_ARGS("-c"),
	   .checks = KT_PAYLOAD_CHECKS(KT_EXIT_CODE(7)));
#define OBEYS KT_PAYLOAD_REF(obeys)

KTEST(payload_args_of_a_cgroup, .summary = "a definition's payload has the definition's arguments",
      ONE_CPU, .duration_ms = 300,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .payload = OBEYS,
				     .payload_args = KT_ARGS("exit $1", "sh", "7") }),
			  KT_OPS(KT_WAIT_PAYLOAD(OBEYS, "w", 10000)) }));
