/* SPDX-License-Identifier: MIT */
/*
 * Work that wakes other work. On one CPU, a waiting worker is put on it once for each wake-up. (On
 * two CPUs, the answer may arrive before the worker waits.) The parts of a unit are never more than
 * one round apart. Both are true however slow the host is.
 */
#include "tests/suites/work/witness.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define ONE_CPU  .topology = { .llcs = 1, .cores = 1 }
#define ON_CPU_0 .affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT("0"))
#define ALONE(ms, ...)                                                                             \
	.duration_ms = (ms),                                                                       \
	.steps = KT_STEPS(                                                                         \
		{ KT_SETUP({ .name = "w", .work = KT_WORK(__VA_ARGS__) }), .hold = KT_HOLD_FULL })
#define WITNESSED(ms, look, ...)                                                                   \
	.duration_ms = (ms),                                                                       \
	.steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(__VA_ARGS__) },                \
				     { .name = "witness",                                          \
				       .work = KT_WORK(KT_CUSTOM, .workers = 1, .nice = -20,       \
						       .custom = (look)) }),                       \
			    .hold = KT_HOLD_FULL })

/* ---- what it waits in ------------------------------------------------------------------------ */

/* Counts how often the worker is blocked in that system call. */
static void look_for_syscall(struct kt_custom *worker, pid_t pid, int number)
{
	char text[LOOK_LEN], *end;

	(void)look(text, "/proc/%d/syscall", (int)pid);
	if (strtol(text, &end, 10) == number && end > text)
		kt_custom_done(worker);
}

static void look_for_poll(struct kt_custom *worker, pid_t pid)
{
	look_for_syscall(worker, pid, SYS_poll);
}

static void look_for_futex(struct kt_custom *worker, pid_t pid)
{
	look_for_syscall(worker, pid, SYS_futex);
}

static void look_for_epoll(struct kt_custom *worker, pid_t pid)
{
	look_for_syscall(worker, pid, SYS_epoll_wait);
}

#define WITNESS(name, comm, look)                                                                  \
	static void name(struct kt_custom *worker)                                                 \
	{                                                                                          \
		witness(worker, comm, look);                                                       \
	}

WITNESS(witness_pipe_io, "PipeIo", look_for_poll)
WITNESS(witness_ping_pong, "FutexPingPong", look_for_futex)
WITNESS(witness_chain_pipe, "WakeChain", look_for_poll)
WITNESS(witness_chain_futex, "WakeChain", look_for_futex)
WITNESS(witness_epoll, "EpollStorm", look_for_epoll)

static int expect_seen(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "witness", &sum));
	KT_EXPECT_GT(ctx, sum.iterations, 0);
	return 0;
}

/* ---- rings ----------------------------------------------------------------------------------- */

static int expect_latencies(struct kt_ctx *ctx, const struct kt_worker_report *report)
{
	KT_EXPECT_GT(ctx, report->iterations, 20);
	KT_EXPECT_GT(ctx, report->n_latencies, 0);
	KT_EXPECT_LE(ctx, report->n_latencies, report->iterations + 1);
	KT_EXPECT_GT(ctx, report->latency_p50_ns, 0);
	KT_EXPECT_LT(ctx, report->latency_max_ns, report->wall_ns);
	KT_EXPECT(ctx, !report->killed);
	return 0;
}

/*
 * How many of @n waits have put the worker to sleep, at least. What a worker waits for may come
 * between its look and its sleep: such a wait has a latency and no switch. With some seeds, one in
 * a hundred is like that.
 */
#define SLEEPS(n) ((n) * 9 / 10)

/*
 * The worker was put on its CPU, which it shares with the others, for each iteration. It has not
 * waited each time: a worker that is preempted by the one that it wakes may have its turn again by
 * the time it runs.
 */
static int expect_switches(struct kt_ctx *ctx, const struct kt_worker_report *report)
{
	KT_EXPECT_GE(ctx, report->switches + 2, report->iterations * 9 / 10);
	return 0;
}

static int expect_woken(struct kt_ctx *ctx, const struct kt_worker_report *report)
{
	return expect_latencies(ctx, report) ?: expect_switches(ctx, report);
}

/* One token: the part before is at most one pass ahead. */
static int expect_ring(struct kt_ctx *ctx, const char *cgroup, unsigned int size)
{
	const struct kt_worker_report *before = NULL;
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, cgroup, &sum));
	KT_EXPECT_EQ(ctx, sum.index, size);
	/* The worker waited for its turn, except where it was the one that was preempted. */
	KT_EXPECT_GT(ctx, sum.n_latencies, sum.iterations / 3);
	for (unsigned int i = 0; i < size; i++) {
		const struct kt_worker_report *report = look_report(ctx, cgroup, i);

		KT_ASSERT(ctx, report);
		KT_ASSERT_OK(ctx, expect_latencies(ctx, report));
		if (before)
			KT_EXPECT(ctx, before->iterations - report->iterations <= 1);
		before = report;
	}
	return 0;
}

static int expect_ring_woken(struct kt_ctx *ctx, unsigned int size)
{
	KT_ASSERT_OK(ctx, expect_ring(ctx, "w", size));
	for (unsigned int i = 0; i < size; i++)
		KT_ASSERT_OK(ctx, expect_switches(ctx, look_report(ctx, "w", i)));
	return 0;
}

static int ping_pong_check(struct kt_ctx *ctx)
{
	return expect_ring_woken(ctx, 2) ?: expect_seen(ctx);
}

KTEST(work_pipe_io, .summary = "PipeIo passes a byte to and fro",
      WITNESSED(300, witness_pipe_io, KT_PIPE_IO, ON_CPU_0), .check = ping_pong_check);

KTEST(work_futex_ping_pong, .summary = "FutexPingPong passes a turn to and fro",
      WITNESSED(300, witness_ping_pong, KT_FUTEX_PING_PONG, ON_CPU_0), .check = ping_pong_check);

/* Two pairs, each with a token of its own. */
static int threads_check(struct kt_ctx *ctx)
{
	for (unsigned int i = 0; i < 4; i += 2) {
		const struct kt_worker_report *one = look_report(ctx, "w", i);
		const struct kt_worker_report *other = look_report(ctx, "w", i + 1);

		KT_ASSERT(ctx, one && other);
		KT_ASSERT_OK(ctx, expect_woken(ctx, one));
		KT_ASSERT_OK(ctx, expect_woken(ctx, other));
		KT_EXPECT(ctx, one->iterations - other->iterations <= 1);
	}
	return 0;
}

KTEST(work_pipe_threads, .summary = "the ends of a pipe can be threads of one process", ONE_CPU,
      ALONE(300, KT_PIPE_IO, .workers = 4, .threads = true), .check = threads_check);

/*
 * Only the worker with the token runs: the hops of all workers, 1 ms each, come one after the
 * other.
 */
static int chain_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT_OK(ctx, expect_ring_woken(ctx, 4));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_LE(ctx, (sum.iterations - 1) * 1000000, sum.wall_ns / 4);
	KT_EXPECT_GT(ctx, sum.cpu_ns, sum.iterations * 500000);
	return expect_seen(ctx);
}

KTEST(work_wake_chain_pipe, .summary = "WakeChain has one token, in pipes",
      WITNESSED(500, witness_chain_pipe, KT_WAKE_CHAIN, .burst_us = 1000, ON_CPU_0),
      .check = chain_check);

KTEST(work_wake_chain_futex, .summary = "WakeChain has one token, in futexes",
      WITNESSED(500, witness_chain_futex, KT_WAKE_CHAIN, .burst_us = 1000, .wake = KT_WAKE_FUTEX,
		ON_CPU_0),
      .check = chain_check);

/* Eight tokens. No hop is shorter than the default. */
static int chains_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 24);
	KT_EXPECT_LE(ctx, (sum.iterations / 8 - 1) * 100000, sum.wall_ns / sum.index);
	for (unsigned int i = 0; i < 24; i++) {
		const struct kt_worker_report *report = look_report(ctx, "w", i);

		KT_ASSERT(ctx, report);
		KT_EXPECT_GT(ctx, report->iterations, 2);
		KT_EXPECT_GE(ctx, report->switches + 2, report->iterations / 2);
		if (i % 3)
			KT_EXPECT(ctx,
				  look_report(ctx, "w", i - 1)->iterations - report->iterations <=
					  1);
	}
	return 0;
}

KTEST(work_wake_chains, .summary = "chains of one group go round by themselves",
      ALONE(400, KT_WAKE_CHAIN, .depth = 3, .workers = 24), .check = chains_check);

/*
 * A waker with the right policy counts an iteration, a wakee a latency of 1 ns. Both have the
 * group's nice value.
 */
static void look_at_policy(struct kt_custom *worker, pid_t pid)
{
	if (getpriority(PRIO_PROCESS, (id_t)pid) != 5)
		return;
	if (sched_getscheduler(pid) == SCHED_RR)
		kt_custom_done(worker);
	if (sched_getscheduler(pid) == SCHED_BATCH)
		kt_custom_latency(worker, 1);
}

WITNESS(witness_policies, "AsymmetricWaker", look_at_policy)

static int asymmetric_check(struct kt_ctx *ctx)
{
	struct kt_worker_report seen;

	KT_ASSERT_OK(ctx, expect_ring(ctx, "w", 2));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "witness", &seen));
	KT_EXPECT_GT(ctx, seen.iterations, 0);
	KT_EXPECT_GT(ctx, seen.n_latencies, 0);
	return 0;
}

KTEST(work_asymmetric_waker, .summary = "AsymmetricWaker's two are of different classes",
      WITNESSED(300, witness_policies, KT_ASYMMETRIC_WAKER, .nice = 5,
		.sched = { .policy = KT_SCHED_RR, .priority = 5 },
		.sched2 = { .policy = KT_SCHED_BATCH }),
      .check = asymmetric_check);

/* ---- fan-outs -------------------------------------------------------------------------------- */

/* Each round wakes all others, and no round begins before all have answered. */
static int fan_out_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *waker = look_report(ctx, "w", 0);

	KT_ASSERT(ctx, waker);
	KT_ASSERT_OK(ctx, expect_woken(ctx, waker));
	for (unsigned int i = 1; i <= 4; i++) {
		const struct kt_worker_report *woken = look_report(ctx, "w", i);

		KT_ASSERT(ctx, woken);
		KT_ASSERT_OK(ctx, expect_woken(ctx, woken));
		KT_EXPECT(ctx, woken->iterations - waker->iterations <= 1);
	}
	KT_EXPECT(ctx, !look_report(ctx, "w", 5));
	return 0;
}

KTEST(work_futex_fan_out, .summary = "FutexFanOut wakes four in each round", ONE_CPU,
      ALONE(400, KT_FUTEX_FAN_OUT), .check = fan_out_check);

static int compute_check(struct kt_ctx *ctx)
{
	struct kt_worker_report little, much;

	KT_ASSERT_OK(ctx, fan_out_check(ctx));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &little));
	KT_ASSERT(ctx, kt_sum_reports(ctx, "much", &much));
	KT_EXPECT_EQ(ctx, much.index, 3);
	KT_EXPECT_GT(ctx, much.iterations, 3);
	/*
	 * Two workers multiply, 60 times as often and 4 times as large as the 4 workers of the
	 * other group.
	 */
	KT_EXPECT_GT(ctx, much.cpu_ns / much.iterations, 8 * (little.cpu_ns / little.iterations));
	return 0;
}

KTEST(work_fan_out_compute, .summary = "FanOutCompute multiplies matrices in each round",
      .duration_ms = 1500,
      .steps = KT_STEPS(
	      { KT_SETUP({ .name = "w",
			   .work = KT_WORK(KT_FAN_OUT_COMPUTE, .kib = 8, .ops = 1,
					   .affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT("0"))) },
			 { .name = "much",
			   .work = KT_WORK(KT_FAN_OUT_COMPUTE, .kib = 32, .ops = 60, .fan_out = 2,
					   .affinity = KT_EXACT_CPUS(KT_CPUSET_EXACT("1"))) }),
		.hold = KT_HOLD_FULL }),
      .check = compute_check);

/* Each round wakes all seven, whether or not they could run in the one before. */
static int herd_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *waker = look_report(ctx, "w", 0);

	KT_ASSERT(ctx, waker);
	KT_EXPECT_GT(ctx, waker->iterations, 20);
	KT_EXPECT_LE(ctx, waker->iterations * 5000000, waker->wall_ns);
	KT_EXPECT_EQ(ctx, waker->n_latencies, 0);
	for (unsigned int i = 1; i <= 7; i++) {
		const struct kt_worker_report *woken = look_report(ctx, "w", i);

		KT_ASSERT(ctx, woken);
		KT_EXPECT_GE(ctx, woken->iterations, waker->iterations / 2);
		KT_EXPECT_LE(ctx, woken->iterations, waker->iterations);
		KT_EXPECT_GE(ctx, woken->switches + 1, SLEEPS(woken->n_latencies));
		KT_EXPECT_GE(ctx, woken->n_latencies, woken->iterations / 2);
		KT_EXPECT_LT(ctx, woken->cpu_ns, woken->wall_ns / 4);
	}
	KT_EXPECT(ctx, !look_report(ctx, "w", 8));
	return 0;
}

KTEST(work_thundering_herd, .summary = "ThunderingHerd wakes seven at once every 5 ms", ONE_CPU,
      ALONE(500, KT_THUNDERING_HERD), .check = herd_check);

/* ---- producers and consumers ----------------------------------------------------------------- */

/* A fast consumer sleeps between the pieces of work, and takes each of them. */
static int fast_consumer_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *a = look_report(ctx, "w", 0), *b = look_report(ctx, "w", 1);
	const struct kt_worker_report *consumer = look_report(ctx, "w", 2);

	KT_ASSERT(ctx, a && b && consumer);
	KT_EXPECT_GT(ctx, a->iterations, 5);
	KT_EXPECT_GT(ctx, b->iterations, 5);
	KT_EXPECT_LE(ctx, a->iterations * 5000000, a->wall_ns);
	KT_EXPECT_LE(ctx, b->iterations * 5000000, b->wall_ns);
	KT_EXPECT_LE(ctx, consumer->iterations, a->iterations + b->iterations + 2);
	/*
	 * Pieces that arrived while it waited for a CPU are still in the queue when all are
	 * stopped.
	 */
	KT_EXPECT_GE(ctx, consumer->iterations * 10, (a->iterations + b->iterations) * 9);
	/*
	 * A consumer that did not sleep would have all of the CPU. How often it sleeps depends on
	 * the host: producers that were delayed catch up, and the consumer takes what they push at
	 * once without a sleep.
	 */
	KT_EXPECT_GT(ctx, consumer->switches, 5);
	KT_EXPECT_LT(ctx, consumer->cpu_ns, consumer->wall_ns / 2);
	KT_EXPECT_LE(ctx, consumer->iterations, consumer->n_latencies);
	KT_EXPECT_GT(ctx, consumer->latency_p50_ns, 0);
	KT_EXPECT(ctx, !look_report(ctx, "w", 3));
	return 0;
}

KTEST(work_producer_consumer, .summary = "ProducerConsumer hands over what is produced",
      ALONE(400, KT_PRODUCER_CONSUMER, .rate_hz = 200, .hold = 1), .check = fast_consumer_check);

/* A slow consumer has a full queue before it: each piece is as late as the queue is long. */
static int slow_consumer_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *a = look_report(ctx, "w", 0), *b = look_report(ctx, "w", 1);
	const struct kt_worker_report *consumer = look_report(ctx, "w", 2);
	uint64_t produced;

	KT_ASSERT(ctx, a && b && consumer);
	produced = a->iterations + b->iterations;
	KT_ASSERT_GT(ctx, consumer->iterations, 10);
	KT_EXPECT_GE(ctx, produced + 2, consumer->iterations);
	KT_EXPECT_LE(ctx, produced, consumer->iterations + 4 + 1);
	KT_EXPECT_GT(ctx, consumer->latency_p50_ns, 2 * consumer->cpu_ns / consumer->iterations);
	KT_EXPECT_GT(ctx, consumer->cpu_ns, consumer->wall_ns / 2);
	KT_EXPECT_LT(ctx, a->cpu_ns + b->cpu_ns, consumer->cpu_ns);
	return 0;
}

KTEST(work_slow_consumer, .summary = "a slow consumer holds its producers up",
      ALONE(500, KT_PRODUCER_CONSUMER, .hold = 16384, .depth = 4), .check = slow_consumer_check);

/* A burst of 32 events is consumed by both consumers before the next one comes. */
static int epoll_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *producer = look_report(ctx, "w", 0);
	const struct kt_worker_report *a = look_report(ctx, "w", 1), *b = look_report(ctx, "w", 2);
	uint64_t consumed;

	KT_ASSERT(ctx, producer && a && b);
	KT_EXPECT_GT(ctx, producer->iterations, 2);
	KT_EXPECT_GE(ctx, producer->switches, SLEEPS(producer->n_latencies));
	consumed = a->iterations + b->iterations;
	KT_EXPECT_GE(ctx, consumed, producer->iterations * 32);
	KT_EXPECT_LE(ctx, consumed, (producer->iterations + 1) * 32);
	KT_EXPECT_GT(ctx, a->iterations, 10);
	KT_EXPECT_GT(ctx, b->iterations, 10);
	KT_EXPECT_GT(ctx, a->n_latencies + b->n_latencies, 0);
	KT_EXPECT_GE(ctx, a->switches + b->switches, SLEEPS(a->n_latencies + b->n_latencies));
	KT_EXPECT(ctx, !look_report(ctx, "w", 3));
	return 0;
}

KTEST(work_epoll_storm, .summary = "EpollStorm's consumers share the events of its producer",
      ALONE(400, KT_EPOLL_STORM), .check = epoll_check);

/* There are more consumers than events, so that some always wait. */
static int epoll_waits_check(struct kt_ctx *ctx)
{
	struct kt_worker_report sum;

	KT_ASSERT(ctx, kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 8);
	KT_EXPECT_GT(ctx, sum.n_latencies, 10);
	KT_EXPECT_GE(ctx, sum.switches, SLEEPS(sum.n_latencies));
	return expect_seen(ctx);
}

KTEST(work_epoll_waits, .summary = "EpollStorm's consumers wait for events of several producers",
      WITNESSED(400, witness_epoll, KT_EPOLL_STORM, .producers = 2, .consumers = 6, .ops = 2),
      .check = epoll_waits_check);

/* ---- signals --------------------------------------------------------------------------------- */

/*
 * On one CPU, each worker takes at once all signals that the other one sent while it ran. Almost
 * all that is done is the kernel's work of sending.
 */
static int signal_check(struct kt_ctx *ctx)
{
	const struct kt_cgroup_usage *usage = kt_step_usage(ctx, 0, "w");
	struct kt_worker_report sum;

	KT_ASSERT(ctx, usage && kt_sum_reports(ctx, "w", &sum));
	KT_EXPECT_EQ(ctx, sum.index, 2);
	KT_EXPECT_GT(ctx, usage->system_us, usage->usage_us / 2);
	KT_EXPECT_GT(ctx, sum.cpu_ns + sum.run_delay_ns, sum.wall_ns / 4 * 3);
	KT_EXPECT_GT(ctx, sum.iterations, 100);
	KT_EXPECT_GT(ctx, sum.n_latencies, sum.switches / 3);
	KT_EXPECT_LE(ctx, SLEEPS(sum.n_latencies), sum.switches + 2);
	return 0;
}

KTEST(work_signal_storm, .summary = "SignalStorm's two send each other signals", ONE_CPU,
      ALONE(400, KT_SIGNAL_STORM, .spins = 1), .check = signal_check);

/* On two CPUs, a signal interrupts the worker: it is taken while its sender runs. */
static int signal_threads_check(struct kt_ctx *ctx)
{
	const struct kt_worker_report *a = look_report(ctx, "w", 0), *b = look_report(ctx, "w", 1);

	KT_ASSERT(ctx, a && b);
	KT_EXPECT_GT(ctx, a->n_latencies, 10);
	KT_EXPECT_GT(ctx, b->n_latencies, 10);
	KT_EXPECT_LE(ctx, a->n_latencies, (b->iterations + 1) * 16);
	KT_EXPECT_LE(ctx, b->n_latencies, (a->iterations + 1) * 16);
	KT_EXPECT_GT(ctx, a->n_latencies + b->n_latencies, 2 * (a->switches + b->switches));
	return 0;
}

KTEST(work_signal_threads, .summary = "SignalStorm's two interrupt each other, as threads",
      .duration_ms = 400,
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .work = KT_WORK(KT_SIGNAL_STORM, .threads = true,
						     .affinity = KT_SINGLE_CPU) }),
			  .hold = KT_HOLD_FULL }),
      .check = signal_threads_check);
