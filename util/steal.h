/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Time that the host takes from processes, such as those of a machine: how long their threads were
 * runnable and had no CPU. The host's kernel counts it for each thread
 * (Documentation/scheduler/sched-stats.rst, /proc/TID/schedstat).
 *
 * A deadline in real time, after which a process counts as hung, moves by what was stolen from it.
 * A process that hangs is not runnable, so nothing is stolen from it; one that spins is late by at
 * most what it waited for.
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

/*
 * Reads the threads of process @pid, or those of the process group -@pid, as kill(2) has it; none
 * when there is no such process or the kernel does not count.
 */
void kt_steal_read(struct kt_steal *steal, pid_t pid);
void kt_steal_deinit(struct kt_steal *steal);

/*
 * Returns the longest that any one thread waited between @before and @after. A thread that is new
 * in @after began in between; one that is missing there has ended and does not count.
 */
uint64_t kt_steal_between(const struct kt_steal *before, const struct kt_steal *after);

/* The longest that any thread of @pid has waited since it began. */
uint64_t kt_steal_total_ns(pid_t pid);

/* Time that was stolen from @pid since @steal was read, which is read again. */
uint64_t kt_steal_again(struct kt_steal *steal, pid_t pid);

/*
 * Waits until @fd can be read, as kt_poll(). The deadline is for @pid, which the other end of @fd
 * belongs to: it moves by the time that was stolen from that. @pid 0, or a deadline of 0, which
 * only looks: as any other.
 */
int kt_steal_poll(int fd, uint64_t deadline_ns, pid_t pid);
