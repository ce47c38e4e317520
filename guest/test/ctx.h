/* SPDX-License-Identifier: MIT */
#pragma once
/* The running test, behind the public struct kt_ctx: in the guest, and on the host for .post_vm. */

#include <pthread.h>

#include <ktest/ctx.h>
#include <ktest/test.h>

#include "guest/test/child.h"
#include "wire/result.h"

struct kt_scenario;

/* What .post_vm may look at. */
struct kt_vm_view {
	const char *out;
	const char *err;
	const char *console;
	const char *scheduler_log;
	const char *scheduler_dump;
};

struct kt_ctx {
	const struct kt_test *test;
	struct kt_topology topology; /* defaults filled in */
	uint64_t seed;
	uint64_t began_ns; /* CLOCK_MONOTONIC */
	unsigned int time_scale_percent;
	enum kt_work_type
		work_type;    /* of swappable workers, instead of their own; or KT_WORK_NONE */
	int step;             /* running now, -1 outside the steps */
	pid_t owner;          /* the process whose result this is; its children have copies */
	struct kt_child_log *children; /* owned; NULL: children's failures are lost */
	pthread_mutex_t lock;          /* of result */
	struct kt_result result;
	struct kt_scenario *scenario;  /* guest only */
	const struct kt_vm_view *view; /* host only */
};

void kt_ctx_init(struct kt_ctx *ctx, const struct kt_test *test);
void kt_ctx_deinit(struct kt_ctx *ctx);

/* Adds what forked children have asserted to the result. */
void kt_ctx_take_children(struct kt_ctx *ctx);

/* A deadline @ms from now, longer where the machine is slow. */
uint64_t kt_ctx_deadline_ns(const struct kt_ctx *ctx, unsigned int ms);

/* As kt_fail_values(), for a limit that a slow host can make a test miss; see struct kt_failure. */
void kt_ctx_fail_limit(struct kt_ctx *ctx, struct kt_where where, const char *what,
		       const char *expected, const char *got, uint64_t excess_ns,
		       double excess_share);

/*
 * Calls one of the test's functions and turns what it returns into a verdict: a negative result
 * without a recorded failure is one. @what names the function, as "run".
 */
int kt_ctx_call(struct kt_ctx *ctx, int (*fn)(struct kt_ctx *ctx), const char *what);
