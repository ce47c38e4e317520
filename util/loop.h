/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * A single-threaded event loop over epoll. Sources (watched descriptors) and timers are embedded in
 * the structs of their owners; the loop only links to them and never allocates for them.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct kt_loop;

typedef void (*kt_source_fn)(void *data, uint32_t events);
typedef void (*kt_timer_fn)(void *data);

/* A watched descriptor; closing it is up to the owner. */
struct kt_source {
	int fd;          /* -1: not registered */
	uint32_t events; /* EPOLLIN, EPOLLOUT, ...; 0 leaves EPOLLHUP and EPOLLERR */
	kt_source_fn fn; /* called with @data and the events that occurred */
	void *data;
};

#define KT_SOURCE_NULL ((struct kt_source){ .fd = -1 })

/* A one-shot deadline. A timer that is all zeros is disarmed. */
struct kt_timer {
	uint64_t due_ns; /* on CLOCK_MONOTONIC; valid while @armed */
	kt_timer_fn fn;  /* called with @data; the timer is disarmed before */
	void *data;
	struct kt_timer *next; /* in the loop's list, ordered by due_ns */
	bool armed;
};

/* Returns 0, -ENOMEM or an errno of epoll_create1(2). */
int kt_loop_new(struct kt_loop **ret_loop);

/* Frees the loop, but neither sources nor timers. Returns NULL, to be stored by the caller. */
struct kt_loop *kt_loop_free(struct kt_loop *loop);

/*
 * Registers @source, whose fields the caller has set. It must stay where it is until
 * kt_loop_remove(). Returns 0 or an errno of epoll_ctl(2).
 */
int kt_loop_add(struct kt_loop *loop, struct kt_source *source);

/* Changes the events of a registered source. Returns 0 or an errno of epoll_ctl(2). */
int kt_loop_modify(struct kt_loop *loop, struct kt_source *source, uint32_t events);

/*
 * Unregisters @source and sets its fd to -1; does nothing when it is not registered. Allowed inside
 * any callback, including the source's own.
 */
void kt_loop_remove(struct kt_loop *loop, struct kt_source *source);

/* Arms @timer, whose fn and data are set, for @due_ns, or moves it there. KT_NSEC_NEVER disarms. */
void kt_timer_arm(struct kt_loop *loop, struct kt_timer *timer, uint64_t due_ns);

/* Does nothing when @timer is not armed. */
void kt_timer_disarm(struct kt_loop *loop, struct kt_timer *timer);

/*
 * Waits until @deadline_ns at most for one event or due timer and calls its function. Returns 0
 * after that call, -ETIMEDOUT at the deadline, or another negative errno.
 */
int kt_loop_step(struct kt_loop *loop, uint64_t deadline_ns);

/* Dispatches until kt_loop_stop(). Returns the result given there, or a negative errno. */
int kt_loop_run(struct kt_loop *loop);

/* Makes kt_loop_run() return @result after the callback that is running now. */
void kt_loop_stop(struct kt_loop *loop, int result);
