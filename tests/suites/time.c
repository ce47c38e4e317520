/* SPDX-License-Identifier: MIT */
/*
 * Virtual time. What the first tests print and report is compared between runs by
 * tests/checks/repeat.py: with one seed it is the same, byte for byte.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "tests/suites/look.h"
#include "tests/suites/schedulers.h"

#define MSEC 1000000

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The kernel's log since the boot, with its time stamps in microseconds. */
static int print_kernel_log(struct kt_ctx *ctx)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[8192];
	ssize_t n;

	KT_ASSERT_OK(ctx, fd);
	while ((n = read(fd, record, sizeof(record))) > 0)
		(void)fwrite(record, 1, (size_t)n, stdout);
	(void)close(fd);
	return 0;
}

/* Everything that differs between two runs when anything does. */
static int print_traces(struct kt_ctx *ctx)
{
	uint8_t random[32];

	KT_ASSERT_EQ(ctx, getrandom(random, sizeof(random), 0), (ssize_t)sizeof(random));
	for (size_t i = 0; i < sizeof(random); i++)
		printf("%02x", random[i]);
	printf(" %" PRIu64 " %" PRIu64 "\n", now_ns(CLOCK_MONOTONIC), now_ns(CLOCK_REALTIME));
	return print_kernel_log(ctx);
}

KT_SCHEDULER(in_order, .object = FIXTURE("fifo"));
KT_SCHEDULER(by_weight, .object = FIXTURE("vtime"));

#define REPEATS(n, ...)                                                                            \
	KTEST(repeat_##n, .summary = "the same in each run with one seed: " #n " CPUs",            \
	      .topology = { __VA_ARGS__ }, .duration_ms = 400,                                     \
	      .scheduler = KT_SCHEDULER_REF(in_order),                                             \
	      .steps = KT_STEPS(                                                                   \
		      { KT_SETUP({ .name = "a",                                                    \
				   .work = KT_WORK(KT_FUTEX_PING_PONG, .workers = 2) },            \
				 { .name = "b", .work = KT_WORK(KT_MIXED, .workers = 2) },         \
				 { .name = "c", .work = KT_WORK(KT_SPIN_WAIT, .workers = 1) }),    \
			.hold = KT_HOLD_FRAC(0.5) },                                               \
		      { KT_OPS(KT_REPLACE_SCHEDULER(KT_SCHEDULER_REF(by_weight)),                  \
			       KT_CAPTURE_SNAPSHOT("replaced")),                                   \
			.hold = KT_HOLD_FRAC(0.5) }),                                              \
	      .check = print_traces)

REPEATS(1, .llcs = 1, .cores = 1, .threads = 1);
REPEATS(2, .llcs = 1, .cores = 2, .threads = 1);
REPEATS(4, .llcs = 2, .cores = 2, .threads = 1);
REPEATS(8, .llcs = 2, .cores = 2, .threads = 2);

/* All devices are busy at once. */
KTEST(repeat_devices, .summary = "the same in each run with one seed: disk and network",
      .disk_mib = 16, .net = true, .duration_ms = 100,
      .steps = KT_STEPS({ KT_SETUP({ .name = "read",
				     .work = KT_WORK(KT_IO_CONVOY, .workers = 2, .kib = 512) },
				   { .name = "write", .work = KT_WORK(KT_IO_SYNC_WRITE) },
				   { .name = "send", .work = KT_WORK(KT_NET_TRAFFIC) },
				   { .name = "wake", .work = KT_WORK(KT_IRQ_WAKE) }),
			  .hold = KT_HOLD_FRAC(1.0) }),
      .check = print_traces);

/* ---- the clock ------------------------------------------------------------------------------- */

/* A minute of sleep takes no time of the host: in real time the test would be late. */
static int sleep_run(struct kt_ctx *ctx)
{
	uint64_t began_ns = now_ns(CLOCK_MONOTONIC), slept_ns;

	if (strcmp(getenv("KTESTS_TIME"), "virtual"))
		KT_SKIP(ctx, "the machine shows the host's time");
	KT_ASSERT_OK(ctx, kt_hold_ms(ctx, 60000));
	slept_ns = now_ns(CLOCK_MONOTONIC) - began_ns;
	KT_EXPECT_GE(ctx, slept_ns, UINT64_C(60000) * MSEC);
	KT_EXPECT_LT(ctx, slept_ns, UINT64_C(60500) * MSEC);
	return 0;
}

KTEST(sleep_is_skipped, .summary = "virtual time in which all CPUs are idle is skipped",
      .topology = { .llcs = 1, .cores = 1, .threads = 1 }, .timeout_ms = 70000, .run = sleep_run);

/* A CPU that is busy executes what --time says, whatever the host does. */
static int speed_run(struct kt_ctx *ctx)
{
	uint64_t began_ns = now_ns(CLOCK_MONOTONIC), wall_ns, cpu_ns;

	if (strcmp(getenv("KTESTS_TIME"), "virtual"))
		KT_SKIP(ctx, "the machine shows the host's time");
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	for (volatile unsigned int i = 0; i < 10000000; i++)
		;
	cpu_ns = now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;
	wall_ns = now_ns(CLOCK_MONOTONIC) - began_ns;
	/* At least two instructions a round, of 8 ns each; nothing else runs. */
	KT_EXPECT_GE(ctx, wall_ns, UINT64_C(160) * MSEC);
	KT_EXPECT_LT(ctx, wall_ns, UINT64_C(800) * MSEC);
	KT_EXPECT_GT(ctx, cpu_ns, wall_ns / 100 * 95);
	return 0;
}

KTEST(speed_of_a_cpu, .summary = "an instruction takes 8 ns of virtual time",
      .topology = { .llcs = 1, .cores = 1, .threads = 1 }, .run = speed_run);
