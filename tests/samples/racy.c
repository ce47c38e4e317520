/* SPDX-License-Identifier: MIT */
/*
 * Races that hardly ever show themselves. tests/checks/explore.py finds each of them, and finds it
 * again with the seed that it was found with.
 */
#include <ktest.h>

#include <errno.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TRIES    20
#define TWO_CPUS .topology = { .llcs = 1, .cores = 2, .threads = 1 }

/* Shared by two processes, each on a CPU of its own. The members are cache lines apart. */
struct shared {
	_Alignas(64) volatile uint32_t arrived;
	_Alignas(64) volatile uint32_t ready;
	_Alignas(64) volatile uint32_t sleeps;
	_Alignas(64) volatile uint32_t gate;
	_Alignas(64) volatile uint32_t locks[2];
	_Alignas(64) volatile uint32_t done;
};

static long futex(volatile uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

static void pin(int cpu)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	(void)sched_setaffinity(0, sizeof(cpus), &cpus);
}

/* Lets both go on at about the same time. */
static void meet(struct shared *shared, uint32_t round)
{
	__atomic_fetch_add(&shared->arrived, 1, __ATOMIC_SEQ_CST);
	while (shared->arrived < 2 * (round + 1))
		sched_yield();
}

/* Runs both sides, and reports whether they came to their end within a second. */
static int race(struct kt_ctx *ctx, void (*left)(struct shared *shared),
		void (*right)(struct shared *shared))
{
	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	void (*const sides[])(struct shared *) = { left, right };
	pid_t pids[2];

	KT_ASSERT(ctx, shared != MAP_FAILED);
	for (int i = 0; i < 2; i++) {
		pids[i] = fork();
		KT_ASSERT_OK(ctx, pids[i]);
		if (pids[i] == 0) {
			pin(i);
			sides[i](shared);
			__atomic_fetch_add(&shared->done, 1, __ATOMIC_SEQ_CST);
			_exit(0);
		}
	}
	for (int ms = 0; shared->done < 2 && ms < 1000; ms += 10)
		KT_ASSERT_OK(ctx, kt_hold_ms(ctx, 10));
	for (int i = 0; i < 2; i++) {
		(void)kill(pids[i], SIGKILL);
		(void)waitpid(pids[i], NULL, 0);
	}
	KT_EXPECT_EQ(ctx, shared->done, 2);
	return 0;
}

/* The fault: between the look at @ready and the announcement, the waker may do both its steps. */
static void wait_for_event(struct shared *shared)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		meet(shared, i);
		if (!shared->ready) {
			shared->sleeps = 1;
			while (!shared->gate)
				(void)futex(&shared->gate, FUTEX_WAIT, 0, NULL);
		}
		shared->ready = shared->sleeps = shared->gate = 0;
	}
}

static void wake_waiter(struct shared *shared)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		meet(shared, i);
		shared->ready = 1;
		if (shared->sleeps) {
			shared->gate = 1;
			(void)futex(&shared->gate, FUTEX_WAKE, 1, NULL);
		}
		while (shared->ready)
			sched_yield();
	}
}

static int wakeup_run(struct kt_ctx *ctx)
{
	return race(ctx, wait_for_event, wake_waiter);
}

KTEST(racy_wakeup, .summary = "a wake-up is lost between two instructions", TWO_CPUS,
      .run = wakeup_run);

static void lock(volatile uint32_t *word)
{
	while (__atomic_exchange_n(word, 1, __ATOMIC_ACQUIRE))
		sched_yield();
}

static void unlock(volatile uint32_t *word)
{
	__atomic_store_n(word, 0, __ATOMIC_RELEASE);
}

static void lock_both(struct shared *shared, int first)
{
	for (uint32_t i = 0; i < TRIES; i++) {
		meet(shared, i);
		lock(&shared->locks[first]);
		lock(&shared->locks[1 - first]);
		unlock(&shared->locks[1 - first]);
		unlock(&shared->locks[first]);
	}
}

static void lock_a_then_b(struct shared *shared)
{
	lock_both(shared, 0);
}

static void lock_b_then_a(struct shared *shared)
{
	lock_both(shared, 1);
}

static int locks_run(struct kt_ctx *ctx)
{
	return race(ctx, lock_a_then_b, lock_b_then_a);
}

KTEST(racy_locks, .summary = "two locks are taken in both orders", TWO_CPUS, .run = locks_run);

/* ---- a scheduler ----------------------------------------------------------------------------- */

KT_SCHEDULER(racy, .object = "racy.bpf.o");
KT_SCHEDULER(racy_slot, .object = "racy.bpf.o", .args = KT_ARGS("use_slot=1"));

static int counter_check(struct kt_ctx *ctx)
{
	uint64_t plain = 0, atomic = 0;

	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("racy.bss", .field = "nr_plain"), &plain), 0);
	KT_ASSERT_EQ(ctx, kt_bpf_read(ctx, KT_BPF("racy.bss", .field = "nr_atomic"), &atomic), 0);
	/* Between the two reads a few tasks may have been queued: then there are more, not less. */
	KT_EXPECT_GE(ctx, atomic, plain);
	KT_EXPECT_LE(ctx, atomic - plain, 2);
	return 0;
}

KTEST(racy_counter, .summary = "a BPF variable loses updates", TWO_CPUS, .duration_ms = 100,
      .scheduler = KT_SCHEDULER_REF(racy),
      .steps = KT_STEPS({ KT_SETUP({ .name = "w", .work = KT_WORK(KT_YIELD_HEAVY, .workers = 4) }),
			  .hold = KT_HOLD_FULL }),
      .check = counter_check);

KTEST(racy_slot, .summary = "a scheduler loses a task", TWO_CPUS, .duration_ms = 1000,
      .watchdog_ms = 500, .scheduler = KT_SCHEDULER_REF(racy_slot),
      .steps = KT_STEPS({ KT_SETUP({ .name = "w",
				     .work = KT_WORK(KT_FUTEX_PING_PONG, .workers = 6) }),
			  .hold = KT_HOLD_FULL }));
