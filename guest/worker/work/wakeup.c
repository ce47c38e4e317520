/* SPDX-License-Identifier: MIT */
/*
 * Work that wakes other work.
 *
 * - PipeIo, FutexPingPong, WakeChain, AsymmetricWaker: a ring of workers that pass one token on.
 * - FutexFanOut, FanOutCompute: the first worker wakes all others, and waits until all have
 *   answered.
 * - ThunderingHerd: the first worker wakes all others and does not wait.
 * - SignalStorm: two workers send each other signals.
 *
 * Latency is the time from the wake-up call to the moment that the woken worker runs. The waker
 * writes the time to memory that the unit shares, and the woken worker reads it. A wake-up cannot
 * be lost: workers wait for a number (struct turn) to differ from the one they have seen. A worker
 * that does not have to wait records no latency.
 */
#include "guest/worker/type.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define DEFAULT_SPINS      1024u
#define PART_MAX           4095u /* workers that play one part */
#define TURN_STAMPS        16u   /* turns that a waiter may be late by */
#define CHAIN_DEPTH        4u    /* workers in the ring */
#define CHAIN_BURST_US     100u
#define CHAIN_PIPES_MAX    (KT_UNIT_FDS / 2u) /* a pipe has two descriptors */
#define FAN_OUT            4u                 /* workers that the first one wakes */
#define COMPUTE_KIB        256u               /* of three matrices together */
#define COMPUTE_KIB_MAX    (1u << 20)
#define COMPUTE_OPS        5u /* multiplications of matrices in a round */
#define COMPUTE_SLEEP_US   100u
#define MULTIPLIES_TO_TICK 16384u /* multiply-adds */
#define HERD               7u     /* workers that the first one wakes */
#define HERD_SLEEP_US      5000u
#define STORM_SIGNALS      16u /* in an iteration */

/* ---- turns ----------------------------------------------------------------------------------- */

/*
 * A number that only grows, by one at a time, and the times of its last changes. Only one worker at
 * a time may advance it. Waiters sleep until it differs from the value that they have seen.
 */
struct turn {
	_Atomic uint32_t value;                 /* futex */
	_Atomic uint64_t since_ns[TURN_STAMPS]; /* when it became value, by value % TURN_STAMPS */
} __attribute__((aligned(64)));

/* Advances the turn to @value, one more than it was. The time first: a waiter may run at once. */
static void turn_set(struct turn *turn, uint32_t value)
{
	atomic_store(&turn->since_ns[value % TURN_STAMPS], kt_now_ns());
	atomic_store(&turn->value, value);
}

/* Advances the turn and wakes at most @waiters waiters. */
static void turn_pass(struct turn *turn, uint32_t value, int waiters)
{
	turn_set(turn, value);
	kt_worker_futex_wake(&turn->value, waiters);
}

/* Records how long ago the turn became @value. */
static void turn_latency(struct kt_worker *worker, struct turn *turn, uint32_t value)
{
	uint64_t since_ns = atomic_load(&turn->since_ns[value % TURN_STAMPS]);

	kt_worker_latency(worker, kt_now_ns() - since_ns);
}

/*
 * Waits until the turn is past @seen. False when the worker is to stop. Records a latency only if
 * the turn had not passed yet: otherwise there was no wake-up.
 */
static bool turn_await(struct kt_worker *worker, struct turn *turn, uint32_t seen)
{
	bool waits = atomic_load(&turn->value) == seen;

	if (!kt_worker_futex_wait(worker, &turn->value, seen, 0))
		return false;
	if (waits)
		turn_latency(worker, turn, seen + 1);
	return true;
}

/* ---- rings: one token goes around ------------------------------------------------------------ */

static bool is_piped(const struct kt_work *work)
{
	return work->type == KT_PIPE_IO ||
	       (work->type == KT_WAKE_CHAIN && work->wake == KT_WAKE_PIPE);
}

/* Each part has a turn, which counts how often the token came to it. */
static struct turn *ring_turn(struct kt_worker *worker, unsigned int part)
{
	return (struct turn *)worker->unit->shared + part % worker->unit_size;
}

/*
 * Waits for the token. In a ring of pipes the token is a byte, and the turn only carries the time.
 * False when the worker is to stop.
 */
static bool ring_await(struct kt_worker *worker, uint32_t seen)
{
	struct turn *turn = ring_turn(worker, worker->part);
	int fd = worker->unit->fds[2 * worker->part];
	bool waits = atomic_load(&turn->value) == seen;
	char token;

	if (!is_piped(worker->work))
		return turn_await(worker, turn, seen);
	if (!kt_worker_wait_readable(worker, fd) || read(fd, &token, 1) != 1)
		return false;
	if (waits)
		turn_latency(worker, turn, seen + 1);
	return true;
}

static void ring_pass(struct kt_worker *worker, uint32_t value)
{
	unsigned int next = (worker->part + 1) % worker->unit_size;

	if (!is_piped(worker->work)) {
		turn_pass(ring_turn(worker, next), value, 1);
		return;
	}
	turn_set(ring_turn(worker, next), value);
	(void)!write(worker->unit->fds[2 * next + 1], "", 1);
}

/*
 * ring_prepare() gives the token to part 0, which makes its turn 1 before any part passes the
 * token on. The last part therefore passes one more than its own count to part 0.
 */
static void ring(struct kt_worker *worker)
{
	unsigned int burst_us = worker->work->burst_us ?: CHAIN_BURST_US;
	unsigned int spins = worker->work->spins ?: DEFAULT_SPINS;
	bool last = worker->part == worker->unit_size - 1;

	for (uint32_t seen = 0; ring_await(worker, seen); seen++) {
		if (worker->work->type == KT_WAKE_CHAIN)
			kt_worker_spin_us(worker, burst_us);
		else
			kt_worker_spin(worker, spins);
		ring_pass(worker, seen + 1 + last);
		kt_worker_done(worker);
	}
}

static unsigned int two(const struct kt_work *work)
{
	(void)work;
	return 2;
}

static unsigned int chain_depth(const struct kt_work *work)
{
	return work->depth ?: CHAIN_DEPTH;
}

static unsigned int ring_size(const struct kt_work *work)
{
	return work->type == KT_WAKE_CHAIN ? chain_depth(work) : 2;
}

static size_t ring_shared(const struct kt_work *work)
{
	return ring_size(work) * sizeof(struct turn);
}

/* In PID 1: opens the pipes and gives the token to part 0. */
static int ring_prepare(const struct kt_work *work, struct kt_unit *unit)
{
	turn_set(unit->shared, 1);
	if (!is_piped(work))
		return 0;
	for (unsigned int i = 0; i < ring_size(work); i++) {
		if (pipe2(&unit->fds[2 * i], O_CLOEXEC | O_NONBLOCK) < 0)
			return -errno;
	}
	return write(unit->fds[1], "", 1) == 1 ? 0 : -EIO;
}

static const char *chain_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	if (chain_depth(work) < 2 || work->depth > PART_MAX)
		return "a wake chain has a .depth within 2..4095";
	if ((unsigned int)work->wake > KT_WAKE_FUTEX)
		return "the kind of wake-up does not exist";
	if (is_piped(work) && work->depth > CHAIN_PIPES_MAX)
		return "a wake chain of pipes has a .depth of at most 32";
	return NULL;
}

/* Set-up has given .sched, the waker's policy, to both; part 1 replaces it. */
static void asymmetric_waker(struct kt_worker *worker)
{
	struct kt_sched sched = worker->work->sched2;

	if (!sched.policy)
		sched.policy = KT_SCHED_OTHER;
	/* Without its policy the worker ends, which fails the test. */
	if (worker->part == 1 && kt_worker_set_sched(&sched) < 0)
		_exit(1);
	ring(worker);
}

/* ---- fan-outs: the first part wakes all others ----------------------------------------------- */

struct fan_out {
	struct turn start;     /* rounds that the first worker has begun */
	struct turn answered;  /* rounds that all others have answered */
	_Atomic uint32_t left; /* workers that have not answered this round */
};

static unsigned int herd_size(const struct kt_work *work)
{
	return (work->fan_out ?: HERD) + 1;
}

static unsigned int fan_out_size(const struct kt_work *work)
{
	return (work->fan_out ?: FAN_OUT) + 1;
}

static size_t fan_out_shared(const struct kt_work *work)
{
	(void)work;
	return sizeof(struct fan_out);
}

static const char *fan_out_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	if (work->fan_out > PART_MAX)
		return ".fan_out is more than 4095";
	return work->kib > COMPUTE_KIB_MAX ? ".kib is more than 1048576" : NULL;
}

/* The first worker wakes all others and waits for all answers. False when it is to stop. */
static bool fan_out_round(struct kt_worker *worker, uint32_t round)
{
	struct fan_out *shared = worker->unit->shared;

	atomic_store(&shared->left, worker->unit_size - 1);
	turn_pass(&shared->start, round + 1, INT_MAX);
	if (!turn_await(worker, &shared->answered, round))
		return false;
	kt_worker_done(worker);
	return true;
}

/* Another worker answers. The last one to answer wakes the first worker. */
static void fan_out_answer(struct kt_worker *worker, uint32_t round)
{
	struct fan_out *shared = worker->unit->shared;

	kt_worker_done(worker);
	if (atomic_fetch_sub(&shared->left, 1) == 1)
		turn_pass(&shared->answered, round + 1, 1);
}

static void futex_fan_out(struct kt_worker *worker)
{
	struct fan_out *shared = worker->unit->shared;
	unsigned int spins = worker->work->spins ?: DEFAULT_SPINS;
	uint32_t round = 0;

	if (worker->part == 0) {
		do
			kt_worker_spin(worker, spins);
		while (fan_out_round(worker, round++));
		return;
	}
	for (; turn_await(worker, &shared->start, round); round++) {
		kt_worker_spin(worker, spins);
		fan_out_answer(worker, round);
	}
}

/* c += a * b: three matrices of @n by @n, which follow one another in @matrices. */
static void multiply(struct kt_worker *worker, uint64_t *matrices, size_t n)
{
	const uint64_t *a = matrices, *b = a + n * n;
	uint64_t *c = matrices + 2 * n * n;
	size_t since_tick = 0;

	for (size_t i = 0; i < n * n && !kt_worker_stopping(worker); i++) {
		for (size_t k = 0; k < n; k++)
			c[i] += a[i / n * n + k] * b[k * n + i % n];
		since_tick += n;
		if (since_tick < MULTIPLIES_TO_TICK)
			continue;
		kt_worker_tick(worker);
		since_tick = 0;
	}
}

/* The largest square matrices of which three fit in .kib. Their contents do not matter. */
static void compute(struct kt_worker *worker)
{
	struct fan_out *shared = worker->unit->shared;
	size_t len = (worker->work->kib ?: COMPUTE_KIB) * (size_t)1024;
	size_t n = (size_t)sqrt((double)len / (3 * sizeof(uint64_t)));
	unsigned int ops = worker->work->ops ?: COMPUTE_OPS;
	KT_FREE uint64_t *matrices = calloc(3 * n * n, sizeof(*matrices));

	if (!matrices)
		_exit(1);
	for (size_t i = 0; i < 2 * n * n; i++)
		matrices[i] = i;
	for (uint32_t round = 0; turn_await(worker, &shared->start, round); round++) {
		for (unsigned int i = 0; i < ops; i++)
			multiply(worker, matrices, n);
		fan_out_answer(worker, round);
	}
}

static void fan_out_compute(struct kt_worker *worker)
{
	uint64_t sleep_ns = (worker->work->sleep_us ?: COMPUTE_SLEEP_US) * KT_NSEC_PER_USEC;
	uint32_t round = 0;

	if (worker->part > 0) {
		compute(worker);
		return;
	}
	while (kt_worker_sleep_until(worker, kt_now_ns() + sleep_ns) &&
	       fan_out_round(worker, round))
		round++;
}

/*
 * The woken workers do not answer, so one that is late misses rounds: it continues with the newest.
 * Its latency may then be that of a later round (TURN_STAMPS).
 */
static void thundering_herd(struct kt_worker *worker)
{
	uint64_t sleep_ns = (worker->work->sleep_us ?: HERD_SLEEP_US) * KT_NSEC_PER_USEC;
	struct fan_out *shared = worker->unit->shared;
	uint32_t round = 0;

	while (worker->part == 0 && kt_worker_sleep_until(worker, kt_now_ns() + sleep_ns)) {
		turn_pass(&shared->start, ++round, INT_MAX);
		kt_worker_done(worker);
	}
	while (worker->part > 0 && turn_await(worker, &shared->start, round)) {
		kt_worker_spin(worker, worker->work->spins);
		kt_worker_done(worker);
		round = atomic_load(&shared->start.value);
	}
}

/* ---- signals --------------------------------------------------------------------------------- */

/* One for each part. */
struct storm {
	_Atomic uint32_t tid;      /* futex: 0 until the worker can take signals */
	_Atomic uint32_t tgid;     /* valid once tid is not 0 */
	_Atomic uint64_t since_ns; /* when the oldest pending signal was sent; 0: none pending */
};

/* The worker that the signal handler acts for. Per thread, because workers can be threads. */
static _Thread_local struct kt_worker *storm_worker;

/*
 * The signal handler. The body of this type records no latency outside of it, so the handler never
 * interrupts kt_worker_latency(). The kernel merges signals that are pending; their common latency
 * counts from the first.
 */
static void take_signal(int number)
{
	struct kt_worker *worker = storm_worker;
	struct storm *own = worker ? (struct storm *)worker->unit->shared + worker->part : NULL;
	uint64_t since_ns = own ? atomic_exchange(&own->since_ns, 0) : 0;

	(void)number;
	if (since_ns)
		kt_worker_latency(worker, kt_now_ns() - since_ns);
}

static void send_signal(struct storm *to)
{
	uint64_t none = 0;

	(void)atomic_compare_exchange_strong(&to->since_ns, &none, kt_now_ns());
	(void)tgkill((pid_t)atomic_load(&to->tgid), (pid_t)atomic_load(&to->tid), SIGUSR1);
}

static void signal_storm(struct kt_worker *worker)
{
	struct storm *own = (struct storm *)worker->unit->shared + worker->part;
	struct storm *partner = (struct storm *)worker->unit->shared + !worker->part;
	unsigned int spins = worker->work->spins ?: DEFAULT_SPINS;
	unsigned int ops = worker->work->ops ?: STORM_SIGNALS;
	struct sigaction action = { .sa_handler = take_signal, .sa_flags = SA_RESTART };

	storm_worker = worker;
	(void)sigaction(SIGUSR1, &action, NULL);
	atomic_store(&own->tgid, (uint32_t)getpid());
	atomic_store(&own->tid, (uint32_t)gettid());
	kt_worker_futex_wake(&own->tid, 1);
	(void)kt_worker_futex_wait(worker, &partner->tid, 0, 0);
	while (!kt_worker_stopping(worker)) {
		for (unsigned int i = 0; i < ops; i++)
			send_signal(partner);
		kt_worker_spin(worker, spins);
		kt_worker_done(worker);
	}
	storm_worker = NULL; /* the partner may still send signals */
}

static size_t storm_shared(const struct kt_work *work)
{
	(void)work;
	return 2 * sizeof(struct storm);
}

/* ---- the table ------------------------------------------------------------------------------- */

#define RING .shared_len = ring_shared, .prepare = ring_prepare
#define FANS .shared_len = fan_out_shared, .fault = fan_out_fault

const struct kt_work_ops kt_wakeup_works[KT_N_WORK_TYPES] = {
	[KT_PIPE_IO] = { .name = "PipeIo", .body = ring, .unit_size = two, RING },
	[KT_FUTEX_PING_PONG] = { .name = "FutexPingPong", .body = ring, .unit_size = two, RING },
	[KT_WAKE_CHAIN] = { .name = "WakeChain",
			    .body = ring,
			    .unit_size = chain_depth,
			    .fault = chain_fault,
			    RING },
	[KT_ASYMMETRIC_WAKER] = { .name = "AsymmetricWaker",
				  .body = asymmetric_waker,
				  .unit_size = two,
				  RING },
	[KT_FUTEX_FAN_OUT] = { .name = "FutexFanOut",
			       .body = futex_fan_out,
			       .unit_size = fan_out_size,
			       FANS },
	[KT_FAN_OUT_COMPUTE] = { .name = "FanOutCompute",
				 .body = fan_out_compute,
				 .unit_size = fan_out_size,
				 FANS },
	[KT_THUNDERING_HERD] = { .name = "ThunderingHerd",
				 .body = thundering_herd,
				 .unit_size = herd_size,
				 FANS },
	[KT_SIGNAL_STORM] = { .name = "SignalStorm",
			      .body = signal_storm,
			      .unit_size = two,
			      .shared_len = storm_shared },
};
