/* SPDX-License-Identifier: MIT */
#pragma once
/* A single-threaded event loop over epoll: descriptors and timers, both embedded in their owner. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

struct kt_loop;

typedef void (*kt_source_fn)(void *data, uint32_t events);
typedef void (*kt_timer_fn)(void *data);

/* A watched descriptor. The descriptor is not owned. */
struct kt_source {
	int fd;          /* -1 while not registered */
	uint32_t events; /* EPOLLIN, EPOLLOUT, ... */
	kt_source_fn fn;
	void *data;
};

#define KT_SOURCE_NULL ((struct kt_source){ .fd = -1 })

/* A one-shot deadline. */
struct kt_timer {
	uint64_t due_ns; /* CLOCK_MONOTONIC */
	kt_timer_fn fn;
	void *data;
	struct kt_timer *next; /* in the loop's list, ordered by due_ns */
	bool armed;
};

int kt_loop_new(struct kt_loop **ret_loop);
struct kt_loop *kt_loop_free(struct kt_loop *loop);
void kt_loop_freep(struct kt_loop **loop);

/* Registers @source, whose fields are set by the caller and which must outlive its registration. */
int kt_loop_add(struct kt_loop *loop, struct kt_source *source);
int kt_loop_modify(struct kt_loop *loop, struct kt_source *source, uint32_t events);

/* Forgets @source; harmless when it is not registered, allowed inside any callback. */
void kt_loop_remove(struct kt_loop *loop, struct kt_source *source);

/* (Re-)arms @timer at @due_ns; KT_NSEC_NEVER disarms it. */
void kt_timer_arm(struct kt_loop *loop, struct kt_timer *timer, uint64_t due_ns);
void kt_timer_disarm(struct kt_loop *loop, struct kt_timer *timer);

/* Dispatches one event or due timer, waiting for it until @deadline_ns; -ETIMEDOUT without one. */
int kt_loop_step(struct kt_loop *loop, uint64_t deadline_ns);

/* Dispatches until kt_loop_stop(); returns what that was given, or a negative errno. */
int kt_loop_run(struct kt_loop *loop);
void kt_loop_stop(struct kt_loop *loop, int result);
