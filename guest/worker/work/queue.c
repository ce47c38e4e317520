/* SPDX-License-Identifier: MIT */
/*
 * Producers and consumers: in each unit the first parts produce and the others consume.
 *
 * - ProducerConsumer: producers push to a bounded queue at a fixed rate; consumers pop and spin. A
 *   consumer's latency is the time that a piece was in the queue.
 * - EpollStorm: producers raise bursts of eventfd events; consumers wait behind one epoll. A
 *   consumer's latency is the time from the event to its wake-up; a producer's is the time from the
 *   end of its burst to its own wake-up.
 *
 * Every piece of work carries the time at which it was produced, in memory that the unit shares.
 * CPUs of one machine have one CLOCK_MONOTONIC, so the consumer can subtract. The queue has
 * no lock, because a worker that is preempted while it holds a lock would stop all others and hide
 * what the scheduler does.
 */
#include "guest/worker/type.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define PART_MAX          4095u /* producers of a unit, or consumers */
#define QUEUE_PRODUCERS   2u
#define QUEUE_CONSUMERS   1u
#define QUEUE_DEPTH       1024u /* slots */
#define QUEUE_DEPTH_MAX   (1u << 20)
#define QUEUE_RATE_HZ     1000u /* of each producer */
#define QUEUE_RATE_HZ_MAX 1000000u
#define QUEUE_HOLD        4096u /* PAUSE instructions for each piece */
#define STORM_PRODUCERS   1u
#define STORM_CONSUMERS   2u
#define STORM_EVENTS      32u /* in a burst */
#define STORM_EVENTS_MAX  65536u
#define STORM_SPINS       1024u              /* PAUSE instructions for each event */
#define STORM_SOURCES_MAX (KT_UNIT_FDS - 1u) /* one descriptor is the epoll */
#define LOOK_MS           100 /* from one look at the stop flag to the next; see type.c */

/* ---- a bounded queue ------------------------------------------------------------------------- */

/*
 * A bounded queue for many producers and consumers (Vyukov, "Bounded MPMC queue"). A worker that is
 * preempted in the middle of a push or pop delays only the worker that needs the same slot.
 *
 * Positions grow for ever; a position uses the slot position % depth. The slot's turn says what may
 * be done to it: turn == position allows the push at that position, turn == position + 1 allows the
 * pop, which then sets the turn to position + depth for the next round.
 *
 * A consumer that finds the queue empty waits until @pushed differs from the value that it read
 * before it looked, so it cannot miss a push. A producer waits on @popped in the same way.
 */
struct slot {
	_Atomic uint64_t turn;
	uint64_t since_ns; /* when the piece was pushed */
};

struct queue {
	_Atomic uint64_t head, tail; /* the next position to pop, to push */
	_Atomic uint32_t pushed;     /* futex: number of pushes, wrapping */
	_Atomic uint32_t popped;     /* futex: number of pops, wrapping */
	uint32_t depth;              /* slots */
	struct slot slots[];
};

/* False when the queue is full. */
static bool queue_push(struct queue *queue)
{
	uint64_t at = atomic_load(&queue->tail);

	for (;;) {
		struct slot *slot = &queue->slots[at % queue->depth];
		uint64_t turn = atomic_load(&slot->turn);

		if (turn < at)
			return false;
		if (turn > at) {
			at = atomic_load(&queue->tail);
		} else if (atomic_compare_exchange_weak(&queue->tail, &at, at + 1)) {
			slot->since_ns = kt_now_ns();
			atomic_store(&slot->turn, at + 1);
			(void)atomic_fetch_add(&queue->pushed, 1);
			kt_worker_futex_wake(&queue->pushed, 1);
			return true;
		}
	}
}

/* False when the queue is empty. */
static bool queue_pop(struct queue *queue, uint64_t *ret_since_ns)
{
	uint64_t at = atomic_load(&queue->head);

	for (;;) {
		struct slot *slot = &queue->slots[at % queue->depth];
		uint64_t turn = atomic_load(&slot->turn);

		if (turn < at + 1)
			return false;
		if (turn > at + 1) {
			at = atomic_load(&queue->head);
		} else if (atomic_compare_exchange_weak(&queue->head, &at, at + 1)) {
			*ret_since_ns = slot->since_ns;
			atomic_store(&slot->turn, at + queue->depth);
			(void)atomic_fetch_add(&queue->popped, 1);
			kt_worker_futex_wake(&queue->popped, 1);
			return true;
		}
	}
}

/* A producer that a full queue has delayed does not catch up: its rate starts again from there. */
static void produce(struct kt_worker *worker, struct queue *queue)
{
	uint64_t period_ns = KT_NSEC_PER_SEC / (worker->work->rate_hz ?: QUEUE_RATE_HZ);
	uint64_t next_ns = kt_now_ns() + period_ns;

	while (kt_worker_sleep_until(worker, next_ns)) {
		uint32_t popped = atomic_load(&queue->popped);

		while (!queue_push(queue)) {
			if (!kt_worker_futex_wait(worker, &queue->popped, popped, 0))
				return;
			popped = atomic_load(&queue->popped);
			next_ns = kt_now_ns();
		}
		kt_worker_done(worker);
		next_ns += period_ns;
	}
}

static void consume(struct kt_worker *worker, struct queue *queue)
{
	unsigned int hold = worker->work->hold ?: QUEUE_HOLD;
	uint64_t since_ns;

	while (!kt_worker_stopping(worker)) {
		uint32_t pushed = atomic_load(&queue->pushed);

		if (!queue_pop(queue, &since_ns)) {
			(void)kt_worker_futex_wait(worker, &queue->pushed, pushed, 0);
			continue;
		}
		kt_worker_latency(worker, kt_now_ns() - since_ns);
		kt_worker_spin(worker, hold);
		kt_worker_done(worker);
	}
}

static unsigned int queue_producers(const struct kt_work *work)
{
	return work->producers ?: QUEUE_PRODUCERS;
}

static void producer_consumer(struct kt_worker *worker)
{
	if (worker->part < queue_producers(worker->work))
		produce(worker, worker->unit->shared);
	else
		consume(worker, worker->unit->shared);
}

static unsigned int queue_size(const struct kt_work *work)
{
	return queue_producers(work) + (work->consumers ?: QUEUE_CONSUMERS);
}

static size_t queue_shared(const struct kt_work *work)
{
	return sizeof(struct queue) + (work->depth ?: QUEUE_DEPTH) * sizeof(struct slot);
}

static int queue_prepare(const struct kt_work *work, struct kt_unit *unit)
{
	struct queue *queue = unit->shared;

	queue->depth = work->depth ?: QUEUE_DEPTH;
	for (uint32_t i = 0; i < queue->depth; i++)
		atomic_init(&queue->slots[i].turn, i);
	return 0;
}

static const char *queue_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	if (work->producers > PART_MAX || work->consumers > PART_MAX)
		return "it has more than 4095 producers or consumers";
	/* With one slot, the turns for "pushed" and "free to push" would be equal. */
	if (work->depth == 1 || work->depth > QUEUE_DEPTH_MAX)
		return "a queue has a .depth within 2..1048576";
	if (work->rate_hz > QUEUE_RATE_HZ_MAX)
		return ".rate_hz is more than 1000000";
	return NULL;
}

/* ---- events behind one epoll ----------------------------------------------------------------- */

/*
 * The state of one producer and its current burst. A consumer takes a ticket for each event that it
 * reads; the n-th ticket belongs to the n-th event raised, whichever consumer takes it.
 */
struct source {
	_Atomic uint32_t taken;       /* tickets taken in this burst */
	_Atomic uint32_t left;        /* events of this burst that are not consumed yet */
	_Atomic uint32_t bursts;      /* futex: bursts that are consumed; the last consumer wakes */
	_Atomic uint64_t consumed_ns; /* when the last event of the burst was consumed */
	_Atomic uint64_t since_ns[];  /* when each event of the burst was raised */
};

static unsigned int storm_producers(const struct kt_work *work)
{
	return work->producers ?: STORM_PRODUCERS;
}

static unsigned int storm_events(const struct kt_work *work)
{
	return work->ops ?: STORM_EVENTS;
}

static size_t source_len(const struct kt_work *work)
{
	return sizeof(struct source) + storm_events(work) * sizeof(uint64_t);
}

static struct source *source_of(struct kt_worker *worker, unsigned int i)
{
	return (struct source *)((char *)worker->unit->shared + i * source_len(worker->work));
}

/* fds[0] of the unit is the epoll, fds[1 + i] the eventfd of producer i. */
static int epoll_of(const struct kt_worker *worker)
{
	return worker->unit->fds[0];
}

static int event_of(const struct kt_worker *worker, unsigned int i)
{
	return worker->unit->fds[1 + i];
}

/* The producer. The next burst begins when all events of the last one are consumed. */
static void raise_events(struct kt_worker *worker)
{
	struct source *source = source_of(worker, worker->part);
	uint32_t n = storm_events(worker->work);

	for (uint32_t burst = 0; !kt_worker_stopping(worker); burst++) {
		atomic_store(&source->taken, 0);
		atomic_store(&source->left, n);
		for (uint32_t i = 0; i < n; i++) {
			atomic_store(&source->since_ns[i], kt_now_ns());
			(void)eventfd_write(event_of(worker, worker->part), 1);
		}
		if (!kt_worker_futex_wait(worker, &source->bursts, burst, 0))
			return;
		kt_worker_latency(worker, kt_now_ns() - atomic_load(&source->consumed_ns));
		kt_worker_done(worker);
	}
}

/* @waited: the consumer slept, so there is a latency. The burst's last event wakes the producer. */
static void consume_event(struct kt_worker *worker, unsigned int producer, bool waited)
{
	struct source *source = source_of(worker, producer);
	uint32_t ticket = atomic_fetch_add(&source->taken, 1);
	uint64_t since_ns = atomic_load(&source->since_ns[ticket]);

	if (waited)
		kt_worker_latency(worker, kt_now_ns() - since_ns);
	kt_worker_spin(worker, worker->work->spins ?: STORM_SPINS);
	kt_worker_done(worker);
	if (atomic_fetch_sub(&source->left, 1) > 1)
		return;
	atomic_store(&source->consumed_ns, kt_now_ns());
	(void)atomic_fetch_add(&source->bursts, 1);
	kt_worker_futex_wake(&source->bursts, 1);
}

/*
 * Waits for an event for at most LOOK_MS. False when none came. *@ret_waited says whether the
 * worker had to wait: only then is the event a wake-up.
 */
static bool await_event(struct kt_worker *worker, struct epoll_event *event, bool *ret_waited)
{
	int n = epoll_wait(epoll_of(worker), event, 1, 0);

	*ret_waited = n == 0;
	if (n == 0) {
		kt_worker_block(worker);
		n = epoll_wait(epoll_of(worker), event, 1, LOOK_MS);
		kt_worker_unblock(worker);
	}
	return n == 1;
}

static void epoll_storm(struct kt_worker *worker)
{
	struct epoll_event event;
	eventfd_t one;
	bool waited;

	if (worker->part < storm_producers(worker->work)) {
		raise_events(worker);
		return;
	}
	/* Several consumers may see one event. One of them reads it; the others get EAGAIN. */
	while (!kt_worker_stopping(worker)) {
		if (await_event(worker, &event, &waited) &&
		    eventfd_read(event_of(worker, event.data.u32), &one) == 0)
			consume_event(worker, event.data.u32, waited);
	}
}

static unsigned int storm_size(const struct kt_work *work)
{
	return storm_producers(work) + (work->consumers ?: STORM_CONSUMERS);
}

static size_t storm_shared(const struct kt_work *work)
{
	return storm_producers(work) * source_len(work);
}

/* EFD_SEMAPHORE: each read takes one event, so a burst feeds several consumers. */
static int storm_prepare(const struct kt_work *work, struct kt_unit *unit)
{
	unit->fds[0] = epoll_create1(EPOLL_CLOEXEC);
	if (unit->fds[0] < 0)
		return -errno;
	for (unsigned int i = 0; i < storm_producers(work); i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u32 = i };
		int fd = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);

		unit->fds[1 + i] = fd;
		if (fd < 0 || epoll_ctl(unit->fds[0], EPOLL_CTL_ADD, fd, &event) < 0)
			return -errno;
	}
	return 0;
}

static const char *storm_fault(const struct kt_work *work, const struct kt_topology *topology)
{
	(void)topology;
	if (work->producers > STORM_SOURCES_MAX)
		return "an epoll storm has at most 63 producers";
	if (work->consumers > PART_MAX)
		return "it has more than 4095 consumers";
	if (work->ops > STORM_EVENTS_MAX)
		return ".ops is more than 65536 events";
	return NULL;
}

const struct kt_work_ops kt_queue_works[KT_N_WORK_TYPES] = {
	[KT_PRODUCER_CONSUMER] = { .name = "ProducerConsumer",
				   .body = producer_consumer,
				   .unit_size = queue_size,
				   .shared_len = queue_shared,
				   .prepare = queue_prepare,
				   .fault = queue_fault },
	[KT_EPOLL_STORM] = { .name = "EpollStorm",
			     .body = epoll_storm,
			     .unit_size = storm_size,
			     .shared_len = storm_shared,
			     .prepare = storm_prepare,
			     .fault = storm_fault },
};
