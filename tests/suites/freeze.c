/* SPDX-License-Identifier: MIT */
/*
 * Moments at which the machine stands still: errors of schedulers, and watches of the kernel's
 * memory. What was seen at them is checked by .post_vm, on the host.
 */
#include "tests/suites/schedulers.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/suites/look.h"
#include "util/cleanup.h"

#define TWO_CPUS .topology = { .llcs = 1, .cores = 2, .threads = 1 }
#define AWAIT_MS 20000

KT_SCHEDULER(freeze_fault, .object = FIXTURE("fault"));
KT_SCHEDULER(freeze_starves, .object = FIXTURE("fault"), .args = KT_ARGS("starve_ms=100000"));

#define MIXED(n)            KT_SETUP({ .name = "w", .work = KT_WORK(KT_MIXED, .workers = (n)) })
#define SPINNERS(n)         KT_SETUP({ .name = "w", .work = KT_WORK(KT_SPIN_WAIT, .workers = (n)) })
#define TELL(field, number) KT_WRITE_BPF_MAP("fault.bss", field, number)

/* The first hit of that reason; NULL without one. */
static const struct kt_freeze_hit *find_hit(const struct kt_ctx *ctx, const char *reason)
{
	size_t n;
	const struct kt_freeze_hit *hits = kt_freeze_hits(ctx, &n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(hits[i].reason, reason))
			return &hits[i];
	return NULL;
}

static unsigned int count_hits(const struct kt_ctx *ctx, const char *reason)
{
	unsigned int n = 0;
	size_t n_hits;
	const struct kt_freeze_hit *hits = kt_freeze_hits(ctx, &n_hits);

	for (size_t i = 0; i < n_hits; i++)
		n += !strcmp(hits[i].reason, reason);
	return n;
}

/* ---- Errors of schedulers ---- */

/* The error is claimed, then its message is complete; in the step that made it. */
static int check_error(struct kt_ctx *ctx, const char *kind, uint64_t number)
{
	const struct kt_freeze_hit *claimed = find_hit(ctx, "exit-claimed");
	const struct kt_freeze_hit *told = find_hit(ctx, "exit-told");

	KT_ASSERT(ctx, claimed && told);
	KT_EXPECT_STREQ(ctx, claimed->name, "fault");
	KT_EXPECT_STREQ(ctx, claimed->kind, kind);
	KT_EXPECT_EQ(ctx, claimed->value, number);
	KT_EXPECT_STREQ(ctx, told->kind, kind);
	KT_EXPECT_EQ(ctx, told->value, 1); /* SCX_EXIT_DONE */
	KT_EXPECT(ctx, claimed < told && claimed->time_ns <= told->time_ns);
	KT_EXPECT_EQ(ctx, count_hits(ctx, "exit-claimed"), 1);
	KT_EXPECT_EQ(ctx, count_hits(ctx, "exit-told"), 1);
	KT_EXPECT_EQ(ctx, count_hits(ctx, "exit-missed"), 0);
	return 0;
}

static int error_post(struct kt_ctx *ctx)
{
	return check_error(ctx, "SCX_EXIT_ERROR_BPF", KT_SCX_EXIT_ERROR_BPF);
}

/* A CPU that is idle has an old clock; the later one is of whoever made the capture. */
static int latest_clock(struct kt_ctx *ctx, const char *name, uint64_t *ret_clock)
{
	struct kt_view view = kt_snapshot(ctx, name);
	uint64_t clocks[2];

	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(view, "runqueues.0.clock"), &clocks[0]));
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(view, "runqueues.1.clock"), &clocks[1]));
	*ret_clock = clocks[0] > clocks[1] ? clocks[0] : clocks[1];
	return 0;
}

/* Captures on request have nothing to do with the error: they are served before and after it. */
static int requests_post(struct kt_ctx *ctx)
{
	uint64_t before, claimed, after;

	KT_ASSERT_EQ(ctx, latest_clock(ctx, "before", &before), 0);
	KT_ASSERT_EQ(ctx, latest_clock(ctx, "exit-claimed", &claimed), 0);
	KT_ASSERT_EQ(ctx, latest_clock(ctx, "after", &after), 0);
	KT_EXPECT_LT(ctx, before, claimed);
	KT_EXPECT_LT(ctx, claimed, after);
	return error_post(ctx);
}

KTEST(freeze_at_error, .summary = "the machine stands when a scheduler reports an error of its own",
      .scheduler = KT_SCHEDULER_REF(freeze_fault), TWO_CPUS, .duration_ms = 400,
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_BPF },
      .steps = KT_STEPS({ MIXED(3), .hold = KT_HOLD_MS(50) },
			{ KT_OPS(KT_CAPTURE_SNAPSHOT("before"), TELL("error", 7),
				 KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)),
			  .hold = KT_HOLD_MS(50) },
			{ KT_OPS(KT_CAPTURE_SNAPSHOT("after")) }),
      .post_vm = requests_post);

static int stall_post(struct kt_ctx *ctx)
{
	return check_error(ctx, "SCX_EXIT_ERROR_STALL", KT_SCX_EXIT_ERROR_STALL);
}

/*
 * The watchdog's own task is stalled, too. Its time is over when a tick finds that it has not
 * checked; half of the time a task has waited before that, to the tick.
 */
static int all_stall_post(struct kt_ctx *ctx)
{
	struct kt_view story = kt_view_get(kt_snapshot(ctx, "half-watchdog"), "story");
	const struct kt_freeze_hit *early = find_hit(ctx, "half-watchdog");
	uint64_t waited_ns = 0, watchdog_ns = 0;

	if (kt_vm_failed(ctx))
		return 0;
	KT_ASSERT_EQ(ctx, stall_post(ctx), 0);
	KT_ASSERT(ctx, early);
	KT_EXPECT(ctx, early < find_hit(ctx, "exit-claimed"));
	KT_EXPECT_EQ(ctx, count_hits(ctx, "half-watchdog"), 1);
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(story, "culprit.waited_ns"), &waited_ns));
	KT_ASSERT_OK(ctx, kt_as_u64(kt_view_get(story, "watchdog_ns"), &watchdog_ns));
	KT_EXPECT_GE(ctx, waited_ns, watchdog_ns / 2);
	KT_EXPECT_LE(ctx, waited_ns, watchdog_ns / 2 + 50000000);
	return 0;
}

KTEST(freeze_at_stall, .summary = "the machine stands when the watchdog finds that nobody runs",
      .scheduler = KT_SCHEDULER_REF(freeze_fault), TWO_CPUS, .duration_ms = 400,
      .watchdog_ms = 1000, .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_STALL },
      .steps = KT_STEPS({ SPINNERS(4), .hold = KT_HOLD_MS(50) },
			{ KT_OPS(TELL("stall", 1), KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS)),
			  .hold = KT_HOLD_MS(50) }),
      .post_vm = all_stall_post);

/* While the watchdog can check, it finds the starved task when half of its time is over, too. */
static int early_post(struct kt_ctx *ctx)
{
	const struct kt_freeze_hit *early = find_hit(ctx, "half-watchdog");
	char pid[32];

	if (kt_vm_failed(ctx))
		return 0;
	KT_ASSERT_EQ(ctx, stall_post(ctx), 0);
	KT_ASSERT(ctx, early);
	KT_EXPECT(ctx, early < find_hit(ctx, "exit-claimed"));
	KT_EXPECT_EQ(ctx, count_hits(ctx, "half-watchdog"), 1);
	(void)snprintf(pid, sizeof(pid), "starved: %" PRIu64 " ", early->value);
	KT_EXPECT(ctx, strstr(kt_vm_stdout(ctx), pid));
	return 0;
}

static int early_run(struct kt_ctx *ctx)
{
	const pid_t *pids;
	struct stat st;
	size_t n;

	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_ADD_CGROUP_DEF(
						"a", .work = KT_WORK(KT_SPIN_WAIT, .workers = 2))));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_ADD_CGROUP_DEF(
						"b", .work = KT_WORK(KT_SPIN_WAIT, .workers = 2))));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_CAPTURE_CGROUP_THREADS("starved", "a")));
	pids = kt_captured(ctx, "starved", &n);
	for (size_t i = 0; i < n; i++)
		(void)printf("starved: %d \n", (int)pids[i]);
	KT_ASSERT_EQ(ctx, stat(LOOK_ROOT "a", &st), 0);
	KT_ASSERT_OK(ctx, kt_apply(ctx, TELL("starve_cgroup", st.st_ino)));
	return kt_apply(ctx, KT_AWAIT_SCHEDULER_EXIT(AWAIT_MS));
}

KTEST(freeze_at_half, .summary = "a starved task is captured at half of the watchdog's time, too",
      .scheduler = KT_SCHEDULER_REF(freeze_starves), TWO_CPUS, .watchdog_ms = 1000,
      .expect_scheduler_exit = { .kind = KT_SCX_EXIT_ERROR_STALL }, .run = early_run,
      .post_vm = early_post);

/*
 * A watch does not see what the host writes. In real time, the session also looks at the schedulers
 * ten times per second, and finds an error whose write no watch has seen, once the CPU has gone on
 * to its next write: the kind in exit_info.
 */
static int missed_run(struct kt_ctx *ctx)
{
	KT_ASSERT_OK(ctx, kt_kernel_write(ctx, "scx_root->exit_kind.counter", KT_SCX_EXIT_ERROR));
	KT_ASSERT_OK(ctx, kt_kernel_write(ctx, "scx_root->exit_info->kind", KT_SCX_EXIT_ERROR));
	KT_ASSERT_OK(ctx, kt_hold_ms(ctx, 1000));
	KT_ASSERT_OK(ctx, kt_kernel_write(ctx, "scx_root->exit_info->kind", 0));
	return kt_kernel_write(ctx, "scx_root->exit_kind.counter", 0);
}

static int missed_post(struct kt_ctx *ctx)
{
	const struct kt_freeze_hit *hit = find_hit(ctx, "exit-missed");

	if (kt_vm_failed(ctx))
		return 0;
	KT_ASSERT(ctx, hit);
	KT_EXPECT_STREQ(ctx, hit->name, "fault");
	KT_EXPECT_STREQ(ctx, hit->kind, "SCX_EXIT_ERROR");
	KT_EXPECT_EQ(ctx, hit->value, KT_SCX_EXIT_ERROR);
	KT_EXPECT_EQ(ctx, count_hits(ctx, "exit-missed"), 1);
	KT_EXPECT_EQ(ctx, count_hits(ctx, "exit-claimed"), 0);
	return 0;
}

KTEST(freeze_missed, .summary = "an error whose claim was not seen is found all the same",
      .scheduler = KT_SCHEDULER_REF(freeze_fault), TWO_CPUS, .time = KT_REAL_TIME,
      .run = missed_run, .post_vm = missed_post);

/* ---- Watches ---- */

static int global_post(struct kt_ctx *ctx)
{
	const struct kt_freeze_hit *hit = find_hit(ctx, "watch");
	struct kt_watch_count count;

	KT_ASSERT(ctx, hit);
	KT_EXPECT_STREQ(ctx, hit->name, "jiffies_64");
	KT_EXPECT_LE(ctx, hit->step, 0); /* the step is told when its hold begins */
	KT_ASSERT(ctx, kt_watch_count(ctx, "jiffies_64", &count));
	KT_EXPECT_GE(ctx, count.hits, 16);
	KT_EXPECT_EQ(ctx, count.captures, 16);
	KT_EXPECT_EQ(ctx, count.left_out, count.hits - 16);
	KT_EXPECT_EQ(ctx, count_hits(ctx, "watch"), 16);
	/* Every write is a hit, so the values follow each other. */
	for (int i = 1; i < 16; i++)
		KT_EXPECT_GT(ctx, hit[i].value, hit[i - 1].value);
	KT_EXPECT(ctx, !kt_watch_count(ctx, "jiffies", &count));
	return 0;
}

KTEST(watch_global, .summary = "each write to a variable stops the machine, 16 are captured",
      TWO_CPUS, .duration_ms = 300,
      .steps = KT_STEPS({ SPINNERS(2), KT_OPS(KT_WATCH_SNAPSHOT("jiffies_64")),
			  .hold = KT_HOLD_FULL }),
      .post_vm = global_post);

/* A bound on the rate, and a watch that is ended by an operation. */
static int limit_post(struct kt_ctx *ctx)
{
	struct kt_watch_count ended, counted;
	size_t n;
	const struct kt_freeze_hit *hits = kt_freeze_hits(ctx, &n);

	KT_ASSERT(ctx, kt_watch_count(ctx, "slow", &ended));
	KT_ASSERT(ctx, kt_watch_count(ctx, "counted", &counted));
	KT_EXPECT_GE(ctx, ended.hits, 40);
	KT_EXPECT_GE(ctx, ended.captures, 2);
	KT_EXPECT_LE(ctx, ended.captures, ended.hits / 4);
	KT_EXPECT_EQ(ctx, ended.hits, ended.captures + ended.left_out);
	for (size_t i = 1; i < n; i++)
		KT_EXPECT_GE(ctx, hits[i].time_ns - hits[i - 1].time_ns, 50000000);
	KT_EXPECT_EQ(ctx, counted.captures, 0);
	KT_EXPECT_GT(ctx, counted.hits, ended.hits); /* it lives longer */
	return 0;
}

KTEST(watch_limits, .summary = "captures have a rate and a bound, and an operation ends a watch",
      TWO_CPUS, .duration_ms = 500,
      .steps = KT_STEPS({ SPINNERS(2),
			  KT_OPS(KT_WATCH("jiffies_64", .name = "slow", .interval_ms = 50),
				 KT_WATCH("jiffies_64", .name = "counted", .count_only = true)),
			  .hold = KT_HOLD_FRAC(0.5) },
			{ SPINNERS(2), KT_OPS(KT_UNWATCH("slow")), .hold = KT_HOLD_FRAC(0.5) }),
      .post_vm = limit_post);

/* A condition holds hits back without a capture; a field of one CPU, and only writes of it. */
static int condition_post(struct kt_ctx *ctx)
{
	struct kt_watch_count some, all, reads;
	size_t n;
	const struct kt_freeze_hit *hits = kt_freeze_hits(ctx, &n);

	KT_ASSERT(ctx, kt_watch_count(ctx, "some", &some));
	KT_ASSERT(ctx, kt_watch_count(ctx, "all", &all));
	KT_ASSERT(ctx, kt_watch_count(ctx, "idle", &reads));
	KT_EXPECT_GT(ctx, some.hits, 0);
	KT_EXPECT_GT(ctx, some.unmet, 0);
	KT_EXPECT_LE(ctx, some.hits + some.unmet, all.hits);
	for (size_t i = 0; i < n; i++)
		KT_EXPECT_GE(ctx, hits[i].value, 3);
	KT_EXPECT_GT(ctx, reads.hits, 0);
	return 0;
}

KTEST(watch_condition, .summary = "a condition on a field of one CPU, and reads of another",
      TWO_CPUS, .duration_ms = 300,
      .steps = KT_STEPS(
	      { KT_SETUP({ .name = "w", .work = KT_WORK(KT_FUTEX_PING_PONG, .workers = 6) }),
		/* "all" is armed first, so that it counts each hit that "some" counts. */
		KT_OPS(KT_WATCH("runqueues[cpu 0].nr_running", .name = "all", .count_only = true),
		       KT_WATCH("runqueues[cpu 0].nr_running", .name = "some", .when = KT_GE(3)),
		       KT_WATCH("runqueues[cpu 0].idle", .name = "idle", .access = true,
				.count_only = true)),
		.hold = KT_HOLD_MS(100) }),
      .post_vm = condition_post);

/* The kernel writes the array by several instructions, and zeroes the rest of it. */
static int long_post(struct kt_ctx *ctx)
{
	struct kt_watch_count count;

	KT_ASSERT(ctx, kt_watch_count(ctx, "name of the kernel", &count));
	KT_EXPECT_GE(ctx, count.hits, 2);
	KT_EXPECT_LE(ctx, count.hits, 65);
	KT_EXPECT_EQ(ctx, count.captures, KT_MIN(count.hits, 16));
	return 0;
}

static int rename_run(struct kt_ctx *ctx)
{
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_WATCH("init_uts_ns.name.nodename",
						 .name = "name of the kernel")));
	KT_ASSERT_OK(ctx, sethostname("another", 7));
	KT_ASSERT_OK(ctx, kt_apply(ctx, KT_UNWATCH("name of the kernel")));
	return sethostname("ktest", 5);
}

KTEST(watch_long, .summary = "65 bytes are watched", TWO_CPUS, .run = rename_run,
      .post_vm = long_post);
