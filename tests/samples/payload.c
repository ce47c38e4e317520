/* SPDX-License-Identifier: MIT */
/* Payloads that must not pass. golden/ has the runner's output for each. */
#include <ktest.h>

#include <sys/wait.h>

#define FAILING(name, ...) KTEST(name, .topology = { .llcs = 1, .cores = 1 }, __VA_ARGS__)

KT_PAYLOAD(absent, .binary = "ktest-no-such-program", .package = "no-such-package");
KT_PAYLOAD(sh, .binary = "/bin/sh", .args = KT_ARGS("-c"),
	   .output = KT_OUTPUT_EXIT_CODE | KT_OUTPUT_JSON,
	   .metrics = KT_METRICS({ .name = "speed", .unit = "1/s", .better = KT_HIGHER }),
	   .checks = KT_PAYLOAD_CHECKS(KT_METRIC_MIN("speed", 100), KT_METRIC_EXISTS("errors")));

static int absent_run(struct kt_ctx *ctx)
{
	return kt_payload_exec(ctx, KT_PAYLOAD_REF(absent), NULL, NULL, 1000, NULL);
}
FAILING(payload_is_absent, .summary = "a payload that is not installed",
	.payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh), KT_PAYLOAD_REF(absent)), .run = absent_run);

static int checks_run(struct kt_ctx *ctx)
{
	static const char script[] = "echo '{\"speed\":99.5}'; echo out of tune >&2; exit 3";

	return kt_payload_exec(ctx, KT_PAYLOAD_REF(sh), KT_ARGS(script), NULL, 5000, NULL);
}
FAILING(payload_checks_fail, .summary = "a payload whose results are not as they must be",
	.payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh)), .run = checks_run);

static int endless_run(struct kt_ctx *ctx)
{
	KT_ASSERT_EQ(ctx,
		     kt_payload_exec(ctx, KT_PAYLOAD_REF(sh), KT_ARGS("while :; do :; done"), NULL,
				     100, NULL),
		     KT_FAILED);
	/* The payload has ended, and its process does not exist any more. */
	KT_ASSERT_EQ(ctx, waitpid(-1, NULL, 0), -1);
	KT_ASSERT_EQ(ctx, errno, ECHILD);
	KT_FAIL(ctx, "and its process is gone");
}
FAILING(payload_is_endless, .summary = "a payload that does not end in time",
	.payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh)), .run = endless_run);

KT_PAYLOAD(sleeper, .binary = "/bin/sleep", .args = KT_ARGS("1000"));
#define SLEEPER     KT_PAYLOAD_REF(sleeper)
#define TWO_CGROUPS KT_SETUP({ .name = "a" }, { .name = "b" })

FAILING(payload_is_ambiguous, .summary = "two of a payload, and no word which", .duration_ms = 100,
	.steps = KT_STEPS({ TWO_CGROUPS,
			    KT_OPS(KT_RUN_PAYLOAD(SLEEPER, "a"), KT_RUN_PAYLOAD(SLEEPER, "b"),
				   KT_KILL_PAYLOAD(SLEEPER, NULL)) }));

FAILING(payload_twice, .summary = "one payload cannot be twice in one place", .duration_ms = 100,
	.steps = KT_STEPS({ TWO_CGROUPS,
			    KT_OPS(KT_RUN_PAYLOAD(SLEEPER, "a"), KT_RUN_PAYLOAD(SLEEPER, "a")) }));

FAILING(payload_was_consumed, .summary = "what was waited for is not there any more",
	.duration_ms = 100,
	.steps = KT_STEPS({ TWO_CGROUPS,
			    KT_OPS(KT_RUN_PAYLOAD(SLEEPER, "a"), KT_KILL_PAYLOAD(SLEEPER, "a"),
				   KT_KILL_PAYLOAD(SLEEPER, "a")) }));

FAILING(payload_wait_times_out, .summary = "waiting for a payload has a limit", .duration_ms = 100,
	.steps = KT_STEPS({ TWO_CGROUPS, KT_OPS(KT_RUN_PAYLOAD(SLEEPER, "a"),
						KT_WAIT_PAYLOAD(SLEEPER, "a", 50)) }));

/* Of 200 lines the first and the last are shown. */
KT_PAYLOAD(tap, .binary = "/bin/sh",
	   .args = KT_ARGS("-c",
			   "i=1; while [ $i -le 200 ]; do echo \"ok $i\"; i=$((i + 1)); done; "
			   "echo 'not ok 201 - too late'; echo 1..202; echo lost >&2"),
	   .output = KT_OUTPUT_TAP);
FAILING(payload_tap_fails, .summary = "what a payload that fails has written", .duration_ms = 100,
	.steps = KT_STEPS({ TWO_CGROUPS,
			    KT_OPS(KT_RUN_PAYLOAD(KT_PAYLOAD_REF(tap), "a"),
				   KT_WAIT_PAYLOAD(KT_PAYLOAD_REF(tap), "a", 5000)) }));

KT_PAYLOAD(selftest, .binary = "/bin/sh", .args = KT_ARGS("-c"), .output = KT_OUTPUT_KSELFTEST);

static int selftest_run(struct kt_ctx *ctx)
{
	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, KT_PAYLOAD_REF(selftest),
					  KT_ARGS("echo 1..1; echo ok 1"), NULL, 5000, NULL));
	return kt_payload_exec(ctx, KT_PAYLOAD_REF(selftest),
			       KT_ARGS("echo needs two nodes >&2; exit 4"), NULL, 5000, NULL);
}
FAILING(payload_selftest_skips, .summary = "a selftest that has nothing to test",
	.payloads = KT_PAYLOADS(KT_PAYLOAD_REF(selftest)), .run = selftest_run);

static int perf_run(struct kt_ctx *ctx)
{
	return kt_payload_exec(ctx, KT_PAYLOAD_REF(sh),
			       KT_ARGS("echo '{\"speed\": 700, \"errors\": 3}'"), NULL, 5000, NULL);
}
FAILING(perf_is_worse, .summary = "metrics that were better in the baseline",
	.payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh)), .run = perf_run,
	.perf = KT_PERF({ .metric = "sh.speed" },
			{ .metric = "sh.errors", .better = KT_LOWER, .absolute = 2 }));
