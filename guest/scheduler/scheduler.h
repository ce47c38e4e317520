/* SPDX-License-Identifier: MIT */
#pragma once
/* The process of a scheduler: ktest's loader with an object, or a program of its own. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <ktest/scheduler.h>

#include "util/err.h"

struct kt_scheduler_run;

/* The room for its dump, KiB. */
static inline unsigned int kt_scheduler_dump_kib(const struct kt_scheduler *scheduler)
{
	return scheduler->dump_kib ?: 1024;
}

struct kt_scheduler_start {
	const struct kt_scheduler *scheduler;
	const char *const *args;          /* besides its own; NULL: none */
	unsigned int watchdog_ms;         /* 0: as it has it */
	unsigned int watchdog_default_ms; /* of an object that says nothing */
	int watch_fd;                     /* of kt_scx_watch() */
	uint64_t deadline_ns;
};

/*
 * Starts a scheduler and waits until the kernel has enabled it. On failure its process is gone, but the run is
 * there all the same, if it has ever been started, with what it has printed.
 */
int kt_scheduler_start(const struct kt_scheduler_start *start, struct kt_scheduler_run **ret_run,
		       struct kt_err *reterr);

/* Kills what is left of it. */
struct kt_scheduler_run *kt_scheduler_free(struct kt_scheduler_run *run);

/* Becomes readable when its process ends. */
int kt_scheduler_fd(const struct kt_scheduler_run *run);
pid_t kt_scheduler_pid(const struct kt_scheduler_run *run);

/* Whether it is there no more, though nobody has stopped it. */
bool kt_scheduler_has_ended(const struct kt_scheduler_run *run);

/*
 * Ends it: sysrq-S has the kernel let go of it without its help, SIGTERM asks the process to end. It is killed
 * at @deadline_ns, which is an error, and so is a kernel that has not let go then.
 */
int kt_scheduler_stop(struct kt_scheduler_run *run, uint64_t deadline_ns, struct kt_err *reterr);

/*
 * After it has ended by itself: waits for its process, which may still have much to print, and if that does
 * not end by @deadline_ns asks it to, and kills it at last.
 */
void kt_scheduler_bury(struct kt_scheduler_run *run, uint64_t deadline_ns);

/* How the process ended, as wait(2); after one of the above. */
int kt_scheduler_status(const struct kt_scheduler_run *run);

/* What it has printed so far: a descriptor to pread(2) from, and the length. */
int kt_scheduler_log(const struct kt_scheduler_run *run, uint64_t *ret_len);
