/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * One run of a scheduler: the process that keeps it attached, which is ktest's loader with an
 * object file or a program of the scheduler's own, and what that process prints.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/scheduler.h>

#include "guest/scheduler/exit.h"
#include "util/err.h"

struct kt_scheduler_run;

/* The room for the kernel's dump of the scheduler when it fails, in KiB; 1024 by default. */
static inline unsigned int kt_scheduler_dump_kib(const struct kt_scheduler *scheduler)
{
	return scheduler->dump_kib ?: 1024;
}

struct kt_scheduler_start {
	const struct kt_scheduler *scheduler;
	const char *const *args;          /* after those of the declaration; NULL: none */
	unsigned int watchdog_ms;         /* 0: what the scheduler itself sets */
	unsigned int watchdog_default_ms; /* for an object that sets none; programs: unused */
	int watch_fd;                     /* from kt_scx_watch(); borrowed */
	struct kt_scx_log *log;           /* the kernel's, open and cleared; borrowed */
	uint64_t deadline_ns;             /* CLOCK_MONOTONIC: until then it must be enabled */
	uint64_t grace_ns;                /* how long SIGTERM may take before SIGKILL */
};

/*
 * Starts a scheduler and waits until the kernel has enabled it.
 *
 * Returns 0, or: -ENOTSUP when the kernel has no sched_ext or the watchdog of a program cannot be
 * set, -EBUSY when another scheduler is attached, -ECHILD when the process ends early, -ESHUTDOWN
 * when the kernel has disabled the scheduler already, -ETIMEDOUT, or an error of
 * kt_program_start(). The kernel may have reported the end of the scheduler in @log also after
 * -ECHILD and -ETIMEDOUT. On failure the process is gone, but *@ret_run may be set, so that the
 * caller can report what was printed; it stays as it was if the failure came before there was a
 * run.
 */
int kt_scheduler_start(const struct kt_scheduler_start *start, struct kt_scheduler_run **ret_run,
		       struct kt_err *reterr);

/*
 * Kills and reaps the process if it still runs, and frees the run. @run may be NULL. Returns NULL.
 */
struct kt_scheduler_run *kt_scheduler_free(struct kt_scheduler_run *run);

/* A pidfd, owned by the run: it becomes readable when the process ends. */
int kt_scheduler_fd(const struct kt_scheduler_run *run);

/* The process, which only the run may reap; 0 once it is reaped. */
pid_t kt_scheduler_pid(const struct kt_scheduler_run *run);

/*
 * Whether the process has ended, or the kernel has disabled the scheduler. Before
 * kt_scheduler_stop() this means that the scheduler has ended by itself.
 */
bool kt_scheduler_has_ended(const struct kt_scheduler_run *run);

/*
 * Detaches the scheduler by sysrq-S, which does not need its process, and asks the process to end
 * by SIGTERM. Returns 0 when both have ended. -ETIMEDOUT when the process had to be killed at
 * @deadline_ns, -ECHILD when another signal than SIGTERM has ended it, -EBUSY when it has ended but
 * a scheduler is still attached.
 */
int kt_scheduler_stop(struct kt_scheduler_run *run, uint64_t deadline_ns, struct kt_err *reterr);

/*
 * For a scheduler that has ended by itself: gives its process time until @deadline_ns to print and
 * to end, then asks it to end by SIGTERM, and kills it @grace_ns later.
 */
void kt_scheduler_bury(struct kt_scheduler_run *run, uint64_t deadline_ns, uint64_t grace_ns);

/*
 * How the process ended, as from wait(2). Valid after kt_scheduler_stop() or kt_scheduler_bury().
 */
int kt_scheduler_status(const struct kt_scheduler_run *run);

/*
 * The last line that the process has printed and that is not blank, of standard error if it has
 * one; to be freed. NULL when there is none.
 */
char *kt_scheduler_last_words(const struct kt_scheduler_run *run);

/*
 * The standard output and error of the process so far: returns a file to pread(2) from, owned by
 * the run, and its length in bytes. -1 and 0 when the file could not be created.
 */
int kt_scheduler_out(const struct kt_scheduler_run *run, uint64_t *ret_len);
int kt_scheduler_err(const struct kt_scheduler_run *run, uint64_t *ret_len);
