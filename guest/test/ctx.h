/* SPDX-License-Identifier: MIT */
#pragma once
/* The running test behind the public struct kt_ctx: in the guest, and on the host for .post_vm. */

#include <pthread.h>

#include <ktest/ctx.h>
#include <ktest/test.h>

#include "guest/test/child.h"
#include "guest/test/kernel.h"
#include "guest/test/watch.h"
#include "guest/test/snapshot.h"
#include "wire/result.h"

struct kt_scenario; /* guest/scenario/state.h */

/* Captured texts that .post_vm may read. Borrowed; never NULL. */
struct kt_vm_view {
	const char *out;            /* standard output of the test */
	const char *err;            /* standard error */
	const char *console;        /* the kernel's console */
	const char *scheduler_log;  /* what the scheduler has printed */
	const char *scheduler_dump; /* what the kernel has dumped of the scheduler */
	const struct kt_freeze_view *freeze; /* NULL: the machine never stood still */
};

struct kt_ctx {
	const struct kt_test *test;
	struct kt_topology topology; /* defaults filled in */
	uint64_t seed;
	uint64_t began_ns;               /* CLOCK_MONOTONIC */
	unsigned int time_scale_percent; /* factor for waits, 100 on hardware */
	uint64_t limit_ns;               /* of the test, from RUN to RSLT; 0: none */
	uint64_t asked_ns;               /* CLOCK_MONOTONIC when RUN came */
	enum kt_work_type
		work_type; /* of swappable workers, instead of their own; or KT_WORK_NONE */
	int step;          /* index of the running step, -1 outside the steps */
	pid_t owner;       /* the process whose result this is; its children have copies */
	struct kt_child_log *children; /* owned; NULL: children's failures are lost */
	pthread_mutex_t lock;          /* of result */
	struct kt_result result;

	struct kt_kernel_memory kernel;       /* who accesses it, and what was read */
	struct kt_snapshot_service snapshots; /* shares the lock of @kernel */

	struct kt_scenario *scenario;  /* in the guest while the test runs; else NULL */
	const struct kt_vm_view *view; /* on the host in .post_vm; else NULL */
};

/* Makes a context for @test (borrowed) that begins now: step -1, 100 %, an empty result. */
void kt_ctx_init(struct kt_ctx *ctx, const struct kt_test *test);

/* Frees the result; a caller that keeps it takes it out first. */
void kt_ctx_deinit(struct kt_ctx *ctx);

/*
 * Returns the time at which waiting has to end so that the result still reaches the host before it
 * gives up; KT_NSEC_NEVER when the test has no limit.
 */
uint64_t kt_ctx_report_ns(const struct kt_ctx *ctx);

/* Returns how long a process that is asked to end may take before it is killed, 3 s at most. */
uint64_t kt_ctx_grace_ns(const struct kt_ctx *ctx);

/*
 * Returns the deadline of something that may take as long as the test has: kt_ctx_report_ns(), but
 * at least kt_ctx_deadline_ns(@ms).
 */
uint64_t kt_ctx_patient_deadline_ns(const struct kt_ctx *ctx, unsigned int ms);

/* Adds what forked children have asserted to the result. */
void kt_ctx_take_children(struct kt_ctx *ctx);

/*
 * Returns the deadline @ms from now, scaled by the speed of the machine, but not later than
 * kt_ctx_report_ns(): a wait that takes too long is then reported by name, and not as a timeout of
 * the test.
 */
uint64_t kt_ctx_deadline_ns(const struct kt_ctx *ctx, unsigned int ms);

/* Like kt_fail_values(), for a limit that a slow host can make a test miss (struct kt_failure). */
void kt_ctx_fail_limit(struct kt_ctx *ctx, struct kt_where where, const char *what,
		       const char *expected, const char *got, uint64_t excess_ns,
		       double excess_share);

/*
 * Calls one of the test's functions; NULL is allowed. @what names it, as "run". A return value
 * other than 0 without a recorded failure becomes a failure. Returns what the function returned.
 * Does not return in a child that the function has forked.
 */
int kt_ctx_call(struct kt_ctx *ctx, int (*fn)(struct kt_ctx *ctx), const char *what);
