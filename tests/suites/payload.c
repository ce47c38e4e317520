/* SPDX-License-Identifier: MIT */
/* Payloads: programs of the host that run in the guest. */
#include <ktest.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/payload/payload.h"
#include "util/clock.h"
#include "util/err.h"

#define ONE_CPU .topology = { .llcs = 1, .cores = 1 }
#define LIMIT_S UINT64_C(10)

static uint64_t soon(void)
{
	return kt_now_ns() + LIMIT_S * KT_NSEC_PER_SEC;
}

/* ---- what every host has --------------------------------------------------------------------- */

KT_PAYLOAD(true, .binary = "/bin/true", .output = KT_OUTPUT_EXIT_CODE);
KT_PAYLOAD(false, .binary = "false", .checks = KT_PAYLOAD_CHECKS(KT_EXIT_CODE(1)));
KT_PAYLOAD(sh, .binary = "/bin/sh", .args = KT_ARGS("-c"),
	   .files = KT_ARGS("payload.txt", "/bin/sleep"), .output = KT_OUTPUT_EXIT_CODE);
KT_PAYLOAD(sh_json, .binary = "/bin/sh", .args = KT_ARGS("-c"),
	   .output = KT_OUTPUT_EXIT_CODE | KT_OUTPUT_JSON,
	   .metrics = KT_METRICS({ .name = "a.b.1", .unit = "s", .better = KT_LOWER }),
	   .checks = KT_PAYLOAD_CHECKS(KT_METRIC_EXISTS("a.b.0"), KT_METRIC_RANGE("a.b.1", 2, 2)));

static int exit_codes_run(struct kt_ctx *ctx)
{
	struct kt_payload_result result;

	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, KT_PAYLOAD_REF(true), NULL, NULL, 5000, &result));
	KT_ASSERT(ctx, WIFEXITED(result.status));
	KT_ASSERT_EQ(ctx, WEXITSTATUS(result.status), 0);
	KT_ASSERT_GT(ctx, result.duration_ns, 0);
	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, KT_PAYLOAD_REF(false), NULL, NULL, 5000, &result));
	KT_ASSERT_EQ(ctx, WEXITSTATUS(result.status), 1);
	return 0;
}

KTEST(payload_exit_codes, .summary = "a payload's exit status is told, and checked", ONE_CPU,
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(true), KT_PAYLOAD_REF(false)), .run = exit_codes_run);

/* The program prints where it runs and what it sees. */
static int surroundings_run(struct kt_ctx *ctx)
{
	static const char script[] = "read line < payload.txt; echo \"$line\"; "
				     "if read line; then echo stdin has \"$line\"; fi; pwd; "
				     "echo $0 $1; command -v sleep; echo to stderr >&2";
	struct kt_payload_result result;

	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, KT_PAYLOAD_REF(sh), KT_ARGS(script, "zero", "one"),
					  NULL, 5000, &result));
	KT_ASSERT_STREQ(ctx, result.out,
			"packed beside the program\n/payloads/sh\nzero one\n"
			"/payloads/sh/sleep\n");
	KT_ASSERT_STREQ(ctx, result.err, "to stderr\n");
	KT_ASSERT_EQ(ctx, result.out_len, strlen(result.out));
	KT_ASSERT_EQ(ctx, result.out_total, result.out_len);
	return 0;
}

KTEST(payload_surroundings,
      .summary =
	      "a payload has its arguments and files, nothing to read, and its directory in PATH",
      ONE_CPU, .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh)), .run = surroundings_run);

static int json_run(struct kt_ctx *ctx)
{
	struct kt_payload_result result;
	double value = 0;

	KT_ASSERT_OK(ctx,
		     kt_payload_exec(ctx, KT_PAYLOAD_REF(sh_json),
				     KT_ARGS("echo '[0] starting'; echo '{\"a\":{\"b\":[1,2]}}'; "
					     "echo '{\"a\":7}' >&2"),
				     NULL, 5000, &result));
	KT_ASSERT_EQ(ctx, result.n_metrics, 2);
	KT_ASSERT(ctx, kt_metric(&result, "a.b.0", &value));
	KT_ASSERT_EQ(ctx, value, 1);
	KT_ASSERT(ctx, kt_metric(&result, "a.b.1", &value));
	KT_ASSERT_EQ(ctx, value, 2);
	KT_ASSERT(ctx, !kt_metric(&result, "a", &value));
	KT_ASSERT_EQ(ctx, value, 2);
	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, KT_PAYLOAD_REF(sh_json),
					  KT_ARGS("echo none; echo '{\"a\":{\"b\":[5,2]}}' >&2"),
					  NULL, 5000, &result));
	KT_ASSERT(ctx, kt_metric(&result, "a.b.0", &value));
	KT_ASSERT_EQ(ctx, value, 5);
	return 0;
}

static int json_post_vm(struct kt_ctx *ctx)
{
	KT_ASSERT_CONTAINS(ctx, kt_vm_stdout(ctx), "payload sh_json: a.b.1 2 s, lower is better\n");
	return 0;
}

KTEST(payload_json,
      .summary = "numbers of a payload's JSON are its metrics, of stdout before stderr", ONE_CPU,
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh_json)), .run = json_run, .post_vm = json_post_vm);

/* ---- ends ------------------------------------------------------------------------------------ */

static int start_sh(struct kt_ctx *ctx, const char *script, struct kt_payload_run **ret_run)
{
	struct kt_err err = KT_ERR_NULL;

	if (kt_payload_start(KT_PAYLOAD_REF(sh), KT_ARGS(script), NULL, ret_run, &err) < 0)
		KT_FAIL(ctx, "%s", err.text);
	KT_ASSERT_GT(ctx, kt_payload_pid(*ret_run), 1);
	return 0;
}

static int signal_run(struct kt_ctx *ctx)
{
	struct kt_payload_outcome outcome;
	struct kt_payload_run *run;
	struct kt_err err = KT_ERR_NULL;

	KT_ASSERT_OK(ctx, start_sh(ctx, "echo before; kill -USR1 $$; echo after", &run));
	if (kt_payload_wait(run, soon(), &outcome, &err) < 0)
		KT_FAIL(ctx, "%s", err.text);
	KT_ASSERT(ctx, WIFSIGNALED(outcome.status));
	KT_ASSERT_EQ(ctx, WTERMSIG(outcome.status), SIGUSR1);
	KT_ASSERT_STREQ(ctx, outcome.out.data, "before\n");
	KT_ASSERT_EQ(ctx, kt_payload_pid(run), 0);
	KT_ASSERT_EQ(ctx, kt_payload_wait(run, soon(), &outcome, &err), -ECHILD);
	(void)kt_payload_free(run);
	return 0;
}

KTEST(payload_signal, .summary = "a payload that a signal ends is told so", ONE_CPU,
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh)), .run = signal_run);

/*
 * Waits until the payload has printed @n lines: its traps are set and its children exist by then.
 */
static int await_lines(struct kt_ctx *ctx, int n)
{
	for (uint64_t deadline_ns = soon(); kt_left_ns(deadline_ns);) {
		int have = 0;

		for (int i = 0; i < n; i++) {
			char path[32];

			(void)snprintf(path, sizeof(path), "/tmp/here%d", i);
			have += access(path, F_OK) == 0;
		}
		if (have == n)
			return 0;
		KT_ASSERT_OK(ctx, kt_hold_ms(ctx, 5));
	}
	KT_FAIL(ctx, "the payload does not come up");
}

static int kill_run(struct kt_ctx *ctx)
{
	static const char script[] = "trap '' TERM; echo unfinished;"
				     "(: > /tmp/here0; while :; do sleep 100; done) & "
				     "(: > /tmp/here1; while :; do :; done) & "
				     ": > /tmp/here2; wait";
	struct kt_payload_outcome outcome;
	struct kt_payload_run *run;
	struct kt_err err = KT_ERR_NULL;
	pid_t pid;

	KT_ASSERT_OK(ctx, start_sh(ctx, script, &run));
	pid = kt_payload_pid(run);
	KT_ASSERT_OK(ctx, await_lines(ctx, 3));
	KT_ASSERT_EQ(ctx, kill(-pid, SIGTERM), 0);
	KT_ASSERT_EQ(ctx,
		     kt_payload_wait(run, kt_now_ns() + 100 * KT_NSEC_PER_MSEC, &outcome, &err),
		     -ETIMEDOUT);
	KT_ASSERT_CONTAINS(ctx, err.text, "payload sh still runs after 0.");
	KT_ASSERT_EQ(ctx, kt_payload_pid(run), pid);
	if (kt_payload_kill(run, &outcome, &err) < 0)
		KT_FAIL(ctx, "%s", err.text);
	KT_ASSERT_EQ(ctx, WTERMSIG(outcome.status), SIGKILL);
	KT_ASSERT_STREQ(ctx, outcome.out.data, "unfinished\n");
	/* No process of the group exists any more, alive or dead. */
	KT_ASSERT_EQ(ctx, kill(-pid, 0), -1);
	KT_ASSERT_EQ(ctx, errno, ESRCH);
	KT_ASSERT_EQ(ctx, waitpid(-1, NULL, WNOHANG), -1);
	(void)kt_payload_free(run);
	return 0;
}

KTEST(payload_kill, .summary = "a payload that ignores SIGTERM is killed with its children",
      ONE_CPU, .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh)), .run = kill_run);

static int leftover_run(struct kt_ctx *ctx)
{
	struct kt_payload_result result;
	pid_t pid;

	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, KT_PAYLOAD_REF(sh), KT_ARGS("sleep 100 & echo $!"),
					  NULL, 5000, &result));
	pid = atoi(result.out);
	KT_ASSERT_GT(ctx, pid, 1);
	KT_ASSERT_EQ(ctx, kill(pid, 0), -1);
	KT_ASSERT_EQ(ctx, errno, ESRCH);
	return 0;
}

KTEST(payload_leftover, .summary = "what a payload leaves behind in the background ends with it",
      ONE_CPU, .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh)), .run = leftover_run);

/* ---- output ---------------------------------------------------------------------------------- */

#define OUT_BYTES (2u << 20)
#define ERR_BYTES (100u << 10)

static int output_run(struct kt_ctx *ctx)
{
	struct kt_payload_result result;

	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, KT_PAYLOAD_REF(sh),
					  KT_ARGS("printf 'begin%2097146d\n' 1; "
						  "printf 'begin%102394d\n' 2 >&2"),
					  NULL, 5000, &result));
	KT_ASSERT_EQ(ctx, result.out_total, OUT_BYTES);
	KT_ASSERT_EQ(ctx, result.out_len, KT_PAYLOAD_OUT_MAX);
	KT_ASSERT_EQ(ctx, strlen(result.out), KT_PAYLOAD_OUT_MAX);
	KT_ASSERT(ctx, !strncmp(result.out, "begin ", 6));
	KT_ASSERT_EQ(ctx, strlen(result.err), KT_PAYLOAD_ERR_MAX);
	KT_ASSERT_STREQ(ctx, result.err + KT_PAYLOAD_ERR_MAX - 3, " 2\n");
	return 0;
}

KTEST(payload_output, .summary = "of much output the beginning is kept, and the end of errors",
      ONE_CPU, .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh)), .run = output_run);

/* ---- failures to start ----------------------------------------------------------------------- */

/* No test lists it, so it is not packed for the guest. */
KT_PAYLOAD(unlisted, .binary = "/bin/true");

static int start_run(struct kt_ctx *ctx)
{
	struct kt_payload_run *run = NULL;
	struct kt_err err = KT_ERR_NULL;

	KT_ASSERT_LT(ctx, kt_payload_start(KT_PAYLOAD_REF(unlisted), NULL, NULL, &run, &err), 0);
	KT_ASSERT_CONTAINS(ctx, err.text, "payload unlisted: /payloads/unlisted: No such file");
	KT_ASSERT_CONTAINS(ctx, err.text, ".payloads");
	KT_ASSERT_EQ(ctx, chmod("/payloads/true/true", 0600), 0);
	KT_ASSERT_LT(ctx, kt_payload_start(KT_PAYLOAD_REF(true), NULL, NULL, &run, &err), 0);
	KT_ASSERT_STREQ(ctx, err.text,
			"payload true: cannot execute /payloads/true/true: Permission denied");
	KT_ASSERT_EQ(ctx, chmod("/payloads/true/true", 0755), 0);
	KT_ASSERT_LT(ctx, kt_payload_start(KT_PAYLOAD_REF(true), NULL, "nowhere", &run, &err), 0);
	KT_ASSERT_CONTAINS(ctx, err.text, "payload true: cgroup 'nowhere'");
	KT_ASSERT(ctx, !run);
	/* None of their processes exists any more, not even as a zombie. */
	KT_ASSERT_EQ(ctx, waitpid(-1, NULL, WNOHANG), -1);
	return 0;
}

KTEST(payload_cannot_start, .summary = "a payload that cannot be run says why", ONE_CPU,
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(true)), .run = start_run);

/* ---- cgroups --------------------------------------------------------------------------------- */

static int cgroup_run(struct kt_ctx *ctx)
{
	static const char busy[] = "read line < /proc/self/cgroup; echo \"$line\"; i=0; "
				   "while [ $i -lt 20000 ]; do i=$((i + 1)); done";
	struct kt_payload_result result;
	unsigned long long usage_us = 0;
	FILE *stat;

	(void)mkdir("/sys/fs/cgroup/ktest", 0755);
	KT_ASSERT_EQ(ctx, mkdir("/sys/fs/cgroup/ktest/bench", 0755), 0);
	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, KT_PAYLOAD_REF(sh), KT_ARGS(busy), "bench", 9000,
					  &result));
	KT_ASSERT_STREQ(ctx, result.out, "0::/ktest/bench\n");
	stat = fopen("/sys/fs/cgroup/ktest/bench/cpu.stat", "re");
	KT_ASSERT(ctx, stat);
	KT_ASSERT_EQ(ctx, fscanf(stat, "usage_usec %llu", &usage_us), 1);
	(void)fclose(stat);
	KT_ASSERT_GT(ctx, usage_us, 1000);
	/*
	 * The program used more than half of the time that it ran: not only the start of the shell.
	 */
	KT_ASSERT_GT(ctx, usage_us * 1000 * 2, result.duration_ns);
	return 0;
}

KTEST(payload_cgroup, .summary = "a payload runs in its cgroup, which is charged for it", ONE_CPU,
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sh)), .run = cgroup_run);

/* ---- benchmarks, where they are installed ---------------------------------------------------- */

KT_PAYLOAD(hackbench, .binary = "hackbench", .package = "rt-tests",
	   .args = KT_ARGS("-g", "1", "-f", "2", "-l", "50"), .output = KT_OUTPUT_EXIT_CODE);

static int hackbench_run(struct kt_ctx *ctx)
{
	struct kt_payload_result result;
	const char *at;

	KT_ASSERT_OK(ctx,
		     kt_payload_exec(ctx, KT_PAYLOAD_REF(hackbench), NULL, NULL, 20000, &result));
	KT_ASSERT_CONTAINS(ctx, result.out, "1 groups");
	KT_ASSERT_CONTAINS(ctx, result.out, "Time: ");
	at = strstr(result.out, "Time: ") + 6;
	KT_ASSERT_GT(ctx, atof(at), 0.0);
	KT_ASSERT_LE(ctx, atof(at) * 1e9, (double)result.duration_ns);
	return 0;
}

KTEST(payload_hackbench, .summary = "hackbench passes messages",
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(hackbench)), .timeout_ms = 30000,
      .run = hackbench_run);

KT_PAYLOAD(stress_ng, .binary = "stress-ng", .package = "stress-ng",
	   .args = KT_ARGS("--switch", "1", "--switch-ops", "200", "--temp-path", "/tmp",
			   "--metrics-brief"),
	   .output = KT_OUTPUT_EXIT_CODE);

static int stress_ng_run(struct kt_ctx *ctx)
{
	struct kt_payload_result result;
	unsigned long ops = 0;
	const char *at = NULL;

	KT_ASSERT_OK(ctx,
		     kt_payload_exec(ctx, KT_PAYLOAD_REF(stress_ng), NULL, NULL, 30000, &result));
	/*
	 * "stress-ng: info:  [12] switch   200 ...": some versions print to standard output, some
	 * to standard error.
	 */
	for (int i = 0; i < 2 && !at; i++) {
		const char *text = i ? result.err : result.out;

		for (const char *line = text; line && !at; line = strstr(line + 1, "] switch "))
			at = sscanf(line, "] switch %lu", &ops) == 1 ? line : NULL;
	}
	KT_ASSERT(ctx, at);
	KT_ASSERT_GE(ctx, ops, 200);
	return 0;
}

KTEST(payload_stress_ng, .summary = "stress-ng switches context",
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(stress_ng)), .timeout_ms = 40000,
      .run = stress_ng_run);

KT_PAYLOAD(sysbench, .binary = "sysbench", .package = "sysbench",
	   .args = KT_ARGS("cpu", "--threads=2", "--time=0", "--events=20", "--cpu-max-prime=500",
			   "run"),
	   .output = KT_OUTPUT_EXIT_CODE);

static int sysbench_run(struct kt_ctx *ctx)
{
	struct kt_payload_result result;
	unsigned int events = 0;

	KT_ASSERT_OK(ctx,
		     kt_payload_exec(ctx, KT_PAYLOAD_REF(sysbench), NULL, NULL, 30000, &result));
	KT_ASSERT_CONTAINS(ctx, result.out, "total number of events:");
	KT_ASSERT_EQ(ctx,
		     sscanf(strstr(result.out, "total number of events:"),
			    "total number of events: %u", &events),
		     1);
	KT_ASSERT_EQ(ctx, events, 20);
	return 0;
}

KTEST(payload_sysbench, .summary = "sysbench computes primes",
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(sysbench)), .timeout_ms = 40000, .run = sysbench_run);

KT_PAYLOAD(
	fio, .binary = "fio", .package = "fio",
	.args = KT_ARGS("--name=seq", "--directory=/tmp", "--size=1M", "--bs=64k", "--rw=read",
			"--ioengine=psync", "--output-format=json"),
	.output = KT_OUTPUT_JSON | KT_OUTPUT_EXIT_CODE,
	.metrics = KT_METRICS({ .name = "jobs.0.read.iops", .unit = "1/s", .better = KT_HIGHER }),
	.checks = KT_PAYLOAD_CHECKS(KT_METRIC_MIN("jobs.0.read.iops", 1),
				    KT_METRIC_RANGE("jobs.0.read.io_bytes", 1 << 20, 1 << 20),
				    KT_METRIC_MAX("jobs.0.error", 0), KT_EXIT_CODE(0)));

static int fio_run(struct kt_ctx *ctx)
{
	struct kt_payload_result result;
	double total = 0;

	KT_ASSERT_OK(ctx, kt_payload_exec(ctx, KT_PAYLOAD_REF(fio), NULL, NULL, 30000, &result));
	KT_ASSERT(ctx, kt_metric(&result, "jobs.0.read.total_ios", &total));
	KT_ASSERT_EQ(ctx, total, 16);
	KT_ASSERT_GT(ctx, result.n_metrics, 50);
	return 0;
}

KTEST(payload_fio, .summary = "fio reads a file and its metrics are in its JSON",
      .payloads = KT_PAYLOADS(KT_PAYLOAD_REF(fio)), .timeout_ms = 40000, .run = fio_run);
