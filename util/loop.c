/* SPDX-License-Identifier: MIT */
#include "util/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/cleanup.h"
#include "util/clock.h"

/*
 * epoll_wait(2) fetches one event per step: a callback may remove or free any source, and a batch
 * of events could then hold a pointer to it. Timers are few (a handful per machine), so a sorted
 * list is fast enough. A due timer goes before events, so that a busy descriptor cannot delay a
 * deadline.
 */
struct kt_loop {
	int epoll_fd;
	struct kt_timer *timers; /* armed ones, the earliest first; owned by their owners */
	bool stopped;
	int result; /* of kt_loop_run(), once stopped */
};

int kt_loop_new(struct kt_loop **ret_loop)
{
	struct kt_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		int r = -errno;

		free(loop);
		return r;
	}
	*ret_loop = loop;
	return 0;
}

struct kt_loop *kt_loop_free(struct kt_loop *loop)
{
	if (!loop)
		return NULL;
	(void)kt_close(loop->epoll_fd);
	free(loop);
	return NULL;
}

int kt_loop_add(struct kt_loop *loop, struct kt_source *source)
{
	struct epoll_event event = { .events = source->events, .data.ptr = source };

	return epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, source->fd, &event) < 0 ? -errno : 0;
}

int kt_loop_modify(struct kt_loop *loop, struct kt_source *source, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (source->events == events)
		return 0;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_MOD, source->fd, &event) < 0)
		return -errno;
	source->events = events;
	return 0;
}

void kt_loop_remove(struct kt_loop *loop, struct kt_source *source)
{
	if (source->fd < 0)
		return;
	(void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	source->fd = -1;
}

void kt_timer_disarm(struct kt_loop *loop, struct kt_timer *timer)
{
	struct kt_timer **at = &loop->timers;

	if (!timer->armed)
		return;
	while (*at != timer)
		at = &(*at)->next;
	*at = timer->next;
	timer->armed = false;
}

void kt_timer_arm(struct kt_loop *loop, struct kt_timer *timer, uint64_t due_ns)
{
	struct kt_timer **at = &loop->timers;

	kt_timer_disarm(loop, timer);
	if (due_ns == KT_NSEC_NEVER)
		return;
	timer->due_ns = due_ns;
	/* Timers that are due at the same time fire in the order in which they were armed. */
	while (*at && (*at)->due_ns <= due_ns)
		at = &(*at)->next;
	timer->next = *at;
	*at = timer;
	timer->armed = true;
}

/*
 * Calls the function of the first timer if that is due. The timer is disarmed before the call, so
 * that its function may arm it again or free its owner.
 */
static bool dispatch_timer(struct kt_loop *loop)
{
	struct kt_timer *timer = loop->timers;

	if (!timer || timer->due_ns > kt_now_ns())
		return false;
	kt_timer_disarm(loop, timer);
	timer->fn(timer->data);
	return true;
}

int kt_loop_step(struct kt_loop *loop, uint64_t deadline_ns)
{
	struct epoll_event event;
	struct kt_source *source;
	int n;

	for (;;) {
		uint64_t due = loop->timers ? loop->timers->due_ns : KT_NSEC_NEVER;

		if (dispatch_timer(loop))
			return 0;
		/*
		 * The wait is rounded up to milliseconds: when it ends with no event, a timer is
		 * due.
		 */
		n = epoll_wait(loop->epoll_fd, &event, 1, kt_left_ms(KT_MIN(due, deadline_ns)));
		if (n > 0)
			break;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && dispatch_timer(loop))
			return 0;
		if (n == 0 && !kt_left_ns(deadline_ns))
			return -ETIMEDOUT;
	}
	/* Nothing of the loop is touched after the call, which may have changed all of it. */
	source = event.data.ptr;
	source->fn(source->data, event.events);
	return 0;
}

int kt_loop_run(struct kt_loop *loop)
{
	loop->stopped = false;
	while (!loop->stopped) {
		int r = kt_loop_step(loop, KT_NSEC_NEVER);

		if (r < 0)
			return r;
	}
	return loop->result;
}

void kt_loop_stop(struct kt_loop *loop, int result)
{
	loop->stopped = true;
	loop->result = result;
}
