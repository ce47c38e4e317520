/* SPDX-License-Identifier: MIT */
/*
 * What time and interrupts are like in a machine, forked or booted, of each monitor: the clocks of
 * all CPUs are one, each CPU has a timer, and the kernel has found nothing wrong with either.
 * tests/nested/init.sh runs these in the native machine.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/suites/look.h"

#define MSEC       UINT64_C(1000000)
#define SEC        (1000 * MSEC)
#define CPUS_MAX   8
#define ROUNDS     50
#define TWO_CPUS   .topology = { .llcs = 1, .cores = 2, .threads = 1 }
#define CLOCK_FILE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	(void)clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * SEC + (uint64_t)now.tv_nsec;
}

static int hop_to(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

/* ---- clocks ---------------------------------------------------------------------------------- */

static const struct {
	clockid_t id;
	const char *name;
} clocks[] = {
	{ CLOCK_MONOTONIC, "CLOCK_MONOTONIC" },
	{ CLOCK_MONOTONIC_RAW, "CLOCK_MONOTONIC_RAW" },
	{ CLOCK_BOOTTIME, "CLOCK_BOOTTIME" },
	{ CLOCK_REALTIME, "CLOCK_REALTIME" },
};
#define CLOCKS (sizeof(clocks) / sizeof(clocks[0]))

/* Reads each clock on @cpu; none may be behind what was read before, on whichever CPU. */
static int read_clocks(struct kt_ctx *ctx, unsigned int cpu, uint64_t last_ns[CLOCKS])
{
	KT_ASSERT_OK(ctx, hop_to(cpu));
	for (size_t i = 0; i < CLOCKS; i++) {
		uint64_t ns = now_ns(clocks[i].id);

		if (ns < last_ns[i])
			KT_FAIL(ctx, "%s goes back by %" PRIu64 " ns on CPU %u", clocks[i].name,
				last_ns[i] - ns, cpu);
		last_ns[i] = ns;
	}
	return 0;
}

static int clocks_run(struct kt_ctx *ctx)
{
	uint64_t last_ns[CLOCKS] = { 0 };

	for (unsigned int i = 0; i < ROUNDS * kt_topology_cpus(kt_topology(ctx)); i++) {
		int r = read_clocks(ctx, i % kt_topology_cpus(kt_topology(ctx)), last_ns);

		if (r < 0)
			return r;
	}
	return 0;
}

KTEST(machine_clocks, .summary = "no clock goes back when a task goes through the CPUs", TWO_CPUS,
      .run = clocks_run);

/* ---- timers ---------------------------------------------------------------------------------- */

/* The interrupts of each CPU's own timer, up to now. */
static int timer_interrupts(struct kt_ctx *ctx, unsigned long long ret_counts[CPUS_MAX])
{
	FILE *file = fopen("/proc/interrupts", "re");
	char *at = NULL, *line = NULL;
	size_t size = 0;

	KT_ASSERT(ctx, file);
	while (!at && getline(&line, &size, file) > 0)
		at = strstr(line, "LOC:");
	(void)fclose(file);
	at = at ? at + strlen("LOC:") : NULL;
	for (unsigned int i = 0; at && i < kt_topology_cpus(kt_topology(ctx)); i++)
		ret_counts[i] = strtoull(at, &at, 10);
	free(line);
	KT_ASSERT(ctx, at);
	return 0;
}

/* The timer of a sleep is the one of the CPU on which the sleep begins. */
static int sleep_on(struct kt_ctx *ctx, unsigned int cpu)
{
	const struct timespec length = { .tv_nsec = 20 * MSEC };
	uint64_t began_ns, slept_ns;

	KT_ASSERT_OK(ctx, hop_to(cpu));
	began_ns = now_ns(CLOCK_MONOTONIC);
	KT_ASSERT_EQ(ctx, clock_nanosleep(CLOCK_MONOTONIC, 0, &length, NULL), 0);
	slept_ns = now_ns(CLOCK_MONOTONIC) - began_ns;
	KT_EXPECT_GE(ctx, slept_ns, 20 * MSEC);
	KT_EXPECT_LT(ctx, slept_ns, 5 * SEC); /* a slow host is late, a timer that is lost is not */
	return 0;
}

static int timers_run(struct kt_ctx *ctx)
{
	unsigned long long before[CPUS_MAX], after[CPUS_MAX];
	int r;

	KT_ASSERT_LE(ctx, kt_topology_cpus(kt_topology(ctx)), CPUS_MAX);
	r = timer_interrupts(ctx, before);
	for (unsigned int cpu = 0; r == 0 && cpu < kt_topology_cpus(kt_topology(ctx)); cpu++)
		r = sleep_on(ctx, cpu);
	r = r ?: timer_interrupts(ctx, after);
	for (unsigned int cpu = 0; r == 0 && cpu < kt_topology_cpus(kt_topology(ctx)); cpu++)
		KT_EXPECT_GT(ctx, after[cpu], before[cpu]);
	return r;
}

KTEST(machine_timers, .summary = "a timer fires on each CPU", TWO_CPUS, .run = timers_run);

/* ---- what the kernel says -------------------------------------------------------------------- */

/* The kernel's words when it has lost trust in time, or in a CPU's or a task's progress. */
static const char *const complaints[] = {
	"Marking clocksource",  "Clocksource unstable",
	"timekeeping watchdog", "rcu: INFO: ",
	"soft lockup",          "hard LOCKUP",
	"runnable task stall",  "watchdog failed to check in",
};

/* Keeps the name behind the last "Switched to clocksource". */
static int judge_record(struct kt_ctx *ctx, const char *record, char ret_source[64])
{
	const char *at = strstr(record, "Switched to clocksource ");

	if (at)
		(void)sscanf(at, "Switched to clocksource %63s", ret_source);
	for (size_t i = 0; i < sizeof(complaints) / sizeof(complaints[0]); i++) {
		if (strstr(record, complaints[i]))
			KT_FAIL(ctx, "the kernel has logged: %s", record);
	}
	return 0;
}

/* Reads the log since the boot, so that the boot and the fork are in it, too. */
static int judge_log(struct kt_ctx *ctx, char ret_source[64])
{
	int r = 0, fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char record[8192];
	ssize_t n;

	KT_ASSERT_OK(ctx, fd);
	while (r == 0 && (n = read(fd, record, sizeof(record) - 1)) > 0) {
		record[n] = '\0';
		r = judge_record(ctx, record, ret_source);
	}
	(void)close(fd);
	return r;
}

/* The kernel compares clock sources twice a second (WATCHDOG_INTERVAL, kernel/time). */
static int log_run(struct kt_ctx *ctx)
{
	char before[LOOK_LEN], after[LOOK_LEN], logged[64] = "";
	int r;

	(void)look(before, CLOCK_FILE);
	KT_ASSERT_OK(ctx, kt_hold_ms(ctx, 1200));
	r = judge_log(ctx, logged);
	KT_EXPECT_STREQ(ctx, look(after, CLOCK_FILE), before);
	KT_EXPECT_STREQ(ctx, logged, before);
	return r;
}

KTEST(machine_time_is_trusted,
      .summary = "the clock source stays, and the kernel complains of none", TWO_CPUS,
      .run = log_run);
