/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Time that the host takes from a machine: how long its threads were runnable and had no CPU. The
 * host's kernel counts it for each thread (Documentation/scheduler/sched-stats.rst,
 * /proc/TID/schedstat).
 */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* One thread at one moment. */
struct kt_steal_thread {
	pid_t tid;
	uint64_t waited_ns; /* on a runqueue, since the thread began */
};

/* All threads of a process at one moment. */
struct kt_steal {
	struct kt_steal_thread *at; /* owned */
	size_t n;
};

#define KT_STEAL_NULL ((struct kt_steal){ .at = NULL })

/* Reads the threads of process @pid; none when it is gone or the kernel does not count. */
void kt_steal_read(struct kt_steal *steal, pid_t pid);
void kt_steal_deinit(struct kt_steal *steal);

/*
 * Returns the longest that any one thread waited between @before and @after. A thread that is new
 * in @after began in between; one that is missing there has ended and does not count.
 */
uint64_t kt_steal_between(const struct kt_steal *before, const struct kt_steal *after);
