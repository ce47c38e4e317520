/* SPDX-License-Identifier: MIT */
/*
 * Producers and consumers: the first parts of a unit produce, the others consume. Each piece of work
 * carries the time at which it was produced.
 */
#include "guest/worker/type.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

#define PART_MAX          4095u /* workers that play one part */
#define QUEUE_PRODUCERS   2u
#define QUEUE_CONSUMERS   1u
#define QUEUE_DEPTH       1024u
#define QUEUE_DEPTH_MAX   (1u << 20)
#define QUEUE_RATE_HZ     1000u
#define QUEUE_RATE_HZ_MAX 1000000u
#define QUEUE_HOLD        4096u
#define STORM_PRODUCERS   1u
#define STORM_CONSUMERS   2u
#define STORM_EVENTS      32u
#define STORM_EVENTS_MAX  65536u
#define STORM_SPINS       1024u
#define STORM_SOURCES_MAX (KT_UNIT_FDS - 1u)
#define LOOK_MS           100 /* the signal that has it stop may come before a wait */

/* ---- a bounded queue ------------------------------------------------------------------------- */

/*
 * Many may push and pop at once, and whoever is preempted in the middle of it holds up nobody but who
 * needs that very slot (Vyukov, "Bounded MPMC queue"). A slot can be pushed to when its turn is the
 * position, popped from when it is one more. Who finds nothing to do waits for the count of the others'
 * doings to change from what it was before the look.
 */
struct slot {
	_Atomic uint64_t turn;
	uint64_t since_ns;
};

struct queue {
	_Atomic uint64_t head, tail;
	_Atomic uint32_t pushed; /* futex */
	_Atomic uint32_t popped; /* futex */
	uint32_t depth;
	struct slot slots[];
};

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

/* What a full queue has kept a producer from is not made up for. */
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
	/* With one slot, "pushed" and "free again" would be the same turn. */
	if (work->depth == 1 || work->depth > QUEUE_DEPTH_MAX)
		return "a queue has a .depth within 2..1048576";
	if (work->rate_hz > QUEUE_RATE_HZ_MAX)
		return ".rate_hz is more than 1000000";
	return NULL;
}

/* ---- events behind one epoll ----------------------------------------------------------------- */

/* Of each producer, with the stamps of one burst: events are consumed in the order of their tickets. */
struct source {
	_Atomic uint32_t taken; /* tickets of this burst */
	_Atomic uint32_t left;  /* events of this burst that are not consumed; the last one wakes */
	_Atomic uint32_t bursts; /* futex: consumed */
	_Atomic uint64_t consumed_ns;
	_Atomic uint64_t since_ns[]; /* of each event */
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

/* The first descriptor is the epoll, the others are the producers' eventfds. */
static int epoll_of(const struct kt_worker *worker)
{
	return worker->unit->fds[0];
}

static int event_of(const struct kt_worker *worker, unsigned int i)
{
	return worker->unit->fds[1 + i];
}

/* A burst is over when all its events are consumed. */
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

/* It is a wake-up only if there was nothing at first. False: nothing came for a while. */
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
	/* Another consumer may be faster. */
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
